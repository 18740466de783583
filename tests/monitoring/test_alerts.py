"""The four alert views and the limits: each finds the sessions it names, and no sound ones."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.settlement import settle
from autodoctor.sessions.presence import join, leave
from support.money.purchases import complete, pay_by_card
from support.sessions.past_sessions import PastSessions, Story, free, no_show
from support.world import World

LOST = (
    "sessions_completed_iff_long_enough",
    "sessions_reason_fits_history",
    "sessions_reason_fits_status",
    "sessions_start_is_proven",
)


def alerts(world: World) -> set[tuple[str, str, UUID]]:
    rows = world.owner.execute("SELECT * FROM sessions_needing_review")
    return {(row["alert"], row["severity"], row["session_id"]) for row in rows}


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


# --- wrongly marked ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "marked", "expected"),
    [
        (free(), {}, None),
        (free(parted=140), {}, None),  # exactly 60 s
        (free(reason="too_short", parted=139), {}, None),
        (free(), {"status": "cancelled", "end_reason": "too_short"}, "completed"),
        (free(), {"status": "expired", "end_reason": "expired"}, "completed"),
        (free(), {"status": "cancelled", "end_reason": "no_show", "absent": "both"}, "completed"),
        (free(reason="too_short", parted=100), {"status": "completed", "end_reason": "billable"}, "cancelled"),
        (free(evidence=False), {}, "cancelled"),
        (free(reason="too_short", parted=90), {"end_reason": "withdrawn"}, "cancelled"),
        (free(parted=80 + 4 * 3600), {}, None),  # its plan's longest is 3 hours
    ],
)
def test_an_outcome_that_the_evidence_contradicts_is_wrongly_marked(
    world: World, past_sessions: PastSessions, story: Story, marked: dict[str, object], expected: str | None
) -> None:
    session_id = past_sessions.session(ago(hours=5), story)
    mark(world, session_id, **marked)
    rows = world.owner.execute("SELECT session_id, expected FROM alert_wrongly_marked").fetchall()
    assert rows == ([] if expected is None else [{"session_id": session_id, "expected": expected}])


def mark(world: World, session_id: UUID, **columns: object) -> None:
    """Write what no statement could while the constraints hold: as a database would be that had lost them."""
    with world.without_triggers() as connection:
        for name in LOST:
            connection.execute(f"ALTER TABLE sessions DROP CONSTRAINT {name}".encode())
        for column, value in columns.items():
            connection.execute(f"UPDATE sessions SET {column} = %s WHERE id = %s".encode(), [value, session_id])


def test_healthy_sessions_of_every_kind_raise_no_alarm(world: World) -> None:
    """Walked through the real use cases, with leaves, returns, a release and a second mechanic."""
    customer, first, second = new_id(), world.mechanic(), world.mechanic()
    created = world.waiting(first, customer)
    world.owner.execute("UPDATE sessions SET status = 'pending' WHERE id = %s", [created.session_id])
    world.accept_current(second, created.session_id)
    world.meet(created.session_id, customer, second)
    world.let_time_pass(70)
    leave(world.app, customer, created.session_id)
    world.let_time_pass(50)
    join(world.app, customer, created.session_id)
    assert world.end(customer, created.session_id).status == "completed"
    for _ in range(2):
        other = new_id()
        world.end(other, world.live(world.mechanic(), other).session_id)
        world.end(other, world.queued(other).session_id)
        world.end(other, world.waiting(world.mechanic(), other).session_id)
    assert alerts(world) == set()


def test_a_wrongly_marked_session_stays_an_alert_until_it_is_mended(world: World, past_sessions: PastSessions) -> None:
    session_id = past_sessions.session(ago(hours=30), free(evidence=False))
    assert alerts(world) == set()  # nobody was told in time
    decided: Any = world.one("SELECT occurred_at FROM session_events WHERE to_status = 'completed'")
    world.owner.execute(
        "INSERT INTO health_alerts (alert, subject, severity, since, facts)"
        " VALUES ('wrongly_marked', %s, 'critical', %s, '{}')",
        [session_id, decided],
    )
    assert alerts(world) == {("wrongly_marked", "critical", session_id)}


# --- stuck live -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "minutes", "seconds", "severity"),
    [
        (True, None, 899, None),  # the sweep has 10 minutes, and 5 more
        (True, None, 901, "warning"),
        (True, None, 600 + 1801, "critical"),
        (False, 20, 21 * 60 + 299, None),  # the minutes, their grace, and 5 minutes more
        (False, 20, 21 * 60 + 301, "warning"),
        (False, None, 3 * 3600 + 299, None),
        (False, None, 3 * 3600 + 301, "warning"),
    ],
)
def test_a_live_session_that_no_sweep_ends_is_stuck(
    world: World, *, left: bool, minutes: int | None, seconds: float, severity: str | None
) -> None:
    world.owner.execute("UPDATE plans SET included_minutes = coalesce(%s, max_minutes)", [minutes])
    customer = new_id()
    created = world.live(world.mechanic(), customer)
    if left:
        leave(world.app, customer, created.session_id)
    world.let_time_pass(seconds)
    assert alerts(world) == ({("stuck_live", severity, created.session_id)} if severity else set())


# --- completed without settlement -------------------------------------------------------------------


def test_a_completed_session_that_is_not_settled_in_time(world: World) -> None:
    customer = new_id()
    created = pay_by_card(world, customer)
    complete(world, created, customer, world.mechanic())
    assert alerts(world) == set()
    world.let_time_pass(901)
    assert alerts(world) == {("completed_without_settlement", "warning", created.session_id)}
    world.let_time_pass(2700)
    assert alerts(world) == {("completed_without_settlement", "critical", created.session_id)}
    settle(world.app, created.session_id)
    assert alerts(world) == set()


def test_one_that_is_not_even_noted_as_due_is_found(world: World, past_sessions: PastSessions) -> None:
    session_id = past_sessions.session(ago(hours=2))
    past_sessions.session(ago(hours=2), free())
    past_sessions.session(ago(hours=2), no_show())
    assert alerts(world) == {("completed_without_settlement", "critical", session_id)}


# --- waiting too long -------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "severity"), [(599, None), (601, "warning"), (1801, "critical")])
def test_a_customer_who_waits_too_long(world: World, seconds: float, severity: str | None) -> None:
    created = world.queued()
    world.pending()  # has not signed: waits for nobody
    world.waiting(world.mechanic())  # was accepted
    world.let_time_pass(seconds)
    assert alerts(world) == ({("waiting_too_long", severity, created.session_id)} if severity else set())


def test_a_scheduled_session_does_not_wait_before_its_lead_time(world: World) -> None:
    world.queued(scheduledFor=datetime.now(UTC) + timedelta(hours=3))
    world.let_time_pass(3600)
    assert alerts(world) == set()


# --- limits -----------------------------------------------------------------------------------------


def limits(world: World) -> dict[tuple[str, UUID | None], tuple[float, int]]:
    rows = world.owner.execute("SELECT * FROM health_limits_passed()")
    return {(row["alert"], row["mechanic_id"]): (float(row["percent"]), row["sessions"]) for row in rows}


def test_percentages_beyond_their_limits_of_all_and_of_one_mechanic(world: World, past_sessions: PastSessions) -> None:
    poor, good = world.mechanic(), world.mechanic()
    past_sessions.sessions(10, ago(hours=3), free(), good)
    past_sessions.sessions(5, ago(hours=3), free(), poor)
    past_sessions.sessions(2, ago(hours=3), free(reason="too_short", parted=90), poor)
    past_sessions.sessions(3, ago(hours=3), no_show("mechanic"), poor)
    assert limits(world) == {
        ("mechanic_completion_low", poor.id): (50.0, 10),
        ("mechanic_no_show_high", poor.id): (30.0, 10),
    }
    past_sessions.sessions(10, ago(hours=3), no_show("customer"), poor)  # is not held against the mechanic
    assert limits(world) == {
        ("completion_low", None): (50.0, 30),
        ("no_show_high", None): (43.3, 30),
        ("mechanic_completion_low", poor.id): (50.0, 10),
        ("mechanic_no_show_high", poor.id): (30.0, 10),
    }


def test_too_few_sessions_say_nothing(world: World, past_sessions: PastSessions) -> None:
    past_sessions.sessions(9, ago(hours=3), no_show("mechanic"), world.mechanic())
    assert limits(world) == {}


def test_a_session_taken_from_a_mechanic_who_did_not_come_is_a_no_show(world: World) -> None:
    absent, honest = world.mechanic(), world.mechanic()
    world.waiting(absent)
    given_back = world.waiting(honest)
    world.owner.execute(
        "UPDATE sessions SET status = 'pending', actor = 'mechanic' WHERE id = %s", [given_back.session_id]
    )
    world.let_time_pass(601)
    assert world.one("SELECT release_absent_mechanics()") == 1
    rows = world.owner.execute("SELECT * FROM mechanic_health(now() - interval '1 day', 'infinity')")
    assert {row["mechanic_id"]: (row["sessions"], row["no_shows"], row["given_back"]) for row in rows} == {
        absent.id: (1, 1, 0),
        honest.id: (0, 0, 1),
    }
