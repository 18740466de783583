"""The score and the metrics, against numbers computed by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from support.sessions.past_sessions import NOON, PastSessions, Story, free, no_show, withdrawn
from support.world import World

HOURS = "SELECT * FROM calculate_session_health_score(%s, %s)"


@pytest.mark.parametrize(
    ("counted", "score", "word"),
    [  # completion, no-shows, sessions with an alert, sessions
        ((100, 0, 0, 10), "100", "excellent"),
        ((None, None, 0, 3), "100", "excellent"),
        ((70, 15, 0, 10), "100", "excellent"),  # on the limit is not beyond it
        ((65, 15, 0, 10), "95", "excellent"),
        (("64.9", 15, 0, 10), "94.9", "good"),
        ((60, 20, 0, 10), "85", "good"),
        ((60, 20, 1, 100), "84.0", "fair"),
        ((0, 0, 0, 10), "60", "poor"),  # 40 at most
        ((100, 100, 0, 10), "70", "fair"),  # 30 at most
        ((100, 0, 9, 10), "70.0", "fair"),  # 30 at most
        ((0, 100, 10, 10), "0.0", "critical"),
        ((None, None, 0, 0), None, "no_data"),
    ],
)
def test_the_score_is_what_its_formula_says(
    world: World, counted: tuple[object, ...], score: str | None, word: str
) -> None:
    made = world.one("SELECT health_score(%s, %s, %s, %s)", *counted)
    assert made == (None if score is None else Decimal(score))
    assert world.one("SELECT health_status(%s)", made) == word


def test_each_hour_counts_what_was_created_and_what_ended_in_it(world: World, past_sessions: PastSessions) -> None:
    past_sessions.sessions(3, NOON)
    past_sessions.session(NOON, Story("too_short", parted=100))  # together for 20 s
    past_sessions.session(NOON, no_show())
    past_sessions.session(NOON, withdrawn())
    past_sessions.session(NOON + timedelta(minutes=30), Story("expired", accepted=None, joined=None, parted=7200))
    first, second, third = world.owner.execute(HOURS, [NOON, NOON + timedelta(hours=3)])
    assert (first["period_start"], first["created"], first["ended"]) == (NOON, 7, 6)
    assert [first[name] for name in ("completed", "cancelled", "expired", "accepted", "no_shows")] == [3, 3, 0, 5, 1]
    assert (first["completion_percent"], first["no_show_percent"]) == (Decimal("50.0"), Decimal("20.0"))
    assert (first["average_seconds"], first["wrongly_marked"]) == (600, 0)
    assert first["unsettled"] == 3  # by card, and nothing settles here
    assert (first["score"], first["status"]) == (Decimal("45.0"), "critical")  # 100 - 20 - 5 - 30
    assert (second["created"], second["ended"], second["score"], second["status"]) == (0, 0, None, "no_data")
    assert (third["ended"], third["expired"], third["score"]) == (1, 1, Decimal("60.0"))


def test_an_hour_begins_on_the_hour_in_utc_and_ends_before_the_next(world: World, past_sessions: PastSessions) -> None:
    """Whatever the time zone of the connection."""
    world.owner.execute("SET timezone = 'Asia/Kathmandu'")  # 5:45 ahead
    past_sessions.session(NOON - timedelta(seconds=680), free())  # ends at noon
    past_sessions.session(NOON + timedelta(hours=1, seconds=-680, microseconds=-1), free())
    past_sessions.session(NOON + timedelta(hours=1, seconds=-680), free())
    rows = world.owner.execute(HOURS, [NOON, NOON + timedelta(hours=2)]).fetchall()
    assert [(row["period_start"].astimezone(UTC), row["ended"]) for row in rows] == [
        (NOON, 2),
        (NOON + timedelta(hours=1), 1),
    ]


def test_a_range_cuts_its_first_and_last_hour(world: World, past_sessions: PastSessions) -> None:
    for minute in (10, 20, 70, 80):
        past_sessions.session(NOON + timedelta(minutes=minute, seconds=-680))
    rows = world.owner.execute(HOURS, [NOON + timedelta(minutes=15), NOON + timedelta(minutes=80)]).fetchall()
    assert [(row["period_start"], row["ended"]) for row in rows] == [(NOON, 1), (NOON + timedelta(hours=1), 1)]


def test_without_arguments_it_is_the_last_24_hours(world: World, past_sessions: PastSessions) -> None:
    now = datetime.now(UTC)
    past_sessions.session(now - timedelta(seconds=700))
    past_sessions.session(now - timedelta(hours=25))
    rows = world.owner.execute("SELECT * FROM calculate_session_health_score()").fetchall()
    assert len(rows) == 24
    assert sum(row["ended"] for row in rows) == 1
    assert rows[0]["period_start"] == rows[-1]["period_start"] - timedelta(hours=23)


def test_an_empty_database_has_hours_without_numbers(world: World) -> None:
    rows = world.owner.execute("SELECT DISTINCT ended, score, status FROM calculate_session_health_score()").fetchall()
    assert rows == [{"ended": 0, "score": None, "status": "no_data"}]
    for view in ("metric_completion", "metric_no_show"):
        assert world.one(f"SELECT count(*) FROM {view}") == 24
    assert world.one("SELECT count(*) FROM metric_duration") == 0


def test_the_metric_views_show_the_last_hours(world: World, past_sessions: PastSessions) -> None:
    now = datetime.now(UTC)
    for seconds in (100, 200, 900):
        past_sessions.session(now - timedelta(seconds=1000), Story(parted=80 + seconds, joined=80))
    past_sessions.session(now - timedelta(seconds=1000), no_show())
    assert world.one("SELECT sum(completed) FROM metric_completion") == 3
    assert world.one("SELECT sum(no_shows) FROM metric_no_show") == 1
    assert world.one("SELECT max(longest_seconds) FROM metric_duration") == 900


def test_the_limits_are_settings(world: World) -> None:
    world.owner.execute("UPDATE settings SET value = '90' WHERE key = 'health_completion_percent_min'")
    assert world.one("SELECT health_score(85, 0, 0, 10)") == 95
    world.owner.execute("DELETE FROM settings WHERE key = 'health_completion_percent_min'")
    assert world.one("SELECT health_score(0, 0, 0, 10)") == 100


def test_the_dashboard_of_psql_has_score_metrics_alerts_and_revenue(world: World, past_sessions: PastSessions) -> None:
    now = datetime.now(UTC)
    past_sessions.sessions(3, now - timedelta(seconds=800), free())
    past_sessions.session(now - timedelta(seconds=800), withdrawn())
    world.queued()
    rows = {
        (row["section"], row["metric"]): row for row in world.owner.execute("SELECT * FROM session_health_dashboard()")
    }
    assert rows["score", "score"]["status"] == "excellent"
    assert rows["metric", "completion"]["value"] == Decimal("75.0")
    assert rows["active", "pending"]["value"] == 1
    assert rows["revenue", "withdrawn"]["value"] == 2999
