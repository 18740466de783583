"""The sweeps: leftover sessions are expired, queued again, made due, released or ended, and no others are."""

from collections.abc import Callable, Iterator

import pytest

from autodoctor.ids import new_id
from autodoctor.sessions import expiry
from autodoctor.sessions.accept import accept
from autodoctor.sessions.expiry import Swept, sweep
from autodoctor.sessions.presence import join, leave, release
from support.sessions.evidence import assignments, column, events, last_event
from support.sessions.sweeping import sees, swept, swept_all
from support.world import World

NOTHING = {
    "orphans": 0,
    "lapsed_offers": 0,
    "opened_to_all": 0,
    "came_due": 0,
    "released": 0,
    "ended": 0,
    "late_replies": 0,
    "last_minutes": 0,
    "summaries": 0,
    "forgotten_keys": 0,
    "forgotten_counters": 0,
}
TWO_HOURS = 7200


@pytest.fixture
def long_talk(world: World) -> None:
    """The minutes of a plan are as many as it may ever last."""
    world.owner.execute("UPDATE plans SET included_minutes = max_minutes WHERE code = 'free'")


# --- orphans --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["unsigned", "queued", "waiting"])
def test_after_two_hours_a_session_that_did_not_start_expires(world: World, state: str) -> None:
    mechanic = world.mechanic()
    created = {"unsigned": world.pending, "queued": world.queued, "waiting": lambda: world.waiting(mechanic)}[state]()
    if state == "waiting":
        join(world.app, mechanic.user_id, created.session_id)
    world.let_time_pass(TWO_HOURS - 5)
    assert swept(world) == {}
    world.let_time_pass(6)
    assert swept(world) == {"orphans": 1}
    assert (world.status(created.session_id), assignments(world, created.session_id)) == ("expired", ["expired"])
    assert last_event(world, created.session_id)["actor"] == "system:expire-orphans"


def test_an_expired_session_frees_both_parties(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    world.waiting(mechanic, customer)
    world.let_time_pass(TWO_HOURS + 1)
    swept(world)
    assert world.live(mechanic, customer).session_status == "pending"


@pytest.mark.usefixtures("long_talk")
def test_a_live_session_is_no_orphan(world: World) -> None:
    session_id = world.live(world.mechanic(), new_id()).session_id
    world.let_time_pass(TWO_HOURS + 1)
    assert (swept(world), world.status(session_id)) == ({}, "live")


def test_the_age_of_a_scheduled_session_counts_from_when_it_came_due(world: World, next_week: str) -> None:
    session_id = world.queued(scheduledFor=next_week).session_id
    world.let_time_pass(7 * 86_400 - 14 * 60)
    assert swept(world) == {"came_due": 1}
    world.let_time_pass(TWO_HOURS - 5)
    assert swept(world) == {}
    world.let_time_pass(6)
    assert (swept(world), world.status(session_id)) == ({"orphans": 1}, "expired")


def test_a_release_does_not_make_a_session_younger(world: World) -> None:
    mechanic = world.mechanic()
    session_id = world.waiting(mechanic).session_id
    world.let_time_pass(TWO_HOURS - 60)
    release(world.app, mechanic.user_id, session_id)
    assert column(world, session_id, "released_at") is None
    world.let_time_pass(61)
    assert swept(world) == {"orphans": 1}


def test_orphans_can_be_expired_by_hand(world: World) -> None:
    for _ in range(3):
        world.queued()
    world.let_time_pass(TWO_HOURS + 1)
    assert [world.one("SELECT expire_orphaned_sessions(2)") for _ in range(3)] == [2, 1, 0]


def test_what_somebody_holds_is_left_for_the_next_run(world: World) -> None:
    held, other = world.queued(), world.queued()
    world.let_time_pass(TWO_HOURS + 1)
    with world.owner.transaction():
        world.owner.execute("SELECT FROM sessions WHERE id = %s FOR NO KEY UPDATE", [held.session_id])
        assert swept(world) == {"orphans": 1}
    assert (world.status(held.session_id), world.status(other.session_id)) == ("pending", "expired")
    assert swept(world) == {"orphans": 1}


# --- offers ---------------------------------------------------------------------------------------


def test_a_lapsed_offer_is_queued_for_everybody_with_its_old_place(world: World) -> None:
    mechanic, other = world.mechanic(), world.mechanic()
    created = world.queued(preferredMechanicId=mechanic.id)
    world.let_time_pass(110)
    assert swept(world) == {}
    world.let_time_pass(10.5)
    assert swept(world) == {"lapsed_offers": 1}
    assert assignments(world, created.session_id) == ["expired", "queued"]
    assert world.one("SELECT count(DISTINCT queued_at) FROM session_assignments") == 1
    assert sees(world, mechanic) == sees(world, other) == [created.session_id]


def test_an_offer_that_was_accepted_in_time_does_not_lapse(world: World) -> None:
    mechanic = world.mechanic()
    created = world.queued(preferredMechanicId=mechanic.id)
    world.accept(mechanic, created)
    world.let_time_pass(121)
    assert (swept(world), assignments(world, created.session_id)) == ({}, ["accepted"])


def test_an_offer_of_a_scheduled_session_does_not_lapse_before_it_is_shown(world: World, next_week: str) -> None:
    mechanic = world.mechanic()
    created = world.queued(scheduledFor=next_week, preferredMechanicId=mechanic.id)
    world.let_time_pass(7 * 86_400 - 15 * 60 - 10)
    assert swept(world) == {}
    world.let_time_pass(60)
    assert (swept(world), sees(world, mechanic)) == ({"came_due": 1}, [created.session_id])
    world.let_time_pass(80)
    assert swept(world) == {"lapsed_offers": 1}


# --- scheduled sessions ---------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [True, False])
def test_a_scheduled_session_comes_due_15_minutes_before(world: World, next_week: str, *, signed: bool) -> None:
    created = (world.queued if signed else world.pending)(new_id(), scheduledFor=next_week)
    world.let_time_pass(7 * 86_400 - 15 * 60 - 5)
    assert swept(world) == {}
    world.let_time_pass(6)
    assert swept(world) == {"came_due": 1}
    assert events(world, created.session_id) == ["scheduled", "pending"]
    assert swept(world) == {}


def test_a_session_that_came_due_can_be_joined(world: World, next_week: str) -> None:
    created = world.queued(customer := new_id(), scheduledFor=next_week)
    world.let_time_pass(7 * 86_400 - 14 * 60)
    swept(world)
    assert join(world.app, customer, created.session_id).session_status == "pending"


# --- mechanics who never come ---------------------------------------------------------------------


def test_after_ten_minutes_without_the_mechanic_the_session_is_given_to_the_others(world: World) -> None:
    mechanic, other, customer = world.mechanic(), world.mechanic(), new_id()
    created = world.waiting(mechanic, customer)
    join(world.app, customer, created.session_id)
    world.let_time_pass(585)
    assert swept(world) == {"late_replies": 1}
    world.let_time_pass(16)
    assert swept(world) == {"released": 1}
    assert assignments(world, created.session_id) == ["expired", "queued"]
    assert sees(world, other) == [created.session_id]
    assert world.one("SELECT count(DISTINCT queued_at) FROM session_assignments") == 1


def test_a_mechanic_who_came_once_has_ten_minutes_to_come_back(world: World) -> None:
    mechanic = world.mechanic()
    session_id = world.waiting(mechanic).session_id
    world.let_time_pass(500)
    join(world.app, mechanic.user_id, session_id)
    world.let_time_pass(3000)
    assert (swept(world), world.status(session_id)) == ({}, "waiting")
    leave(world.app, mechanic.user_id, session_id)
    world.let_time_pass(590)
    assert (swept(world), world.status(session_id)) == ({}, "waiting")
    world.let_time_pass(11)
    assert (swept(world), world.status(session_id)) == ({"released": 1}, "pending")


def test_what_was_accepted_a_moment_ago_is_no_orphan(world: World) -> None:
    customer, mechanic = new_id(), world.mechanic()
    created = world.queued(customer)
    world.let_time_pass(TWO_HOURS - 5)
    world.accept(mechanic, created)
    join(world.app, customer, created.session_id)
    world.let_time_pass(10)
    assert (swept(world), world.status(created.session_id)) == ({}, "waiting")


def test_the_next_mechanic_has_ten_minutes_of_their_own(world: World) -> None:
    session_id = world.waiting(world.mechanic()).session_id
    world.let_time_pass(601)
    swept(world)
    accept(world.app, world.mechanic().user_id, column(world, session_id, "current_assignment_id"))
    world.let_time_pass(590)
    assert swept(world) == {}
    world.let_time_pass(11)
    assert swept(world) == {"released": 1}


# --- live sessions --------------------------------------------------------------------------------


@pytest.mark.usefixtures("long_talk")
@pytest.mark.parametrize("who", ["customer", "mechanic"])
def test_ten_minutes_after_one_left_the_session_is_ended(world: World, who: str) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(90)
    leave(world.app, customer if who == "customer" else mechanic.user_id, session_id)
    world.let_time_pass(585)
    assert swept(world) == {}
    world.let_time_pass(16)
    assert swept(world) == {"ended": 1}
    ended = world.end(customer, session_id)
    assert (ended.status, ended.already_ended) == ("completed", True)
    assert ended.duration_seconds in range(90, 100)


@pytest.mark.usefixtures("long_talk")
def test_who_comes_back_in_time_goes_on(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    leave(world.app, customer, session_id)
    world.let_time_pass(500)
    join(world.app, customer, session_id)
    world.let_time_pass(500)
    assert (swept(world), world.status(session_id)) == ({}, "live")


def test_an_abandoned_session_gets_the_same_verdict_as_any_other(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    leave(world.app, mechanic.user_id, session_id)
    world.let_time_pass(601)
    assert swept(world) == {"ended": 1}
    assert world.end(customer, session_id).reason == "too_short"
    assert last_event(world, session_id)["actor"] == "system:expire-orphans"


@pytest.mark.usefixtures("long_talk")
def test_past_its_maximum_a_session_is_ended_at_it(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(180 * 60 - 30)
    assert swept(world) == {"last_minutes": 1}
    world.let_time_pass(90)
    assert swept(world) == {"ended": 1}
    assert world.end(customer, session_id).duration_seconds == 180 * 60


def test_the_maximum_is_the_one_of_the_plan_at_intake(world: World) -> None:
    world.owner.execute("UPDATE plans SET included_minutes = 20, max_minutes = 20 WHERE code = 'free'")
    session_id = world.live(world.mechanic(), customer := new_id()).session_id
    world.owner.execute("UPDATE plans SET max_minutes = 180 WHERE code = 'free'")
    world.let_time_pass(20 * 60 + 1)
    assert swept(world) == {"ended": 1}
    assert world.end(customer, session_id).duration_seconds == 20 * 60


def test_a_live_session_that_somebody_holds_is_left_for_the_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autodoctor.sessions.end.PATIENCE_SECONDS", 0.05)
    session_id = world.live(world.mechanic(), new_id()).session_id
    world.let_time_pass(181 * 60)
    with world.owner.transaction():
        world.owner.execute("SELECT FROM sessions WHERE id = %s FOR NO KEY UPDATE", [session_id])
        assert swept(world) == {}
    assert swept(world) == {"ended": 1}


# --- keys, batches, time --------------------------------------------------------------------------


def test_old_keys_are_forgotten(world: World) -> None:
    for hours in (25, 23):
        world.owner.execute(
            "INSERT INTO idempotency_keys (user_id, key, request_hash, intake_id, created_at)"
            " VALUES (%s, 'key', '', %s, now() - make_interval(hours => %s))",
            [new_id(), world.pending().session_id, hours],
        )
    assert swept(world) == {"forgotten_keys": 1}
    assert world.one("SELECT count(*) FROM idempotency_keys") == 1


def test_more_than_a_batch_is_done_in_several(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    for _ in range(5):
        world.queued()
    world.let_time_pass(TWO_HOURS + 1)
    assert swept(world) == {"orphans": 5}


def clock(*seconds: float) -> Callable[[], float]:
    """A Lambda whose time runs out: each look at it gives the next value, and then the last one."""
    left: Iterator[float] = iter(seconds)
    last = seconds[-1]
    return lambda: next(left, last)


def test_a_sweep_without_time_does_nothing(world: World) -> None:
    world.queued()
    world.live(world.mechanic(), new_id())
    world.let_time_pass(181 * 60)
    assert sweep(world.app, clock(5.0)) == Swept(**NOTHING)
    assert swept(world) == {"orphans": 1, "ended": 1}


def test_a_sweep_stops_before_its_time_runs_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    for _ in range(5):
        world.queued()
    world.let_time_pass(TWO_HOURS + 1)
    assert sweep(world.app, clock(60.0, 30.0, 4.0)).orphans == 4
    assert swept(world) == {"orphans": 1}


def test_nothing_to_do_is_nothing_done(world: World) -> None:
    world.live(world.mechanic(), new_id())
    world.queued()
    assert swept_all(world.app) == Swept(**NOTHING)


@pytest.mark.parametrize("what", ["orphans", "ended"])
def test_one_that_cannot_be_swept_keeps_no_other_from_it(world: World, what: str) -> None:
    stuck, other = (
        [world.queued().session_id for _ in range(2)]
        if what == "orphans"
        else [world.live(world.mechanic(), new_id()).session_id for _ in range(2)]
    )
    world.owner.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$"
    )
    world.owner.execute(
        f"CREATE TRIGGER refuse BEFORE UPDATE ON sessions FOR EACH ROW WHEN (OLD.id = '{stuck}')"
        " EXECUTE FUNCTION refuse()".encode()
    )
    world.let_time_pass(4 * 3600)
    assert swept(world) == {what: 1}
    assert world.status(other) in {"expired", "completed"}
    assert world.status(stuck) in {"pending", "live"}
