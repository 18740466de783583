"""What a join or an end brings along is what would be fetched after it, and is published without fetching it."""

from autodoctor.events import outbox
from autodoctor.events.model import event_of
from autodoctor.ids import new_id
from autodoctor.prefetched import WithEvents
from autodoctor.sessions.presence import join, leave
from integration.actors import Stage


def types(answer: WithEvents) -> list[str]:
    """The types of what an answer brings along."""
    return [event_of(row).type for row in outbox.prefetched(answer.unpublished or [])]


def test_it_is_the_same_as_what_is_fetched(stage: Stage) -> None:
    customer, mechanic = new_id(), stage.mechanic()
    session = stage.waiting(mechanic, customer).session_id
    join(stage.app, customer, session)
    for move in (lambda: join(stage.app, mechanic.user_id, session), lambda: stage.end(customer, session)):
        answer = move()
        assert answer.unpublished
        fetched = [event_of(row) for row in outbox.pending(stage.app, session)]
        assert [event_of(row) for row in outbox.prefetched(answer.unpublished)] == fetched
        assert outbox.mark_of(stage.app, session, outbox.prefetched(answer.unpublished)) == len(fetched)
        assert outbox.pending(stage.app, session) == []


def test_it_has_what_the_bus_does_not_have_from_before_too(stage: Stage) -> None:
    customer, mechanic = new_id(), stage.mechanic()
    session = stage.waiting(mechanic, customer).session_id
    join(stage.app, customer, session)
    live = join(stage.app, mechanic.user_id, session)
    assert types(live) == [
        *("session.created", "assignment.queued", "session.waiting", "assignment.accepted", "session.live")
    ]
    assert types(stage.end(customer, session))[-2:] == ["session.ended", "assignment.cancelled"]


def test_a_join_that_moves_nothing_brings_nothing(stage: Stage) -> None:
    customer, mechanic = new_id(), stage.mechanic()
    session = stage.waiting(mechanic, customer).session_id
    assert join(stage.app, customer, session).unpublished == []
    assert leave(stage.app, customer, session).unpublished is None


def test_the_caller_is_not_shown_it(stage: Stage) -> None:
    customer, mechanic = new_id(), stage.mechanic()
    session = stage.live(mechanic, customer).session_id
    ended = stage.end(customer, session)
    assert ended.unpublished
    assert "unpublished" not in ended.model_dump(by_alias=True)
    assert stage.end(customer, session).unpublished is None, "it was over: nothing to bring along"
