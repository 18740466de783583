"""The events that a join or an end returns equal those a query would fetch, and are published without the query."""

from autodoctor.events import outbox
from autodoctor.events.model import event_of
from autodoctor.ids import new_id
from autodoctor.prefetched import WithEvents
from autodoctor.sessions.presence import join, leave
from support.world import World


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
