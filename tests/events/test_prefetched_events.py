"""The events that an intake, a join or an end returns equal those a query would fetch, and need no query."""

from collections.abc import Callable

import pytest

from autodoctor.events import outbox
from autodoctor.events.model import event_of
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated, start_intake
from autodoctor.prefetched import WithEvents
from autodoctor.sessions.presence import join, leave
from support.money.purchases import buy, give
from support.world import World, intake_request


def types(answer: WithEvents) -> list[str]:
    """The types of what an answer brings along."""
    return [event_of(row).type for row in outbox.prefetched(answer.unpublished or [])]


def test_it_is_the_same_as_what_is_fetched(world: World) -> None:
    customer, mechanic = new_id(), world.mechanic()
    session = world.waiting(mechanic, customer).session_id
    join(world.app, customer, session)
    for move in (lambda: join(world.app, mechanic.user_id, session), lambda: world.end(customer, session)):
        answer = move()
        assert answer.unpublished
        fetched = [event_of(row) for row in outbox.pending(world.app, session)]
        assert [event_of(row) for row in outbox.prefetched(answer.unpublished)] == fetched
        assert outbox.mark_of(world.app, session, outbox.prefetched(answer.unpublished)) == len(fetched)
        assert outbox.pending(world.app, session) == []


def paid_with_credits(world: World) -> SessionCreated:
    """A signed intake of somebody who has credits."""
    give(world, customer := new_id(), 5)
    return buy(world, customer)


@pytest.mark.parametrize(
    ("ask", "assignment"),
    [(World.queued, "queued"), (World.pending, "pending_waiver"), (paid_with_credits, "queued")],
)
def test_an_intake_brings_what_it_has_just_written(
    world: World, ask: Callable[[World], SessionCreated], assignment: str
) -> None:
    created = ask(world)
    assert types(created) == ["session.created", f"assignment.{assignment}"]
    fetched = [event_of(row) for row in outbox.pending(world.app, created.session_id)]
    assert [event_of(row) for row in outbox.prefetched(created.unpublished or [])] == fetched


def test_an_intake_that_is_repeated_has_its_events_fetched(world: World) -> None:
    """They may be published by now, or not: the first attempt may have died after its commit."""
    customer, request = new_id(), intake_request()
    first, again = (start_intake(world.app, customer, request, "once") for _ in range(2))
    assert again == first
    assert again.unpublished is None


def test_it_has_what_the_bus_does_not_have_from_before_too(world: World) -> None:
    customer, mechanic = new_id(), world.mechanic()
    session = world.waiting(mechanic, customer).session_id
    join(world.app, customer, session)
    live = join(world.app, mechanic.user_id, session)
    assert types(live) == [
        *("session.created", "assignment.queued", "session.waiting", "assignment.accepted", "session.live")
    ]
    assert types(world.end(customer, session))[-2:] == ["session.ended", "assignment.cancelled"]


def test_a_join_that_moves_nothing_brings_nothing(world: World) -> None:
    customer, mechanic = new_id(), world.mechanic()
    session = world.waiting(mechanic, customer).session_id
    assert join(world.app, customer, session).unpublished == []
    assert leave(world.app, customer, session).unpublished is None


def test_the_caller_is_not_shown_it(world: World) -> None:
    customer, mechanic = new_id(), world.mechanic()
    session = world.live(mechanic, customer).session_id
    ended = world.end(customer, session)
    assert ended.unpublished
    assert "unpublished" not in ended.model_dump(by_alias=True)
    assert world.end(customer, session).unpublished is None, "it was over: nothing to bring along"
