"""Idempotency-Key at intake: the same key and request give the same answer, for 24 hours, per customer."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from autodoctor.errors import ActiveSessionExists, IdempotencyKeyReused, Unprocessable
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated, start_intake
from integration.actors import Stage, intake_request

CUSTOMER = UUID("c0000000-0000-4000-8000-000000000001")


def intake(stage: Stage, key: str | None, customer: UUID = CUSTOMER, **fields: Any) -> SessionCreated:  # noqa: ANN401
    return start_intake(stage.app, customer, intake_request(**fields), key)


def test_the_same_key_and_request_give_the_same_answer(stage: Stage) -> None:
    first = intake(stage, "key")
    assert intake(stage, "key") == first
    assert stage.one("SELECT count(*) FROM sessions") == 1


def test_the_answer_stays_the_first_one_whatever_became_of_the_session(stage: Stage) -> None:
    first = intake(stage, "key", waiver={"signedName": "Cora"})
    stage.accept(mechanic := stage.mechanic(), first)
    assert intake(stage, "key", waiver={"signedName": "Cora"}) == first
    stage.end(mechanic.user_id, first.session_id)
    assert intake(stage, "key", waiver={"signedName": "Cora"}) == first


def test_what_is_spelled_differently_may_be_the_same_request(stage: Stage) -> None:
    first = intake(stage, "key", name="Cora", urgent=False)
    assert intake(stage, "key", name=" Cora ", unknown=True) == first


@pytest.mark.parametrize("change", [{"concern": "Smoke"}, {"urgent": True}, {"waiver": {"signedName": "Cora"}}])
def test_the_same_key_with_another_request_is_refused(stage: Stage, change: dict[str, Any]) -> None:
    first = intake(stage, "key")
    with pytest.raises(IdempotencyKeyReused) as refused:
        intake(stage, "key", **change)
    assert (refused.value.status, refused.value.slug) == (422, "idempotency-key-reused")
    assert stage.status(first.session_id) == "pending"


def test_another_key_is_another_request(stage: Stage) -> None:
    intake(stage, "key")
    with pytest.raises(ActiveSessionExists):
        intake(stage, "another key")
    with pytest.raises(ActiveSessionExists):
        intake(stage, None)


def test_keys_are_per_customer(stage: Stage) -> None:
    assert intake(stage, "key").session_id != intake(stage, "key", new_id(), concern="Smoke").session_id


def test_a_key_is_kept_for_24_hours(stage: Stage) -> None:
    first = intake(stage, "key")
    stage.end(CUSTOMER, first.session_id)
    stage.let_time_pass(24 * 3600 - 60)
    assert intake(stage, "key") == first
    stage.let_time_pass(120)
    again = intake(stage, "key", concern="Smoke")
    assert again.session_id != first.session_id
    assert intake(stage, "key", concern="Smoke") == again


def test_a_failure_is_not_stored(stage: Stage) -> None:
    with pytest.raises(Unprocessable):
        intake(stage, "key", plan="gold")
    first = intake(stage, "key")
    with pytest.raises(ActiveSessionExists):
        intake(stage, "second key")
    stage.end(CUSTOMER, first.session_id)
    assert intake(stage, "second key").session_id != first.session_id


def test_a_schedule_that_has_passed_meanwhile_still_gets_its_answer(stage: Stage) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    request = intake_request(scheduledFor=soon.isoformat())
    first = start_intake(stage.app, CUSTOMER, request, "key")
    time.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()) + 0.01)
    assert intake(stage, "key", scheduledFor=soon.isoformat()) == first


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x00b", "a\nb", "\ud800", "\x7f"])
def test_a_bad_key_is_refused(stage: Stage, key: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        intake(stage, key)
    assert refused.value.extras["errors"] == [
        {"pointer": "/headers/Idempotency-Key", "detail": "must be 1 to 255 printable characters"}
    ]


@pytest.mark.parametrize("key", ["x" * 255, "8e03978e-40d5-43e8-bc93-6894a57f9324", "schlüssel", "a b"])
def test_a_good_key_is_any_printable_text(stage: Stage, key: str) -> None:
    assert intake(stage, key) == intake(stage, key)


def test_the_same_key_at_once_creates_one_session(stage: Stage) -> None:
    def start(_number: int) -> SessionCreated:
        with stage.elsewhere() as database:
            return start_intake(database, CUSTOMER, intake_request(), "key")

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(start, range(4)))
    assert answers == [answers[0]] * 4
    assert stage.one("SELECT count(*) FROM sessions") == 1
