"""The sweeps: what was left behind is expired, queued again, brought due, released or ended, and nothing else is."""

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from autodoctor.ids import new_id
from autodoctor.sessions import expiry
from autodoctor.sessions.accept import accept
from autodoctor.sessions.expiry import Swept, sweep
from autodoctor.sessions.presence import join, leave, release
from autodoctor.sessions.queue import fetch_queue
from integration.actors import Mechanic, Stage
from integration.evidence import assignments, column, events, last_event

NOTHING = {
    "orphans": 0,
    "lapsed_offers": 0,
    "opened_to_all": 0,
    "came_due": 0,
    "released": 0,
    "ended": 0,
    "forgotten_keys": 0,
}
TWO_HOURS = 7200


def plenty() -> float:
    return 60.0


def swept(stage: Stage) -> dict[str, int]:
    """What a sweep found, without the zeros."""
    return {name: count for name, count in sweep(stage.app, plenty).model_dump().items() if count}


def sees(stage: Stage, mechanic: Mechanic) -> list[UUID]:
    return [shown.session_id for shown in fetch_queue(stage.app, mechanic.user_id).assignments]


# --- orphans --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["unsigned", "queued", "waiting"])
def test_after_two_hours_a_session_that_did_not_start_expires(stage: Stage, state: str) -> None:
    mechanic = stage.mechanic()
    created = {"unsigned": stage.pending, "queued": stage.queued, "waiting": lambda: stage.waiting(mechanic)}[state]()
    if state == "waiting":
        join(stage.app, mechanic.user_id, created.session_id)
    stage.let_time_pass(TWO_HOURS - 5)
    assert swept(stage) == {}
    stage.let_time_pass(6)
    assert swept(stage) == {"orphans": 1}
    assert (stage.status(created.session_id), assignments(stage, created.session_id)) == ("expired", ["expired"])
    assert last_event(stage, created.session_id)["actor"] == "system:expire-orphans"


def test_an_expired_session_frees_both_parties(stage: Stage) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    stage.waiting(mechanic, customer)
    stage.let_time_pass(TWO_HOURS + 1)
    swept(stage)
    assert stage.live(mechanic, customer).session_status == "pending"


def test_a_live_session_is_no_orphan(stage: Stage) -> None:
    session_id = stage.live(stage.mechanic(), new_id()).session_id
    stage.let_time_pass(TWO_HOURS + 1)
    assert (swept(stage), stage.status(session_id)) == ({}, "live")


def test_the_age_of_a_scheduled_session_counts_from_when_it_came_due(stage: Stage, next_week: str) -> None:
    session_id = stage.queued(scheduledFor=next_week).session_id
    stage.let_time_pass(7 * 86_400 - 14 * 60)
    assert swept(stage) == {"came_due": 1}
    stage.let_time_pass(TWO_HOURS - 5)
    assert swept(stage) == {}
    stage.let_time_pass(6)
    assert (swept(stage), stage.status(session_id)) == ({"orphans": 1}, "expired")


def test_a_release_does_not_make_a_session_younger(stage: Stage) -> None:
    mechanic = stage.mechanic()
    session_id = stage.waiting(mechanic).session_id
    stage.let_time_pass(TWO_HOURS - 60)
    release(stage.app, mechanic.user_id, session_id)
    assert column(stage, session_id, "released_at") is None
    stage.let_time_pass(61)
    assert swept(stage) == {"orphans": 1}


def test_orphans_can_be_expired_by_hand(stage: Stage) -> None:
    for _ in range(3):
        stage.queued()
    stage.let_time_pass(TWO_HOURS + 1)
    assert [stage.one("SELECT expire_orphaned_sessions(2)") for _ in range(3)] == [2, 1, 0]


def test_what_somebody_holds_is_left_for_the_next_run(stage: Stage) -> None:
    held, other = stage.queued(), stage.queued()
    stage.let_time_pass(TWO_HOURS + 1)
    with stage.owner.transaction():
        stage.owner.execute("SELECT FROM sessions WHERE id = %s FOR NO KEY UPDATE", [held.session_id])
        assert swept(stage) == {"orphans": 1}
    assert (stage.status(held.session_id), stage.status(other.session_id)) == ("pending", "expired")
    assert swept(stage) == {"orphans": 1}


# --- offers ---------------------------------------------------------------------------------------


def test_a_lapsed_offer_is_queued_for_everybody_with_its_old_place(stage: Stage) -> None:
    mechanic, other = stage.mechanic(), stage.mechanic()
    created = stage.queued(preferredMechanicId=mechanic.id)
    stage.let_time_pass(119)
    assert swept(stage) == {}
    stage.let_time_pass(1.5)
    assert swept(stage) == {"lapsed_offers": 1}
    assert assignments(stage, created.session_id) == ["expired", "queued"]
    assert stage.one("SELECT count(DISTINCT queued_at) FROM session_assignments") == 1
    assert sees(stage, mechanic) == sees(stage, other) == [created.session_id]


def test_an_offer_that_was_accepted_in_time_does_not_lapse(stage: Stage) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(preferredMechanicId=mechanic.id)
    stage.accept(mechanic, created)
    stage.let_time_pass(121)
    assert (swept(stage), assignments(stage, created.session_id)) == ({}, ["accepted"])


def test_an_offer_of_a_scheduled_session_does_not_lapse_before_it_is_shown(stage: Stage, next_week: str) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(scheduledFor=next_week, preferredMechanicId=mechanic.id)
    stage.let_time_pass(7 * 86_400 - 15 * 60 - 10)
    assert swept(stage) == {}
    stage.let_time_pass(60)
    assert (swept(stage), sees(stage, mechanic)) == ({"came_due": 1}, [created.session_id])
    stage.let_time_pass(80)
    assert swept(stage) == {"lapsed_offers": 1}


# --- scheduled sessions ---------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [True, False])
def test_a_scheduled_session_comes_due_15_minutes_before(stage: Stage, next_week: str, *, signed: bool) -> None:
    created = (stage.queued if signed else stage.pending)(new_id(), scheduledFor=next_week)
    stage.let_time_pass(7 * 86_400 - 15 * 60 - 5)
    assert swept(stage) == {}
    stage.let_time_pass(6)
    assert swept(stage) == {"came_due": 1}
    assert events(stage, created.session_id) == ["scheduled", "pending"]
    assert swept(stage) == {}


def test_a_session_that_came_due_can_be_joined(stage: Stage, next_week: str) -> None:
    created = stage.queued(customer := new_id(), scheduledFor=next_week)
    stage.let_time_pass(7 * 86_400 - 14 * 60)
    swept(stage)
    assert join(stage.app, customer, created.session_id).session_status == "pending"


# --- mechanics who never come ---------------------------------------------------------------------


def test_after_ten_minutes_without_the_mechanic_the_session_is_given_to_the_others(stage: Stage) -> None:
    mechanic, other, customer = stage.mechanic(), stage.mechanic(), new_id()
    created = stage.waiting(mechanic, customer)
    join(stage.app, customer, created.session_id)
    stage.let_time_pass(595)
    assert swept(stage) == {}
    stage.let_time_pass(6)
    assert swept(stage) == {"released": 1}
    assert assignments(stage, created.session_id) == ["expired", "queued"]
    assert sees(stage, other) == [created.session_id]
    assert stage.one("SELECT count(DISTINCT queued_at) FROM session_assignments") == 1


def test_a_mechanic_who_came_once_keeps_the_session(stage: Stage) -> None:
    mechanic = stage.mechanic()
    session_id = stage.waiting(mechanic).session_id
    join(stage.app, mechanic.user_id, session_id)
    leave(stage.app, mechanic.user_id, session_id)
    stage.let_time_pass(3600)
    assert (swept(stage), stage.status(session_id)) == ({}, "waiting")


def test_the_next_mechanic_has_ten_minutes_of_their_own(stage: Stage) -> None:
    session_id = stage.waiting(stage.mechanic()).session_id
    stage.let_time_pass(601)
    swept(stage)
    accept(stage.app, stage.mechanic().user_id, column(stage, session_id, "current_assignment_id"))
    stage.let_time_pass(590)
    assert swept(stage) == {}
    stage.let_time_pass(11)
    assert swept(stage) == {"released": 1}


# --- live sessions --------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["customer", "mechanic"])
def test_ten_minutes_after_one_left_the_session_is_ended(stage: Stage, who: str) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    session_id = stage.live(mechanic, customer).session_id
    stage.let_time_pass(90)
    leave(stage.app, customer if who == "customer" else mechanic.user_id, session_id)
    stage.let_time_pass(595)
    assert swept(stage) == {}
    stage.let_time_pass(6)
    assert swept(stage) == {"ended": 1}
    ended = stage.end(customer, session_id)
    assert (ended.status, ended.duration_seconds, ended.already_ended) == ("completed", 90, True)


def test_who_comes_back_in_time_goes_on(stage: Stage) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    session_id = stage.live(mechanic, customer).session_id
    leave(stage.app, customer, session_id)
    stage.let_time_pass(500)
    join(stage.app, customer, session_id)
    stage.let_time_pass(500)
    assert (swept(stage), stage.status(session_id)) == ({}, "live")


def test_an_abandoned_session_gets_the_same_verdict_as_any_other(stage: Stage) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    session_id = stage.live(mechanic, customer).session_id
    leave(stage.app, mechanic.user_id, session_id)
    stage.let_time_pass(601)
    assert swept(stage) == {"ended": 1}
    assert stage.end(customer, session_id).reason == "too_short"
    assert last_event(stage, session_id)["actor"] == "system:expire-orphans"


def test_past_its_maximum_a_session_is_ended_at_it(stage: Stage) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    session_id = stage.live(mechanic, customer).session_id
    stage.let_time_pass(180 * 60 - 5)
    assert swept(stage) == {}
    stage.let_time_pass(65)
    assert swept(stage) == {"ended": 1}
    assert stage.end(customer, session_id).duration_seconds == 180 * 60


def test_the_maximum_is_the_one_of_the_plan_at_intake(stage: Stage) -> None:
    stage.owner.execute("UPDATE plans SET max_minutes = 20 WHERE code = 'free'")
    session_id = stage.live(stage.mechanic(), customer := new_id()).session_id
    stage.owner.execute("UPDATE plans SET max_minutes = 180 WHERE code = 'free'")
    stage.let_time_pass(20 * 60 + 1)
    assert swept(stage) == {"ended": 1}
    assert stage.end(customer, session_id).duration_seconds == 20 * 60


def test_a_live_session_that_somebody_holds_is_left_for_the_next_run(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autodoctor.sessions.end.PATIENCE_SECONDS", 0.05)
    session_id = stage.live(stage.mechanic(), new_id()).session_id
    stage.let_time_pass(181 * 60)
    with stage.owner.transaction():
        stage.owner.execute("SELECT FROM sessions WHERE id = %s FOR NO KEY UPDATE", [session_id])
        assert swept(stage) == {}
    assert swept(stage) == {"ended": 1}


# --- keys, batches, time --------------------------------------------------------------------------


def test_old_keys_are_forgotten(stage: Stage) -> None:
    for hours in (25, 23):
        stage.owner.execute(
            "INSERT INTO idempotency_keys (user_id, key, request_hash, intake_id, created_at)"
            " VALUES (%s, 'key', '', %s, now() - make_interval(hours => %s))",
            [new_id(), stage.pending().session_id, hours],
        )
    assert swept(stage) == {"forgotten_keys": 1}
    assert stage.one("SELECT count(*) FROM idempotency_keys") == 1


def test_more_than_a_batch_is_done_in_several(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    for _ in range(5):
        stage.queued()
    stage.let_time_pass(TWO_HOURS + 1)
    assert swept(stage) == {"orphans": 5}


def clock(*seconds: float) -> Callable[[], float]:
    """A Lambda whose time runs out: each look at it gives the next value, and then the last one."""
    left: Iterator[float] = iter(seconds)
    last = seconds[-1]
    return lambda: next(left, last)


def test_a_sweep_without_time_does_nothing(stage: Stage) -> None:
    stage.queued()
    stage.live(stage.mechanic(), new_id())
    stage.let_time_pass(181 * 60)
    assert sweep(stage.app, clock(5.0)) == Swept(**NOTHING)
    assert swept(stage) == {"orphans": 1, "ended": 1}


def test_a_sweep_stops_before_its_time_runs_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    for _ in range(5):
        stage.queued()
    stage.let_time_pass(TWO_HOURS + 1)
    assert sweep(stage.app, clock(60.0, 30.0, 4.0)).orphans == 4
    assert swept(stage) == {"orphans": 1}


def test_nothing_to_do_is_nothing_done(stage: Stage) -> None:
    stage.live(stage.mechanic(), new_id())
    stage.queued()
    assert sweep(stage.app, plenty) == Swept(**NOTHING)


# --- requests nobody can reach ----------------------------------------------------------------------


def test_a_request_whose_workshop_was_suspended_unseen_opens_to_everybody(stage: Stage) -> None:
    """A suspension and an intake that commit at the same moment do not see each other."""
    workshop = stage.workshop()
    mechanic, other = stage.mechanic(workshop), stage.mechanic()
    created = stage.queued(workshopId=str(workshop))
    with stage.without_triggers() as connection:
        connection.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", (mechanic.id,))
    assert sees(stage, other) == []
    assert swept(stage) == {"opened_to_all": 1}
    assert sees(stage, other) == [created.session_id]
    assert swept(stage) == {}


# --- scheduled sessions and whom they are for -------------------------------------------------------


def test_a_scheduled_session_brought_forward_by_hand_is_shown_at_once(stage: Stage, next_week: str) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(scheduledFor=next_week)
    assert sees(stage, mechanic) == []
    stage.owner.execute("UPDATE sessions SET status = 'pending' WHERE id = %s", (created.session_id,))
    assert sees(stage, mechanic) == [created.session_id]


def test_a_scheduled_session_waits_only_from_its_lead_time(stage: Stage, next_week: str) -> None:
    """Who signed days ago for today is not listed before those who wait since this morning."""
    created = stage.queued(scheduledFor=next_week)
    row = stage.owner.execute(
        "SELECT queued_at, available_at FROM session_assignments WHERE session_id = %s", (created.session_id,)
    ).fetchone()
    assert row is not None
    assert row["queued_at"] == row["available_at"]


def test_a_mechanic_who_is_busy_now_is_offered_what_is_for_next_week(stage: Stage, next_week: str) -> None:
    mechanic = stage.mechanic()
    stage.waiting(mechanic)
    assert stage.queued(preferredMechanicId=str(mechanic.id)).assignment_status == "queued"
    later = stage.queued(preferredMechanicId=str(mechanic.id), scheduledFor=next_week)
    assert later.assignment_status == "offered"


def test_who_left_the_workshop_before_the_signature_is_not_offered_its_request(stage: Stage) -> None:
    workshop = stage.workshop()
    leaver, stayer, customer = stage.mechanic(workshop), stage.mechanic(workshop), new_id()
    created = stage.pending(customer, workshopId=str(workshop), preferredMechanicId=str(leaver.id))
    stage.owner.execute("UPDATE mechanics SET workshop_id = NULL WHERE id = %s", (leaver.id,))
    assert stage.sign(customer, created.session_id) == "queued"
    assert (sees(stage, leaver), sees(stage, stayer)) == ([], [created.session_id])


def test_a_request_whose_last_mechanic_was_deleted_opens_to_everybody(stage: Stage) -> None:
    workshop = stage.workshop()
    mechanic, other = stage.mechanic(workshop), stage.mechanic()
    created = stage.queued(workshopId=str(workshop))
    stage.owner.execute("DELETE FROM mechanics WHERE id = %s", (mechanic.id,))
    assert swept(stage) == {"opened_to_all": 1}
    assert sees(stage, other) == [created.session_id]
