"""Joining and leaving as evidence, and a mechanic releasing a session before it is live."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from autodoctor.errors import (
    AssignmentNotFound,
    SessionEnded,
    SessionNotFound,
    SessionNotOpen,
    SessionNotReleasable,
    TooManyRequests,
)
from autodoctor.ids import new_id
from autodoctor.monitoring.monitor import observe
from autodoctor.sessions.accept import accept
from autodoctor.sessions.presence import PresenceRecorded, join, leave, release
from autodoctor.sessions.queue import fetch_queue
from support.sessions.evidence import assignments, column, events
from support.world import Mechanic, World


@pytest.fixture
def session_id(world: World, mechanic: Mechanic, customer: UUID) -> UUID:
    """A session that this mechanic has accepted from this customer."""
    return world.waiting(mechanic, customer).session_id


# --- join -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["customer", "mechanic"])
def test_live_as_soon_as_both_are_present(
    world: World, mechanic: Mechanic, customer: UUID, session_id: UUID, first: str
) -> None:
    users = [customer, mechanic.user_id]
    one, other = users if first == "customer" else reversed(users)
    assert join(world.app, one, session_id) == PresenceRecorded(
        session_id=session_id, session_status="waiting", started_at=None
    )
    joined = join(world.app, other, session_id)
    assert (joined.session_status, joined.started_at is not None) == ("live", True)
    assert "live" in events(world, session_id)


def test_joining_again_records_nothing(world: World, customer: UUID, session_id: UUID) -> None:
    first = join(world.app, customer, session_id)
    assert join(world.app, customer, session_id) == first
    assert events(world, session_id).count("customer joined") == 1


def test_of_two_joins_at_once_the_second_starts_the_session(
    world: World, mechanic: Mechanic, customer: UUID, session_id: UUID
) -> None:
    barrier = threading.Barrier(2)

    def come(user_id: UUID) -> str:
        with world.elsewhere() as database:
            barrier.wait()
            return join(database, user_id, session_id).session_status

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(come, [customer, mechanic.user_id])) == ["live", "waiting"]
    assert world.status(session_id) == "live"


def test_a_customer_may_join_while_nobody_has_accepted(world: World, mechanic: Mechanic, customer: UUID) -> None:
    created = world.queued(customer)
    assert join(world.app, customer, created.session_id).session_status == "pending"
    world.accept(mechanic, created)
    assert join(world.app, mechanic.user_id, created.session_id).session_status == "live"
    assert events(world, created.session_id) == ["pending", "customer joined", "waiting", "mechanic joined", "live"]


def test_a_scheduled_session_is_not_open_before_it_comes_due(world: World, customer: UUID, next_week: str) -> None:
    created = world.queued(customer, scheduledFor=next_week)
    with pytest.raises(SessionNotOpen) as refused:
        join(world.app, customer, created.session_id)
    assert (refused.value.status, refused.value.slug) == (409, "session-not-open")


@pytest.mark.parametrize("end", ["cancelled", "expired"])
def test_a_session_that_is_over_cannot_be_joined(world: World, customer: UUID, session_id: UUID, end: str) -> None:
    if end == "cancelled":
        world.end(customer, session_id)
    else:
        world.let_time_pass(7201)
        world.owner.execute("SELECT expire_orphaned_sessions()")
    with pytest.raises(SessionEnded) as refused:
        join(world.app, customer, session_id)
    assert (refused.value.slug, refused.value.extras) == ("session-ended", {"sessionStatus": end})


def test_only_parties_join_and_leave(world: World, session_id: UUID) -> None:
    world.pending(other := new_id())
    for user in (other, new_id(), world.mechanic().user_id):
        with pytest.raises(SessionNotFound):
            join(world.app, user, session_id)
        with pytest.raises(SessionNotFound):
            leave(world.app, user, session_id)
    with pytest.raises(SessionNotFound):
        join(world.app, other, new_id())
    assert events(world, session_id) == ["pending", "waiting"]


# --- leave ----------------------------------------------------------------------------------------


def test_leaving_is_recorded_and_the_session_stays_live(
    world: World, mechanic: Mechanic, customer: UUID, session_id: UUID
) -> None:
    started = [join(world.app, user, session_id) for user in (customer, mechanic.user_id)][1]
    assert leave(world.app, customer, session_id) == started
    assert events(world, session_id)[-1] == "customer left"
    assert column(world, session_id, "parted_at") is not None


def test_coming_back_goes_on_where_it_was(world: World, mechanic: Mechanic, customer: UUID, session_id: UUID) -> None:
    started = [join(world.app, user, session_id) for user in (customer, mechanic.user_id)][1]
    leave(world.app, customer, session_id)
    assert join(world.app, customer, session_id) == started
    assert column(world, session_id, "parted_at") is None
    assert events(world, session_id).count("live") == 1


def test_leaving_without_having_joined_records_nothing(world: World, customer: UUID, session_id: UUID) -> None:
    left = leave(world.app, customer, session_id)
    assert left == PresenceRecorded(session_id=session_id, session_status="waiting", started_at=None)
    assert events(world, session_id) == ["pending", "waiting"]


def test_leaving_twice_records_once(world: World, customer: UUID, session_id: UUID) -> None:
    join(world.app, customer, session_id)
    assert leave(world.app, customer, session_id) == leave(world.app, customer, session_id)
    assert events(world, session_id).count("customer left") == 1


def test_leaving_what_is_over_leaves_no_trace(world: World, customer: UUID, session_id: UUID) -> None:
    join(world.app, customer, session_id)
    world.end(customer, session_id)
    assert leave(world.app, customer, session_id).session_status == "cancelled"
    assert events(world, session_id)[-1] == "cancelled"


def test_leaving_a_scheduled_session_records_nothing(world: World, customer: UUID, next_week: str) -> None:
    created = world.queued(customer, scheduledFor=next_week)
    assert leave(world.app, customer, created.session_id).session_status == "scheduled"
    assert events(world, created.session_id) == ["scheduled"]


def test_a_suspended_mechanic_may_still_leave(
    world: World, mechanic: Mechanic, customer: UUID, session_id: UUID
) -> None:
    for user in (customer, mechanic.user_id):
        join(world.app, user, session_id)
    world.owner.execute("UPDATE mechanics SET status = 'suspended'")
    assert leave(world.app, mechanic.user_id, session_id).session_status == "live"
    assert events(world, session_id)[-1] == "mechanic left"


# --- release --------------------------------------------------------------------------------------


def test_a_released_session_is_queued_again_with_its_old_place(
    world: World, mechanic: Mechanic, session_id: UUID
) -> None:
    assert release(world.app, mechanic.user_id, session_id).session_status == "pending"
    assert assignments(world, session_id) == ["expired", "queued"]
    assert world.one("SELECT count(DISTINCT queued_at) FROM session_assignments") == 1
    shown = fetch_queue(world.app, world.mechanic().user_id).assignments
    assert [assignment.session_id for assignment in shown] == [session_id]


def test_releasing_again_is_the_same_answer_until_another_takes_it(
    world: World, mechanic: Mechanic, session_id: UUID
) -> None:
    first = release(world.app, mechanic.user_id, session_id)
    assert release(world.app, mechanic.user_id, session_id) == first
    assert assignments(world, session_id) == ["expired", "queued"]
    other = world.mechanic()
    accept(world.app, other.user_id, column(world, session_id, "current_assignment_id"))
    with pytest.raises(SessionNotFound):
        release(world.app, mechanic.user_id, session_id)
    assert world.status(session_id) == "waiting"


def test_who_released_is_free_and_does_not_see_it_again(world: World, mechanic: Mechanic, session_id: UUID) -> None:
    """Else one mechanic could have a customer told again and again that somebody is waiting for them."""
    release(world.app, mechanic.user_id, session_id)
    assert fetch_queue(world.app, mechanic.user_id).assignments == []
    with pytest.raises(AssignmentNotFound):
        accept(world.app, mechanic.user_id, column(world, session_id, "current_assignment_id"))
    world.waiting(mechanic)


def test_three_releases_in_an_hour_pause_accepting_for_a_quarter_of_one(world: World, mechanic: Mechanic) -> None:
    for _ in range(3):
        world.let_time_pass(19 * 60)
        release(world.app, mechanic.user_id, world.waiting(mechanic).session_id)
    waits = world.queued()
    with pytest.raises(TooManyRequests) as refused:
        world.accept(mechanic, waits)
    assert refused.value.extras["limit"] == "releases"
    assert int(refused.value.headers["Retry-After"]) in range(14 * 60, 15 * 60 + 1)
    observe(world.app)
    paused = "SELECT facts FROM health_alerts WHERE alert = 'mechanic_paused' AND cleared_at IS NULL"
    assert world.one(paused) == {"releases": 3}
    assert world.queued(preferredMechanicId=mechanic.id).assignment_status == "queued"
    world.let_time_pass(15 * 60 + 1)
    assert world.accept(mechanic, waits).session_status == "waiting"
    observe(world.app)
    assert world.one(paused) is None


def test_three_releases_in_more_than_an_hour_pause_nobody(world: World, mechanic: Mechanic) -> None:
    for _ in range(3):
        world.let_time_pass(31 * 60)
        release(world.app, mechanic.user_id, world.waiting(mechanic).session_id)
    world.waiting(mechanic)


def test_a_mechanic_who_had_joined_leaves_with_the_release(
    world: World, mechanic: Mechanic, customer: UUID, session_id: UUID
) -> None:
    join(world.app, mechanic.user_id, session_id)
    release(world.app, mechanic.user_id, session_id)
    assert "mechanic left" in events(world, session_id)
    assert join(world.app, customer, session_id).session_status == "pending"
    other = world.mechanic()
    accept(world.app, other.user_id, column(world, session_id, "current_assignment_id"))
    assert join(world.app, other.user_id, session_id).session_status == "live"


def test_an_earlier_visit_is_no_presence_after_taking_it_again(
    world: World, mechanic: Mechanic, customer: UUID, session_id: UUID
) -> None:
    join(world.app, mechanic.user_id, session_id)
    world.owner.execute("UPDATE sessions SET status = 'pending' WHERE id = %s", [session_id])  # by an operator
    accept(world.app, mechanic.user_id, column(world, session_id, "current_assignment_id"))
    join(world.app, customer, session_id)
    world.let_time_pass(600)
    assert world.end(customer, session_id).reason == "no_show"
    assert column(world, session_id, "absent") == "mechanic"


def test_a_live_session_cannot_be_released(world: World, mechanic: Mechanic, customer: UUID, session_id: UUID) -> None:
    for user in (customer, mechanic.user_id):
        join(world.app, user, session_id)
    with pytest.raises(SessionNotReleasable):
        release(world.app, mechanic.user_id, session_id)


def test_what_is_over_cannot_be_released(world: World, mechanic: Mechanic, customer: UUID, session_id: UUID) -> None:
    world.end(customer, session_id)
    with pytest.raises(SessionEnded):
        release(world.app, mechanic.user_id, session_id)


def test_only_its_mechanic_releases_a_session(world: World, customer: UUID, session_id: UUID) -> None:
    for user in (customer, world.mechanic().user_id, new_id()):
        with pytest.raises(SessionNotFound):
            release(world.app, user, session_id)
    with pytest.raises(SessionNotFound):
        release(world.app, customer, new_id())
    assert world.status(session_id) == "waiting"
