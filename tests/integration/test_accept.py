"""Accepting and declining: who gets a request, who is told it is gone, and what follows from a no."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

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
from integration.actors import Mechanic, Stage
from integration.evidence import assignments, column, events, last_event


def sees(stage: Stage, mechanic: Mechanic) -> list[UUID]:
    return [shown.session_id for shown in fetch_queue(stage.app, mechanic.user_id).assignments]


def suspend(stage: Stage, mechanic: Mechanic) -> None:
    stage.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [mechanic.id])


def current(stage: Stage, session_id: UUID) -> UUID:
    current: UUID = column(stage, session_id, "current_assignment_id")
    return current


# --- accept ---------------------------------------------------------------------------------------


def test_who_accepts_gets_the_session(stage: Stage) -> None:
    created, mechanic = stage.queued(), stage.mechanic()
    assert stage.accept(mechanic, created) == Accepted(
        assignment_id=created.assignment_id, session_id=created.session_id, session_status="waiting"
    )
    assert column(stage, created.session_id, "mechanic_id") == mechanic.id
    assert events(stage, created.session_id) == ["pending", "waiting"]
    event = last_event(stage, created.session_id)
    assert (event["actor"], event["actor_id"]) == ("mechanic", mechanic.user_id)


def test_the_same_mechanic_accepts_twice_with_the_same_answer(stage: Stage) -> None:
    created, mechanic = stage.queued(customer := new_id()), stage.mechanic()
    first = stage.accept(mechanic, created)
    assert stage.accept(mechanic, created) == first
    join(stage.app, customer, created.session_id)
    join(stage.app, mechanic.user_id, created.session_id)
    assert stage.accept(mechanic, created).session_status == "live"
    assert events(stage, created.session_id).count("waiting") == 1


def test_another_mechanic_is_told_it_is_taken(stage: Stage) -> None:
    created = stage.waiting(stage.mechanic())
    with pytest.raises(AssignmentUnavailable) as refused:
        stage.accept(stage.mechanic(), created)
    assert refused.value.extras == {"assignmentId": str(created.assignment_id)}


def test_of_two_mechanics_at_once_one_gets_it(stage: Stage) -> None:
    created, barrier = stage.queued(), threading.Barrier(2)

    def take(mechanic: Mechanic) -> str:
        with stage.elsewhere() as database:
            barrier.wait()
            try:
                return accept(database, mechanic.user_id, created.assignment_id).session_status
            except AssignmentUnavailable as refused:
                return refused.slug

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(take, [stage.mechanic(), stage.mechanic()]))
    assert answers == ["assignment-unavailable", "waiting"]


@pytest.mark.parametrize("how", ["withdrawn", "expired", "completed", "released"])
def test_what_is_over_is_no_longer_available(stage: Stage, how: str) -> None:
    customer, first, second = new_id(), stage.mechanic(), stage.mechanic()
    created = stage.queued(customer)
    if how == "withdrawn":
        stage.end(customer, created.session_id)
    elif how == "expired":
        stage.let_time_pass(7201)
        stage.owner.execute("SELECT expire_orphaned_sessions()")
    else:
        stage.accept(first, created)
        if how == "completed":
            stage.end(customer, created.session_id)
        else:
            release(stage.app, first.user_id, created.session_id)
    with pytest.raises(AssignmentUnavailable):
        stage.accept(second, created)


def test_an_offer_past_its_deadline_is_unavailable_also_before_the_sweep(stage: Stage) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(preferredMechanicId=mechanic.id)
    stage.let_time_pass(121)
    with pytest.raises(AssignmentUnavailable):
        stage.accept(mechanic, created)
    with pytest.raises(AssignmentUnavailable):
        decline(stage.app, mechanic.user_id, created.assignment_id)
    assert assignments(stage, created.session_id) == ["offered"]


def test_an_assignment_that_was_never_visible_is_not_found(stage: Stage, next_week: str) -> None:
    mechanic, workshop = stage.mechanic(), stage.workshop()
    employed = stage.mechanic(workshop)
    hidden = [
        stage.pending(),
        stage.queued(workshopId=workshop),
        stage.queued(preferredMechanicId=employed.id),
        stage.queued(scheduledFor=next_week),
    ]
    for created in hidden:
        with pytest.raises(AssignmentNotFound):
            stage.accept(mechanic, created)
        with pytest.raises(AssignmentNotFound):
            decline(stage.app, mechanic.user_id, created.assignment_id)
    with pytest.raises(AssignmentNotFound):
        accept(stage.app, mechanic.user_id, new_id())


def test_what_was_withdrawn_before_its_signature_was_never_visible(stage: Stage) -> None:
    created = stage.pending(customer := new_id())
    stage.end(customer, created.session_id)
    with pytest.raises(AssignmentNotFound):
        stage.accept(stage.mechanic(), created)


def test_a_busy_mechanic_cannot_take_a_second_one(stage: Stage) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    first, second = stage.waiting(mechanic, customer), stage.queued()
    with pytest.raises(MechanicBusy) as refused:
        stage.accept(mechanic, second)
    assert refused.value.slug == "mechanic-busy"
    stage.end(customer, first.session_id)
    assert stage.accept(mechanic, second).session_status == "waiting"


@pytest.mark.parametrize("kind", ["suspended", "unknown"])
def test_who_is_no_active_mechanic_cannot_accept(stage: Stage, kind: str) -> None:
    created, mechanic = stage.queued(), Mechanic(new_id(), new_id())
    if kind == "suspended":
        mechanic = stage.mechanic()
        suspend(stage, mechanic)
    for assignment_id in (created.assignment_id, new_id()):
        with pytest.raises(MechanicNotActive):
            accept(stage.app, mechanic.user_id, assignment_id)


def test_nobody_accepts_their_own_session(stage: Stage) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(mechanic.user_id)
    with pytest.raises(OwnSession) as refused:
        stage.accept(mechanic, created)
    assert (refused.value.status, refused.value.slug) == (403, "own-session")


def test_ones_own_session_stays_ones_own_whoever_has_taken_it(stage: Stage) -> None:
    mechanic = stage.mechanic()
    created = stage.waiting(stage.mechanic(), mechanic.user_id)
    with pytest.raises(OwnSession):
        stage.accept(mechanic, created)


def test_a_declined_request_cannot_be_accepted_after_all(stage: Stage) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(preferredMechanicId=mechanic.id)
    decline(stage.app, mechanic.user_id, created.assignment_id)
    with pytest.raises(AssignmentUnavailable):
        stage.accept(mechanic, created)
    with pytest.raises(AssignmentNotFound):
        accept(stage.app, mechanic.user_id, current(stage, created.session_id))


def test_a_scheduled_session_within_its_lead_goes_all_the_way_to_waiting(stage: Stage, next_week: str) -> None:
    created, mechanic = stage.queued(scheduledFor=next_week), stage.mechanic()
    stage.let_time_pass(7 * 86_400 - 14 * 60)
    assert stage.accept(mechanic, created).session_status == "waiting"
    assert events(stage, created.session_id) == ["scheduled", "pending", "waiting"]
    assert column(stage, created.session_id, "released_at") is not None


def test_a_scheduled_offer_can_be_accepted_within_its_lead(stage: Stage, next_week: str) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(scheduledFor=next_week, preferredMechanicId=mechanic.id)
    stage.let_time_pass(7 * 86_400 - 15 * 60 + 30)
    assert stage.accept(mechanic, created).session_status == "waiting"


def test_a_busy_mechanic_leaves_a_scheduled_session_as_it_was(stage: Stage, next_week: str) -> None:
    created, mechanic = stage.queued(scheduledFor=next_week), stage.mechanic()
    stage.let_time_pass(7 * 86_400 - 14 * 60)
    stage.waiting(mechanic)
    with pytest.raises(MechanicBusy):
        stage.accept(mechanic, created)
    assert events(stage, created.session_id) == ["scheduled"]


# --- decline --------------------------------------------------------------------------------------


def test_a_declined_offer_is_queued_for_the_others_with_its_old_place(stage: Stage) -> None:
    mechanic, other = stage.mechanic(), stage.mechanic()
    created = stage.queued(preferredMechanicId=mechanic.id)
    declined = decline(stage.app, mechanic.user_id, created.assignment_id, "Too far")
    assert (declined.assignment_id, declined.assignment_status) == (created.assignment_id, "declined")
    assert assignments(stage, created.session_id) == ["declined", "queued"]
    assert stage.one("SELECT count(DISTINCT queued_at) FROM session_assignments") == 1
    assert (sees(stage, mechanic), sees(stage, other)) == ([], [created.session_id])


def test_declining_again_is_the_same_answer(stage: Stage) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(preferredMechanicId=mechanic.id)
    first = decline(stage.app, mechanic.user_id, created.assignment_id, "Too far")
    assert decline(stage.app, mechanic.user_id, created.assignment_id) == first
    accept(stage.app, stage.mechanic().user_id, current(stage, created.session_id))
    assert decline(stage.app, mechanic.user_id, created.assignment_id) == first


def test_the_reason_is_kept_with_the_audit_row(stage: Stage) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(preferredMechanicId=mechanic.id)
    decline(stage.app, mechanic.user_id, created.assignment_id, "Too far")
    row = stage.owner.execute("SELECT * FROM session_assignment_events WHERE to_status = 'declined'").fetchone()
    assert row is not None
    assert (row["data"], row["actor"], row["actor_id"]) == ({"reason": "Too far"}, "mechanic", mechanic.user_id)


@pytest.mark.parametrize("state", ["queued", "accepted", "offered to another"])
def test_only_the_mechanic_offered_may_decline(stage: Stage, state: str) -> None:
    mechanic, other = stage.mechanic(), stage.mechanic()
    expected: type[Problem] = AssignmentUnavailable
    if state == "offered to another":
        created, expected = stage.queued(preferredMechanicId=other.id), AssignmentNotFound
    else:
        created = stage.queued() if state == "queued" else stage.waiting(mechanic)
    with pytest.raises(expected):
        decline(stage.app, mechanic.user_id, created.assignment_id)


def test_a_mechanic_who_is_not_known_cannot_decline(stage: Stage) -> None:
    created = stage.queued()
    with pytest.raises(MechanicNotActive):
        decline(stage.app, new_id(), created.assignment_id)


def test_a_suspended_mechanic_may_still_ask_about_what_they_declined(stage: Stage) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(preferredMechanicId=mechanic.id)
    first = decline(stage.app, mechanic.user_id, created.assignment_id)
    suspend(stage, mechanic)
    assert decline(stage.app, mechanic.user_id, created.assignment_id) == first


def test_a_workshop_whose_last_mechanic_declines_loses_the_request_to_everybody(stage: Stage) -> None:
    workshop, anybody = stage.workshop(), stage.mechanic()
    first, second = stage.mechanic(workshop), stage.mechanic(workshop)
    created = stage.queued(workshopId=workshop, preferredMechanicId=first.id)
    decline(stage.app, first.user_id, created.assignment_id)
    assert (sees(stage, second), sees(stage, anybody)) == ([created.session_id], [])
    suspend(stage, second)
    assert (sees(stage, anybody), sees(stage, first)) == ([created.session_id], [])


# --- suspension -----------------------------------------------------------------------------------


def test_suspending_a_mechanic_queues_their_offers_again(stage: Stage) -> None:
    mechanic, other = stage.mechanic(), stage.mechanic()
    created = stage.queued(preferredMechanicId=mechanic.id)
    suspend(stage, mechanic)
    assert assignments(stage, created.session_id) == ["expired", "queued"]
    assert sees(stage, other) == [created.session_id]
    with pytest.raises(AssignmentUnavailable):
        decline(stage.app, mechanic.user_id, created.assignment_id)


def test_a_mechanic_who_is_active_again_sees_the_request_again(stage: Stage) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(preferredMechanicId=mechanic.id)
    suspend(stage, mechanic)
    stage.owner.execute("UPDATE mechanics SET status = 'active' WHERE id = %s", [mechanic.id])
    assert sees(stage, mechanic) == [created.session_id]


def test_suspending_a_workshops_last_mechanic_opens_its_requests(stage: Stage) -> None:
    workshop, anybody = stage.workshop(), stage.mechanic()
    mechanic = stage.mechanic(workshop)
    queued = stage.queued(workshopId=workshop)
    offered = stage.queued(workshopId=workshop, preferredMechanicId=mechanic.id)
    suspend(stage, mechanic)
    assert set(sees(stage, anybody)) == {queued.session_id, offered.session_id}


def test_a_mechanic_who_leaves_a_workshop_leaves_its_requests_behind(stage: Stage) -> None:
    workshop, anybody = stage.workshop(), stage.mechanic()
    mechanic = stage.mechanic(workshop)
    created = stage.queued(workshopId=workshop)
    stage.owner.execute("UPDATE mechanics SET workshop_id = NULL WHERE id = %s", [mechanic.id])
    assert sees(stage, anybody) == sees(stage, mechanic) == [created.session_id]


def test_an_offer_that_is_not_shown_yet_cannot_be_declined(stage: Stage, next_week: str) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(preferredMechanicId=str(mechanic.id), scheduledFor=next_week)
    with pytest.raises(AssignmentNotFound):
        decline(stage.app, mechanic.user_id, created.assignment_id)
