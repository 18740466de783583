"""Accepting and declining: who gets a request, who learns that it is gone, and the effects of a decline."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from autodoctor.db import Refused
from autodoctor.errors import (
    AssignmentNotFound,
    AssignmentUnavailable,
    MechanicBusy,
    MechanicNotActive,
    OwnSession,
    Problem,
)
from autodoctor.ids import new_id
from autodoctor.sessions.accept import Accepted, accept, decline
from autodoctor.sessions.presence import join, release
from autodoctor.sessions.queue import fetch_queue
from support.sessions.evidence import assignments, column, events, last_event
from support.world import Mechanic, World


def sees(world: World, mechanic: Mechanic) -> list[UUID]:
    return [shown.session_id for shown in fetch_queue(world.app, mechanic.user_id).assignments]


def suspend(world: World, mechanic: Mechanic) -> None:
    world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [mechanic.id])


def current(world: World, session_id: UUID) -> UUID:
    current: UUID = column(world, session_id, "current_assignment_id")
    return current


# --- accept ---------------------------------------------------------------------------------------


def test_who_accepts_gets_the_session(world: World) -> None:
    created, mechanic = world.queued(), world.mechanic()
    assert world.accept(mechanic, created) == Accepted(
        assignment_id=created.assignment_id, session_id=created.session_id, session_status="waiting"
    )
    assert column(world, created.session_id, "mechanic_id") == mechanic.id
    assert events(world, created.session_id) == ["pending", "waiting"]
    event = last_event(world, created.session_id)
    assert (event["actor"], event["actor_id"]) == ("mechanic", mechanic.user_id)


def test_the_same_mechanic_accepts_twice_with_the_same_answer(world: World) -> None:
    created, mechanic = world.queued(customer := new_id()), world.mechanic()
    first = world.accept(mechanic, created)
    assert world.accept(mechanic, created) == first
    join(world.app, customer, created.session_id)
    join(world.app, mechanic.user_id, created.session_id)
    assert world.accept(mechanic, created).session_status == "live"
    assert events(world, created.session_id).count("waiting") == 1


def test_another_mechanic_is_told_it_is_taken(world: World) -> None:
    created = world.waiting(world.mechanic())
    with pytest.raises(AssignmentUnavailable) as refused:
        world.accept(world.mechanic(), created)
    assert refused.value.extras == {"assignmentId": str(created.assignment_id)}


def test_of_two_mechanics_at_once_one_gets_it(world: World) -> None:
    created, barrier = world.queued(), threading.Barrier(2)

    def take(mechanic: Mechanic) -> str:
        with world.elsewhere() as database:
            barrier.wait()
            try:
                return accept(database, mechanic.user_id, created.assignment_id).session_status
            except AssignmentUnavailable as refused:
                return refused.slug

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(take, [world.mechanic(), world.mechanic()]))
    assert answers == ["assignment-unavailable", "waiting"]


@pytest.mark.parametrize("how", ["withdrawn", "expired", "completed", "released"])
def test_what_is_over_is_no_longer_available(world: World, how: str) -> None:
    customer, first, second = new_id(), world.mechanic(), world.mechanic()
    created = world.queued(customer)
    if how == "withdrawn":
        world.end(customer, created.session_id)
    elif how == "expired":
        world.let_time_pass(7201)
        world.owner.execute("SELECT expire_orphaned_sessions()")
    else:
        world.accept(first, created)
        if how == "completed":
            world.end(customer, created.session_id)
        else:
            release(world.app, first.user_id, created.session_id)
    with pytest.raises(AssignmentUnavailable):
        world.accept(second, created)


def test_an_offer_past_its_deadline_is_unavailable_also_before_the_sweep(world: World) -> None:
    mechanic = world.mechanic()
    created = world.queued(preferredMechanicId=mechanic.id)
    world.let_time_pass(121)
    with pytest.raises(AssignmentUnavailable):
        world.accept(mechanic, created)
    with pytest.raises(AssignmentUnavailable):
        decline(world.app, mechanic.user_id, created.assignment_id)
    assert assignments(world, created.session_id) == ["offered"]


def test_an_assignment_that_was_never_visible_is_not_found(world: World, next_week: str) -> None:
    mechanic, workshop = world.mechanic(), world.workshop()
    employed = world.mechanic(workshop)
    hidden = [
        world.pending(),
        world.queued(workshopId=workshop),
        world.queued(preferredMechanicId=employed.id),
        world.queued(scheduledFor=next_week),
    ]
    for created in hidden:
        with pytest.raises(AssignmentNotFound):
            world.accept(mechanic, created)
        with pytest.raises(AssignmentNotFound):
            decline(world.app, mechanic.user_id, created.assignment_id)
    with pytest.raises(AssignmentNotFound):
        accept(world.app, mechanic.user_id, new_id())


def test_what_was_withdrawn_before_its_signature_was_never_visible(world: World) -> None:
    created = world.pending(customer := new_id())
    world.end(customer, created.session_id)
    with pytest.raises(AssignmentNotFound):
        world.accept(world.mechanic(), created)


def test_a_busy_mechanic_cannot_take_a_second_one(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    first, second = world.waiting(mechanic, customer), world.queued()
    with pytest.raises(MechanicBusy) as refused:
        world.accept(mechanic, second)
    assert refused.value.slug == "mechanic-busy"
    world.end(customer, first.session_id)
    assert world.accept(mechanic, second).session_status == "waiting"


@pytest.mark.parametrize("kind", ["suspended", "unknown"])
def test_who_is_no_active_mechanic_cannot_accept(world: World, kind: str) -> None:
    created, mechanic = world.queued(), Mechanic(new_id(), new_id())
    if kind == "suspended":
        mechanic = world.mechanic()
        suspend(world, mechanic)
    for assignment_id in (created.assignment_id, new_id()):
        with pytest.raises(MechanicNotActive):
            accept(world.app, mechanic.user_id, assignment_id)


def test_nobody_accepts_their_own_session(world: World) -> None:
    mechanic = world.mechanic()
    created = world.queued(mechanic.user_id)
    with pytest.raises(OwnSession) as refused:
        world.accept(mechanic, created)
    assert (refused.value.status, refused.value.slug) == (403, "own-session")


def test_ones_own_session_stays_ones_own_whoever_has_taken_it(world: World) -> None:
    mechanic = world.mechanic()
    created = world.waiting(world.mechanic(), mechanic.user_id)
    with pytest.raises(OwnSession):
        world.accept(mechanic, created)


def test_a_declined_request_cannot_be_accepted_after_all(world: World) -> None:
    mechanic = world.mechanic()
    created = world.queued(preferredMechanicId=mechanic.id)
    decline(world.app, mechanic.user_id, created.assignment_id)
    with pytest.raises(AssignmentUnavailable):
        world.accept(mechanic, created)
    with pytest.raises(AssignmentNotFound):
        accept(world.app, mechanic.user_id, current(world, created.session_id))


def test_a_scheduled_session_within_its_lead_goes_all_the_way_to_waiting(world: World, next_week: str) -> None:
    created, mechanic = world.queued(scheduledFor=next_week), world.mechanic()
    world.let_time_pass(7 * 86_400 - 14 * 60)
    assert world.accept(mechanic, created).session_status == "waiting"
    assert events(world, created.session_id) == ["scheduled", "pending", "waiting"]
    assert column(world, created.session_id, "released_at") is not None


def test_a_scheduled_offer_can_be_accepted_within_its_lead(world: World, next_week: str) -> None:
    mechanic = world.mechanic()
    created = world.queued(scheduledFor=next_week, preferredMechanicId=mechanic.id)
    world.let_time_pass(7 * 86_400 - 15 * 60 + 30)
    assert world.accept(mechanic, created).session_status == "waiting"


def test_a_busy_mechanic_leaves_a_scheduled_session_as_it_was(world: World, next_week: str) -> None:
    created, mechanic = world.queued(scheduledFor=next_week), world.mechanic()
    world.let_time_pass(7 * 86_400 - 14 * 60)
    world.waiting(mechanic)
    with pytest.raises(MechanicBusy):
        world.accept(mechanic, created)
    assert events(world, created.session_id) == ["scheduled"]


# --- decline --------------------------------------------------------------------------------------


def test_a_declined_offer_is_queued_for_the_others_with_its_old_place(world: World) -> None:
    mechanic, other = world.mechanic(), world.mechanic()
    created = world.queued(preferredMechanicId=mechanic.id)
    declined = decline(world.app, mechanic.user_id, created.assignment_id, "Too far")
    assert (declined.assignment_id, declined.assignment_status) == (created.assignment_id, "declined")
    assert assignments(world, created.session_id) == ["declined", "queued"]
    assert world.one("SELECT count(DISTINCT queued_at) FROM session_assignments") == 1
    assert (sees(world, mechanic), sees(world, other)) == ([], [created.session_id])


def test_declining_again_is_the_same_answer(world: World) -> None:
    mechanic = world.mechanic()
    created = world.queued(preferredMechanicId=mechanic.id)
    first = decline(world.app, mechanic.user_id, created.assignment_id, "Too far")
    assert decline(world.app, mechanic.user_id, created.assignment_id) == first
    accept(world.app, world.mechanic().user_id, current(world, created.session_id))
    assert decline(world.app, mechanic.user_id, created.assignment_id) == first


def test_the_reason_is_kept_where_it_can_be_erased_and_not_in_the_audit_trail(world: World) -> None:
    mechanic = world.mechanic()
    created = world.queued(preferredMechanicId=mechanic.id)
    decline(world.app, mechanic.user_id, created.assignment_id, "Too far")
    row = world.owner.execute("SELECT * FROM session_assignment_events WHERE to_status = 'declined'").fetchone()
    assert row is not None
    assert (row["data"], row["actor"], row["actor_id"]) == (None, "mechanic", mechanic.user_id)
    assert world.one("SELECT decline_reason FROM session_assignments WHERE id = %s", created.assignment_id) == "Too far"


def test_nobody_gives_another_reason_afterwards(world: World) -> None:
    mechanic = world.mechanic()
    created = world.queued(preferredMechanicId=mechanic.id)
    decline(world.app, mechanic.user_id, created.assignment_id)
    change = "UPDATE session_assignments SET decline_reason = 'Rude' WHERE id = %s"
    with pytest.raises(Refused, match="AD004"):
        world.app.execute(change, [created.assignment_id])


@pytest.mark.parametrize("state", ["queued", "accepted", "offered to another"])
def test_only_the_mechanic_offered_may_decline(world: World, state: str) -> None:
    mechanic, other = world.mechanic(), world.mechanic()
    expected: type[Problem] = AssignmentUnavailable
    if state == "offered to another":
        created, expected = world.queued(preferredMechanicId=other.id), AssignmentNotFound
    else:
        created = world.queued() if state == "queued" else world.waiting(mechanic)
    with pytest.raises(expected):
        decline(world.app, mechanic.user_id, created.assignment_id)


def test_a_mechanic_who_is_not_known_cannot_decline(world: World) -> None:
    created = world.queued()
    with pytest.raises(MechanicNotActive):
        decline(world.app, new_id(), created.assignment_id)


def test_a_suspended_mechanic_may_still_ask_about_what_they_declined(world: World) -> None:
    mechanic = world.mechanic()
    created = world.queued(preferredMechanicId=mechanic.id)
    first = decline(world.app, mechanic.user_id, created.assignment_id)
    suspend(world, mechanic)
    assert decline(world.app, mechanic.user_id, created.assignment_id) == first


def test_a_workshop_whose_last_mechanic_declines_loses_the_request_to_everybody(world: World) -> None:
    workshop, anybody = world.workshop(), world.mechanic()
    first, second = world.mechanic(workshop), world.mechanic(workshop)
    created = world.queued(workshopId=workshop, preferredMechanicId=first.id)
    decline(world.app, first.user_id, created.assignment_id)
    assert (sees(world, second), sees(world, anybody)) == ([created.session_id], [])
    suspend(world, second)
    assert (sees(world, anybody), sees(world, first)) == ([created.session_id], [])


# --- suspension -----------------------------------------------------------------------------------


def test_suspending_a_mechanic_queues_their_offers_again(world: World) -> None:
    mechanic, other = world.mechanic(), world.mechanic()
    created = world.queued(preferredMechanicId=mechanic.id)
    suspend(world, mechanic)
    assert assignments(world, created.session_id) == ["expired", "queued"]
    assert sees(world, other) == [created.session_id]
    with pytest.raises(AssignmentUnavailable):
        decline(world.app, mechanic.user_id, created.assignment_id)


def test_a_mechanic_who_is_active_again_sees_the_request_again(world: World) -> None:
    mechanic = world.mechanic()
    created = world.queued(preferredMechanicId=mechanic.id)
    suspend(world, mechanic)
    world.owner.execute("UPDATE mechanics SET status = 'active' WHERE id = %s", [mechanic.id])
    assert sees(world, mechanic) == [created.session_id]


def test_suspending_a_workshops_last_mechanic_opens_its_requests(world: World) -> None:
    workshop, anybody = world.workshop(), world.mechanic()
    mechanic = world.mechanic(workshop)
    queued = world.queued(workshopId=workshop)
    offered = world.queued(workshopId=workshop, preferredMechanicId=mechanic.id)
    suspend(world, mechanic)
    assert set(sees(world, anybody)) == {queued.session_id, offered.session_id}


def test_a_mechanic_who_leaves_a_workshop_leaves_its_requests_behind(world: World) -> None:
    workshop, anybody = world.workshop(), world.mechanic()
    mechanic = world.mechanic(workshop)
    created = world.queued(workshopId=workshop)
    world.owner.execute("UPDATE mechanics SET workshop_id = NULL WHERE id = %s", [mechanic.id])
    assert sees(world, anybody) == sees(world, mechanic) == [created.session_id]


def test_an_offer_that_is_not_shown_yet_cannot_be_declined(world: World, next_week: str) -> None:
    mechanic = world.mechanic()
    created = world.queued(preferredMechanicId=str(mechanic.id), scheduledFor=next_week)
    with pytest.raises(AssignmentNotFound):
        decline(world.app, mechanic.user_id, created.assignment_id)
