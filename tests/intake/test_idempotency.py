"""Idempotency-Key at intake: the same key and request give the same answer, for 24 hours, per customer."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from autodoctor.errors import ActiveSessionExists, IdempotencyKeyReused, Unprocessable
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated, start_intake
from support.world import World, intake_request

CUSTOMER = UUID("c0000000-0000-4000-8000-000000000001")


def intake(world: World, key: str | None, customer: UUID = CUSTOMER, **fields: Any) -> SessionCreated:  # noqa: ANN401
    return start_intake(world.app, customer, intake_request(**fields), key)


def test_the_same_key_and_request_give_the_same_answer(world: World) -> None:
    first = intake(world, "key")
    assert intake(world, "key") == first
    assert world.one("SELECT count(*) FROM sessions") == 1


def test_the_answer_stays_the_first_one_whatever_became_of_the_session(world: World) -> None:
    first = intake(world, "key", waiver={"signedName": "Cora"})
    world.accept(mechanic := world.mechanic(), first)
    assert intake(world, "key", waiver={"signedName": "Cora"}) == first
    world.end(mechanic.user_id, first.session_id)
    assert intake(world, "key", waiver={"signedName": "Cora"}) == first


def test_what_is_spelled_differently_may_be_the_same_request(world: World) -> None:
    first = intake(world, "key", name="Cora", urgent=False)
    assert intake(world, "key", name=" Cora ", unknown=True) == first


@pytest.mark.parametrize("change", [{"concern": "Smoke"}, {"urgent": True}, {"waiver": {"signedName": "Cora"}}])
def test_the_same_key_with_another_request_is_refused(world: World, change: dict[str, Any]) -> None:
    first = intake(world, "key")
    with pytest.raises(IdempotencyKeyReused) as refused:
        intake(world, "key", **change)
    assert (refused.value.status, refused.value.slug) == (422, "idempotency-key-reused")
    assert world.status(first.session_id) == "pending"


def test_another_key_is_another_request(world: World) -> None:
    intake(world, "key")
    with pytest.raises(ActiveSessionExists):
        intake(world, "another key")
    with pytest.raises(ActiveSessionExists):
        intake(world, None)


def test_keys_are_per_customer(world: World) -> None:
    assert intake(world, "key").session_id != intake(world, "key", new_id(), concern="Smoke").session_id


def test_a_key_is_kept_for_24_hours(world: World) -> None:
    first = intake(world, "key")
    world.end(CUSTOMER, first.session_id)
    world.let_time_pass(24 * 3600 - 60)
    assert intake(world, "key") == first
    world.let_time_pass(120)
    again = intake(world, "key", concern="Smoke")
    assert again.session_id != first.session_id
    assert intake(world, "key", concern="Smoke") == again


def test_a_failure_is_not_stored(world: World) -> None:
    with pytest.raises(Unprocessable):
        intake(world, "key", plan="gold")
    first = intake(world, "key")
    with pytest.raises(ActiveSessionExists):
        intake(world, "second key")
    world.end(CUSTOMER, first.session_id)
    assert intake(world, "second key").session_id != first.session_id


def test_a_schedule_that_has_passed_meanwhile_still_gets_its_answer(world: World) -> None:
    now = datetime.now(UTC)
    first = intake(world, "key", scheduledFor=(now + timedelta(hours=1)).isoformat())
    passed = (now - timedelta(hours=1)).isoformat()
    request = intake_request(scheduledFor=passed).model_dump_json().encode()
    # The clock cannot be moved, so the key is given the request of two hours before.
    world.owner.execute("UPDATE idempotency_keys SET request_hash = %s", [hashlib.sha256(request).digest()])
    assert intake(world, "key", scheduledFor=passed) == first
    with pytest.raises(Unprocessable):
        intake(world, "another key", new_id(), scheduledFor=passed)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x00b", "a\nb", "\ud800", "\x7f"])
def test_a_bad_key_is_refused(world: World, key: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        intake(world, key)
    assert refused.value.extras["errors"] == [
        {"pointer": "/headers/Idempotency-Key", "detail": "must be 1 to 255 printable characters"}
    ]


@pytest.mark.parametrize("key", ["x" * 255, "8e03978e-40d5-43e8-bc93-6894a57f9324", "schlüssel", "a b"])
def test_a_good_key_is_any_printable_text(world: World, key: str) -> None:
    assert intake(world, key) == intake(world, key)


def test_the_same_key_at_once_creates_one_session(world: World) -> None:
    def start(_number: int) -> SessionCreated:
        with world.elsewhere() as database:
            return start_intake(database, CUSTOMER, intake_request(), "key")

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(start, range(4)))
    assert answers == [answers[0]] * 4
    assert world.one("SELECT count(*) FROM sessions") == 1
