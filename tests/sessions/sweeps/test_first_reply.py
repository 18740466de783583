"""A customer whose mechanic accepted and is silent: told once, and given to another mechanic when they ask."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from autodoctor.errors import (
    AssignmentNotFound,
    ReplyNotDue,
    SessionEnded,
    SessionNotFound,
    SessionNotReplaceable,
)
from autodoctor.events.model import ReplyEvent, event_of
from autodoctor.ids import new_id
from autodoctor.room.messages import MessageRequest, post
from autodoctor.sessions.active import session_detail
from autodoctor.sessions.first_reply import replace_mechanic
from autodoctor.sessions.presence import join, leave, release
from support.sessions.evidence import assignments, column, last_event
from support.sessions.sweeping import sees, swept_all
from support.world import PATIENCE_SECONDS, Mechanic, World

THREE_MINUTES = 180


def left_waiting(
    world: World, mechanic: Mechanic, customer: UUID, seconds: float = THREE_MINUTES, **fields: object
) -> UUID:
    """A session that was accepted so long ago, whose customer is in the room and whose mechanic is silent."""
    session_id = world.waiting(mechanic, customer, **fields).session_id
    join(world.app, customer, session_id)
    world.let_time_pass(seconds)
    return session_id


def write(world: World, user_id: UUID, session_id: UUID) -> None:
    post(world.app, user_id, session_id, MessageRequest.model_validate({"clientId": new_id(), "text": "Hello"}))


def told(world: World) -> list[UUID]:
    """The sessions of the events that say that a first reply is overdue."""
    rows = world.owner.execute("SELECT * FROM outbox_events WHERE type = 'reply.late' ORDER BY id").fetchall()
    return [event.session_id for row in rows if isinstance(event := event_of(row), ReplyEvent)]


def tell(world: World) -> int:
    return swept_all(world.app).late_replies


# --- another mechanic -----------------------------------------------------------------------------


def test_another_mechanic_sees_the_request_first_and_the_silent_one_does_not(
    world: World, mechanic: Mechanic, customer: UUID
) -> None:
    other = world.mechanic()
    earlier, urgent = world.queued().session_id, world.urgent().session_id
    session_id = left_waiting(world, mechanic, customer)
    queued_at = world.one("SELECT queued_at FROM session_assignments WHERE session_id = %s", session_id)
    later = world.queued().session_id
    replaced = replace_mechanic(world.app, customer, session_id)
    assert (replaced.session_id, replaced.session_status) == (session_id, "pending")
    assert sees(world, other) == [session_id, urgent, earlier, later]
    assert sees(world, mechanic) == [urgent, earlier, later]
    assert world.one("SELECT queued_at FROM session_assignments WHERE attempt = 2") == queued_at
    assert assignments(world, session_id) == ["expired", "queued"]
    with pytest.raises(AssignmentNotFound):
        world.accept_current(mechanic, session_id)
    assert world.accept_current(other, session_id).session_status == "waiting"


def test_it_is_audited_as_the_customer_s(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = left_waiting(world, mechanic, customer)
    replaced = replace_mechanic(world.app, customer, session_id)
    event = last_event(world, session_id)
    assert (event["from_status"], event["to_status"], event["actor"], event["actor_id"]) == (
        *("waiting", "pending", "customer", customer),
    )
    assert replaced.unpublished is not None
    assert [(each["previous_status"], each["status"]) for each in replaced.unpublished[-3:]] == [
        *(("waiting", "pending"), ("accepted", "expired"), (None, "queued")),
    ]


def test_a_workshop_s_only_mechanic_is_replaced_by_everybody(world: World, customer: UUID) -> None:
    workshop = world.workshop()
    only, stranger = world.mechanic(workshop), world.mechanic()
    session_id = left_waiting(world, only, customer, workshopId=workshop)
    replace_mechanic(world.app, customer, session_id)
    assert sees(world, stranger) == [session_id]


def test_asking_again_is_the_same_until_another_accepts(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = left_waiting(world, mechanic, customer)
    first = replace_mechanic(world.app, customer, session_id)
    assert replace_mechanic(world.app, customer, session_id) == first
    assert assignments(world, session_id) == ["expired", "queued"]
    world.accept_current(world.mechanic(), session_id)
    with pytest.raises(ReplyNotDue):
        replace_mechanic(world.app, customer, session_id)


def test_the_silent_mechanic_is_free_for_others(world: World, mechanic: Mechanic, customer: UUID) -> None:
    replace_mechanic(world.app, customer, left_waiting(world, mechanic, customer))
    assert world.status(world.waiting(mechanic).session_id) == "waiting"


# --- when it may be asked for ---------------------------------------------------------------------


def test_not_while_the_mechanic_has_time(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = left_waiting(world, mechanic, customer, THREE_MINUTES - 60)
    with pytest.raises(ReplyNotDue) as early:
        replace_mechanic(world.app, customer, session_id)
    assert 50 <= int(early.value.headers["Retry-After"]) <= 60
    due_at = session_detail(world.app, customer, session_id).reply_due_at
    assert due_at is not None
    assert timedelta(seconds=50) < due_at - datetime.now(UTC) < timedelta(seconds=60)
    assert world.status(session_id) == "waiting"


@pytest.mark.parametrize("what", ["written", "come"])
def test_not_once_the_mechanic_has_written_or_come(world: World, mechanic: Mechanic, customer: UUID, what: str) -> None:
    session_id = left_waiting(world, mechanic, customer)
    if what == "written":
        write(world, mechanic.user_id, session_id)
    else:
        join(world.app, mechanic.user_id, session_id, world.socket(mechanic.user_id))
    with pytest.raises(SessionNotReplaceable):
        replace_mechanic(world.app, customer, session_id)
    assert session_detail(world.app, customer, session_id).reply_due_at is None


def test_the_word_of_a_late_mechanic_alone_is_no_coming(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = left_waiting(world, mechanic, customer)
    assert join(world.app, mechanic.user_id, session_id).session_status == "waiting"
    assert not column(world, session_id, "mechanic_present")
    assert replace_mechanic(world.app, customer, session_id).session_status == "pending"


def test_a_late_mechanic_who_writes_first_comes_by_their_word(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = left_waiting(world, mechanic, customer)
    write(world, mechanic.user_id, session_id)
    assert join(world.app, mechanic.user_id, session_id).session_status == "live"


def test_where_claims_count_a_late_claim_is_a_coming(world: World, mechanic: Mechanic, customer: UUID) -> None:
    world.owner.execute("INSERT INTO settings (key, value) VALUES ('evidence', 'claimed')")
    session_id = left_waiting(world, mechanic, customer)
    assert join(world.app, mechanic.user_id, session_id).session_status == "live"


def test_what_the_customer_writes_is_no_reply(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = left_waiting(world, mechanic, customer)
    write(world, customer, session_id)
    assert replace_mechanic(world.app, customer, session_id).session_status == "pending"


def test_a_mechanic_who_looked_in_and_left_has_the_time_again(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.waiting(mechanic, customer).session_id
    join(world.app, mechanic.user_id, session_id)
    world.let_time_pass(600)
    leave(world.app, mechanic.user_id, session_id)
    world.let_time_pass(60)
    join(world.app, customer, session_id)
    with pytest.raises(ReplyNotDue):
        replace_mechanic(world.app, customer, session_id)
    world.let_time_pass(THREE_MINUTES)
    leave(world.app, customer, session_id)
    with pytest.raises(SessionNotReplaceable):  # who is not there waits for nobody
        replace_mechanic(world.app, customer, session_id)
    join(world.app, customer, session_id)
    assert replace_mechanic(world.app, customer, session_id).session_status == "pending"


def test_the_words_of_a_mechanic_before_are_no_reply(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.waiting(mechanic, customer).session_id
    write(world, mechanic.user_id, session_id)
    release(world.app, mechanic.user_id, session_id)
    join(world.app, customer, session_id)
    world.accept_current(world.mechanic(), session_id)
    world.let_time_pass(THREE_MINUTES)
    assert replace_mechanic(world.app, customer, session_id).session_status == "pending"


def test_not_for_a_customer_who_never_came(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.waiting(mechanic, customer).session_id
    world.let_time_pass(THREE_MINUTES)
    with pytest.raises(SessionNotReplaceable):
        replace_mechanic(world.app, customer, session_id)


def test_not_before_the_time_of_a_scheduled_session(world: World, mechanic: Mechanic, customer: UUID) -> None:
    soon = world.one("SELECT now() + interval '14 minutes'").isoformat()
    session_id = left_waiting(world, mechanic, customer, 600, scheduledFor=soon)
    with pytest.raises(ReplyNotDue) as early:
        replace_mechanic(world.app, customer, session_id)
    assert int(early.value.headers["Retry-After"]) > 240


def test_not_where_nobody_has_accepted(world: World, customer: UUID) -> None:
    session_id = world.queued(customer).session_id
    join(world.app, customer, session_id)
    with pytest.raises(SessionNotReplaceable):
        replace_mechanic(world.app, customer, session_id)


def test_a_release_by_the_mechanic_is_not_taken_for_one_s_own(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = left_waiting(world, mechanic, customer)
    release(world.app, mechanic.user_id, session_id)
    with pytest.raises(SessionNotReplaceable):
        replace_mechanic(world.app, customer, session_id)


def test_not_after_the_end(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = left_waiting(world, mechanic, customer)
    world.end(customer, session_id)
    with pytest.raises(SessionEnded):
        replace_mechanic(world.app, customer, session_id)


@pytest.mark.parametrize("who", ["mechanic", "stranger"])
def test_only_the_customer_asks(world: World, mechanic: Mechanic, customer: UUID, who: str) -> None:
    session_id = left_waiting(world, mechanic, customer)
    with pytest.raises(SessionNotFound):
        replace_mechanic(world.app, mechanic.user_id if who == "mechanic" else new_id(), session_id)


def test_a_word_that_is_just_being_written_counts(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = left_waiting(world, mechanic, customer)
    with ThreadPoolExecutor(1) as pool:
        with world.owner.transaction():
            world.owner.execute("UPDATE rooms SET latest = 1, mechanic_written = 1")  # as post_message() does
            asking = pool.submit(replace_mechanic, world.app, customer, session_id)
            world.wait_until_sent("replace_mechanic(")
        with pytest.raises(SessionNotReplaceable):
            asking.result(timeout=PATIENCE_SECONDS)


def test_operators_change_the_time(world: World, mechanic: Mechanic, customer: UUID) -> None:
    world.owner.execute("INSERT INTO settings (key, value) VALUES ('first_reply_seconds', '30')")
    assert (
        replace_mechanic(world.app, customer, left_waiting(world, mechanic, customer, 30)).session_status == "pending"
    )


# --- being told -----------------------------------------------------------------------------------


def test_the_customer_is_told_once_for_each_mechanic(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = left_waiting(world, mechanic, customer, THREE_MINUTES - 60)
    assert tell(world) == 0
    world.let_time_pass(61)
    assert (tell(world), tell(world)) == (1, 0)
    assert told(world) == [session_id]
    assert world.one("SELECT note FROM session_messages WHERE note = 'reply_late'") == "reply_late"
    replace_mechanic(world.app, customer, session_id)
    world.accept_current(world.mechanic(), session_id)
    world.let_time_pass(THREE_MINUTES)
    assert (tell(world), told(world)) == (1, [session_id, session_id])


@pytest.mark.parametrize("why", ["the customer is gone", "the mechanic wrote", "the mechanic came"])
def test_nobody_is_told_where_nobody_waits(world: World, mechanic: Mechanic, customer: UUID, why: str) -> None:
    session_id = left_waiting(world, mechanic, customer)
    if why == "the customer is gone":
        leave(world.app, customer, session_id)
    elif why == "the mechanic wrote":
        write(world, mechanic.user_id, session_id)
    else:
        join(world.app, mechanic.user_id, session_id, world.socket(mechanic.user_id))
    assert (tell(world), told(world)) == (0, [])


def test_a_session_that_is_locked_is_told_the_next_time(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = left_waiting(world, mechanic, customer)
    with world.owner.transaction():
        world.owner.execute("SELECT FROM sessions WHERE id = %s FOR NO KEY UPDATE", [session_id])
        assert tell(world) == 0
    assert tell(world) == 1


def test_two_sweeps_tell_each_once(world: World) -> None:
    for _ in range(4):
        session_id = left_waiting(world, world.mechanic(), new_id(), 0)
        assert column(world, session_id, "customer_present")
    world.let_time_pass(THREE_MINUTES)

    def run(_: int) -> int:
        with world.elsewhere() as database:
            return swept_all(database).late_replies

    with ThreadPoolExecutor() as pool:
        assert sum(pool.map(run, range(2))) == 4
    assert len(told(world)) == 4
