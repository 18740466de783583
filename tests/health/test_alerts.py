"""The four alert views and the limits: each finds what it names, and nothing that is as it should be."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.ledger.settlement import settle
from autodoctor.sessions.presence import join, leave
from health.past import Past, Story, free, no_show
from integration.actors import Stage
from payments.purse import complete, pay_by_card

LOST = (
    "sessions_completed_iff_long_enough",
    "sessions_reason_fits_history",
    "sessions_reason_fits_status",
    "sessions_start_is_proven",
)


def alerts(stage: Stage) -> set[tuple[str, str, UUID]]:
    rows = stage.owner.execute("SELECT * FROM sessions_needing_review")
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
    stage: Stage, past: Past, story: Story, marked: dict[str, object], expected: str | None
) -> None:
    session_id = past.session(ago(hours=5), story)
    mark(stage, session_id, **marked)
    rows = stage.owner.execute("SELECT session_id, expected FROM alert_wrongly_marked").fetchall()
    assert rows == ([] if expected is None else [{"session_id": session_id, "expected": expected}])


def mark(stage: Stage, session_id: UUID, **columns: object) -> None:
    """Write what no statement could while the constraints hold: as a database would be that had lost them."""
    with stage.without_triggers() as connection:
        for name in LOST:
            connection.execute(f"ALTER TABLE sessions DROP CONSTRAINT {name}".encode())
        for column, value in columns.items():
            connection.execute(f"UPDATE sessions SET {column} = %s WHERE id = %s".encode(), [value, session_id])


def test_healthy_sessions_of_every_kind_raise_no_alarm(stage: Stage) -> None:
    """Walked through the real use cases, with leaves, returns, a release and a second mechanic."""
    customer, first, second = new_id(), stage.mechanic(), stage.mechanic()
    created = stage.waiting(first, customer)
    stage.owner.execute("UPDATE sessions SET status = 'pending' WHERE id = %s", [created.session_id])
    stage.accept_current(second, created.session_id)
    for user in (customer, second.user_id):
        join(stage.app, user, created.session_id)
    stage.let_time_pass(50)
    leave(stage.app, customer, created.session_id)
    stage.let_time_pass(50)
    join(stage.app, customer, created.session_id)
    assert stage.end(customer, created.session_id).status == "completed"
    for _ in range(2):
        other = new_id()
        stage.end(other, stage.live(stage.mechanic(), other).session_id)
        stage.end(other, stage.queued(other).session_id)
        stage.end(other, stage.waiting(stage.mechanic(), other).session_id)
    assert alerts(stage) == set()


def test_a_wrongly_marked_session_stays_an_alert_until_it_is_mended(stage: Stage, past: Past) -> None:
    session_id = past.session(ago(hours=30), free(evidence=False))
    assert alerts(stage) == set()  # nobody was told in time
    decided: Any = stage.one("SELECT occurred_at FROM session_events WHERE to_status = 'completed'")
    stage.owner.execute(
        "INSERT INTO health_alerts (alert, subject, severity, since, facts)"
        " VALUES ('wrongly_marked', %s, 'critical', %s, '{}')",
        [session_id, decided],
    )
    assert alerts(stage) == {("wrongly_marked", "critical", session_id)}


# --- stuck live -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "seconds", "severity"),
    [
        (True, 899, None),  # the sweep has 10 minutes, and 5 more
        (True, 901, "warning"),
        (True, 600 + 1801, "critical"),
        (False, 3 * 3600 + 299, None),
        (False, 3 * 3600 + 301, "warning"),
    ],
)
def test_a_live_session_that_no_sweep_ends_is_stuck(
    stage: Stage, *, left: bool, seconds: float, severity: str | None
) -> None:
    customer = new_id()
    created = stage.live(stage.mechanic(), customer)
    if left:
        leave(stage.app, customer, created.session_id)
    stage.let_time_pass(seconds)
    assert alerts(stage) == ({("stuck_live", severity, created.session_id)} if severity else set())


# --- completed without settlement -------------------------------------------------------------------


def test_a_completed_session_that_is_not_settled_in_time(stage: Stage) -> None:
    customer = new_id()
    created = pay_by_card(stage, customer)
    complete(stage, created, customer, stage.mechanic())
    assert alerts(stage) == set()
    stage.let_time_pass(901)
    assert alerts(stage) == {("completed_without_settlement", "warning", created.session_id)}
    stage.let_time_pass(2700)
    assert alerts(stage) == {("completed_without_settlement", "critical", created.session_id)}
    settle(stage.app, created.session_id)
    assert alerts(stage) == set()


def test_one_that_is_not_even_noted_as_due_is_found(stage: Stage, past: Past) -> None:
    session_id = past.session(ago(hours=2))
    past.session(ago(hours=2), free())
    past.session(ago(hours=2), no_show())
    assert alerts(stage) == {("completed_without_settlement", "critical", session_id)}


# --- waiting too long -------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "severity"), [(599, None), (601, "warning"), (1801, "critical")])
def test_a_customer_who_waits_too_long(stage: Stage, seconds: float, severity: str | None) -> None:
    created = stage.queued()
    stage.pending()  # has not signed: waits for nobody
    stage.waiting(stage.mechanic())  # was accepted
    stage.let_time_pass(seconds)
    assert alerts(stage) == ({("waiting_too_long", severity, created.session_id)} if severity else set())


def test_a_scheduled_session_does_not_wait_before_its_lead_time(stage: Stage) -> None:
    stage.queued(scheduledFor=datetime.now(UTC) + timedelta(hours=3))
    stage.let_time_pass(3600)
    assert alerts(stage) == set()


# --- limits -----------------------------------------------------------------------------------------


def limits(stage: Stage) -> dict[tuple[str, UUID | None], tuple[float, int]]:
    rows = stage.owner.execute("SELECT * FROM health_limits_passed()")
    return {(row["alert"], row["mechanic_id"]): (float(row["percent"]), row["sessions"]) for row in rows}


def test_percentages_beyond_their_limits_of_all_and_of_one_mechanic(stage: Stage, past: Past) -> None:
    poor, good = stage.mechanic(), stage.mechanic()
    past.sessions(10, ago(hours=3), free(), good)
    past.sessions(5, ago(hours=3), free(), poor)
    past.sessions(2, ago(hours=3), free(reason="too_short", parted=90), poor)
    past.sessions(3, ago(hours=3), no_show("mechanic"), poor)
    assert limits(stage) == {
        ("mechanic_completion_low", poor.id): (50.0, 10),
        ("mechanic_no_show_high", poor.id): (30.0, 10),
    }
    past.sessions(10, ago(hours=3), no_show("customer"), poor)  # is not held against the mechanic
    assert limits(stage) == {
        ("completion_low", None): (50.0, 30),
        ("no_show_high", None): (43.3, 30),
        ("mechanic_completion_low", poor.id): (50.0, 10),
        ("mechanic_no_show_high", poor.id): (30.0, 10),
    }


def test_too_few_sessions_say_nothing(stage: Stage, past: Past) -> None:
    past.sessions(9, ago(hours=3), no_show("mechanic"), stage.mechanic())
    assert limits(stage) == {}


def test_a_session_taken_from_a_mechanic_who_did_not_come_is_a_no_show(stage: Stage) -> None:
    absent, honest = stage.mechanic(), stage.mechanic()
    stage.waiting(absent)
    given_back = stage.waiting(honest)
    stage.owner.execute(
        "UPDATE sessions SET status = 'pending', actor = 'mechanic' WHERE id = %s", [given_back.session_id]
    )
    stage.let_time_pass(601)
    assert stage.one("SELECT release_absent_mechanics()") == 1
    rows = stage.owner.execute("SELECT * FROM mechanic_health(now() - interval '1 day', 'infinity')")
    assert {row["mechanic_id"]: (row["sessions"], row["no_shows"], row["given_back"]) for row in rows} == {
        absent.id: (1, 1, 0),
        honest.id: (0, 0, 1),
    }
