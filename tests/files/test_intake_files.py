"""Files and the intakes that name them: cards that are not paid, races, and what the schema lets move."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import psycopg
import pytest

from autodoctor.errors import ActiveSessionExists, Problem
from autodoctor.ids import new_id
from autodoctor.intake.create import start_intake
from autodoctor.sessions.queue import fetch_queue
from support.files.attachment_rows import attachment
from support.money.checkout_env import CheckoutEnv, open_checkout
from support.money.purchases import SIGNED
from support.world import World, intake_request


@pytest.fixture
def checkout_env(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[CheckoutEnv]:
    """Customers who pay by card."""
    with open_checkout(world, monkeypatch) as checkout_env:
        yield checkout_env


def belongs_to(world: World, file: UUID) -> tuple[UUID | None, int | None]:
    """The intake that has the file, and its place there."""
    row = world.owner.execute("SELECT session_id, place FROM attachments WHERE id = %s", [file]).fetchone()
    assert row is not None
    return row["session_id"], row["place"]


def test_a_card_that_is_paid_takes_its_files_into_the_session(checkout_env: CheckoutEnv) -> None:
    world, customer = checkout_env.world, new_id()
    file = attachment(world, customer)
    opened = checkout_env.ask(customer, None, **SIGNED, attachmentIds=[file])
    assert checkout_env.ask(customer, None, **SIGNED, attachmentIds=[file]) == opened
    assert belongs_to(world, file) == (opened.intake_id, 1)
    checkout_env.stripe.pay(checkout_env.page(opened))
    checkout_env.tell("checkout.session.completed")
    (shown,) = fetch_queue(world.app, world.mechanic().user_id).assignments
    assert (shown.session_id, shown.picture_id) == (opened.intake_id, file)


def test_a_page_that_is_asked_anew_has_the_files_of_the_first(checkout_env: CheckoutEnv) -> None:
    world, customer = checkout_env.world, new_id()
    files = [attachment(world, customer) for _ in range(2)]
    first = checkout_env.ask(customer, attachmentIds=files, concern="It squeals")
    second = checkout_env.ask(customer, attachmentIds=files[::-1], concern="It squeals when I brake")
    assert second.intake_id != first.intake_id
    assert [belongs_to(world, file) for file in files] == [(second.intake_id, 2), (second.intake_id, 1)]


def test_a_file_that_a_session_has_is_taken_by_no_other_intake(world: World) -> None:
    customer = new_id()
    file = attachment(world, customer)
    first = world.pending(customer, attachmentIds=[file]).session_id
    world.end(customer, first)
    with pytest.raises(Problem) as refused:
        world.pending(customer, attachmentIds=[file])
    assert refused.value.extras["errors"] == [
        {"pointer": "/attachmentIds/0", "detail": "is not a file that can be attached"}
    ]
    assert belongs_to(world, file) == (first, 1)


@pytest.mark.parametrize("state", ["refused", "gone"])
def test_a_file_that_is_over_is_named_by_no_intake(world: World, state: str) -> None:
    customer = new_id()
    file = attachment(world, customer)
    world.owner.execute("UPDATE attachments SET state = %s WHERE id = %s", [state, file])
    with pytest.raises(Problem, match="invalid values"):
        world.pending(customer, attachmentIds=[file])
    assert belongs_to(world, file) == (None, None)


@pytest.mark.parametrize("state", ["promised", "scanning"])
def test_a_file_that_is_still_on_its_way_may_be_named(world: World, state: str) -> None:
    customer = new_id()
    file = attachment(world, customer, state=state)
    session = world.queued(customer, attachmentIds=[file]).session_id
    (shown,) = fetch_queue(world.app, world.mechanic().user_id).assignments
    assert (shown.session_id, shown.picture_id) == (session, file)


def test_of_two_intakes_at_once_one_has_the_session_and_the_file(world: World) -> None:
    customer, barrier = new_id(), Barrier(2)
    file = attachment(world, customer)

    def start(concern: str) -> UUID | None:
        with world.elsewhere() as database:
            barrier.wait()
            try:
                return start_intake(
                    database, customer, intake_request(concern=concern, attachmentIds=[str(file)])
                ).session_id
            except (ActiveSessionExists, Problem):
                return None

    with ThreadPoolExecutor() as pool:
        started = list(filter(None, pool.map(start, ["It squeals", "It smokes"])))
    assert len(started) == 1
    assert belongs_to(world, file) == (started[0], 1)


@pytest.mark.parametrize(
    "change",
    [
        "user_id = gen_random_uuid()",
        "content_type = 'image/jpeg'",
        "bytes = bytes + 1",
        "name = 'another'",
        "sha256 = sha256('y')",
        "object_key = 'uploads/' || gen_random_uuid() || '.png'",
        "session_id = NULL",
    ],
)
def test_what_a_file_is_and_where_it_belongs_is_fixed(world: World, change: str) -> None:
    customer = new_id()
    file = attachment(world, customer)
    world.pending(customer, attachmentIds=[file])
    with pytest.raises(psycopg.DatabaseError) as refused:
        world.owner.execute(f"UPDATE attachments SET {change} WHERE id = %s", [file])
    assert refused.value.sqlstate in {"AD004", "23514"}


def test_a_file_is_never_forgotten_as_a_row(world: World) -> None:
    file = attachment(world, new_id())
    with pytest.raises(psycopg.DatabaseError) as refused:
        world.owner.execute("DELETE FROM attachments WHERE id = %s", [file])
    assert refused.value.sqlstate == "AD004"
