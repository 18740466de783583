"""The analytics against numbers computed by hand: bucket edges in UTC, percentiles, answers, depth, funnel, CSV."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from autodoctor.errors import Unprocessable
from autodoctor.ids import new_id
from autodoctor.monitoring.analytics import RANGES, Analytics, analytics
from autodoctor.monitoring.analytics_csv import as_content, to_csv, wants_csv
from autodoctor.sessions.accept import accept, decline
from support.sessions.past_sessions import NOON, PastSessions, Story, free, no_show, withdrawn
from support.world import Mechanic, World

DAY = ("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z")


def hours(world: World) -> Analytics:
    return analytics(world.app, *DAY, bucket="hour")


def durations(report: Analytics) -> dict[tuple[str, int | None], tuple[int, int, int, int]]:
    return {
        (each.measure, None if each.period_start is None else each.period_start.hour): (
            each.sessions,
            each.p50,
            each.p90,
            each.p99,
        )
        for each in report.durations
    }


# --- creation and durations -------------------------------------------------------------------------


def test_what_was_created_by_funding_plan_and_type(world: World, past_sessions: PastSessions) -> None:
    past_sessions.sessions(2, NOON, free())
    past_sessions.session(NOON)
    past_sessions.session(NOON + timedelta(minutes=59, seconds=59), Story(funding="credit"))
    past_sessions.session(NOON + timedelta(hours=1), Story(funding="credit"))
    past_sessions.session(NOON + timedelta(hours=12))  # the next day
    found = [
        (each.period_start.hour, each.funding, each.plan, each.session_type, each.sessions)
        for each in hours(world).created
    ]
    assert found == [
        (12, "card", "standard", "video", 1),
        (12, "credit", "standard", "video", 1),
        (12, "free", "free", "chat", 2),
        (13, "credit", "standard", "video", 1),
    ]


def test_percentiles_are_those_of_the_seconds_taken(world: World, past_sessions: PastSessions) -> None:
    """Nearest rank: of ten values, the 5th, the 9th and the 10th."""
    for n in range(1, 11):
        past_sessions.session(
            NOON, free(signed=n, accepted=n + 10 * n, joined=n + 10 * n + 2 * n, parted=1000 + 13 * n)
        )
    past_sessions.session(NOON + timedelta(hours=1), free(signed=7, accepted=8, joined=9, parted=100))
    past_sessions.session(NOON + timedelta(hours=1), withdrawn(signed=None))
    assert durations(hours(world)) == {
        ("time_to_waiver", 12): (10, 5, 9, 10),
        ("time_to_accept", 12): (10, 50, 90, 100),
        ("time_to_join", 12): (10, 10, 18, 20),
        ("handle_time", 12): (10, 1000, 1000, 1000),
        ("time_to_waiver", 13): (1, 7, 7, 7),
        ("time_to_accept", 13): (1, 1, 1, 1),
        ("time_to_join", 13): (1, 1, 1, 1),
        ("handle_time", 13): (1, 91, 91, 91),
        ("time_to_waiver", None): (11, 6, 9, 10),
        ("time_to_accept", None): (11, 50, 90, 100),
        ("time_to_join", None): (11, 10, 18, 20),
        ("handle_time", None): (11, 1000, 1000, 1000),
    }


@pytest.mark.parametrize(
    ("bucket", "at", "starts"),
    [
        ("day", "2026-11-02T23:59:59.999999Z", "2026-11-02T00:00:00Z"),
        ("day", "2026-11-03T00:00:00Z", "2026-11-03T00:00:00Z"),
        ("week", "2026-11-08T23:59:59Z", "2026-11-02T00:00:00Z"),  # Sunday belongs to the week of Monday the 2nd
        ("week", "2026-11-09T00:00:00Z", "2026-11-09T00:00:00Z"),
        ("month", "2026-10-31T23:59:59Z", "2026-10-01T00:00:00Z"),
        ("month", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("hour", "2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z"),  # Europe sets its clocks back; UTC does not
    ],
)
def test_a_bucket_is_one_of_utc(world: World, past_sessions: PastSessions, bucket: str, at: str, starts: str) -> None:
    begun = datetime.fromisoformat(at)
    past_sessions.session(begun)
    since = (begun - timedelta(days=5)).isoformat()
    report = analytics(world.app, since, (begun + timedelta(days=5)).isoformat(), bucket)
    assert [each.period_start for each in report.created] == [datetime.fromisoformat(starts)]


# --- who answers ------------------------------------------------------------------------------------


def test_acceptance_and_decline_of_each_mechanic_and_workshop(world: World) -> None:
    workshop = world.workshop()
    one, two, independent = world.mechanic(workshop), world.mechanic(workshop), world.mechanic()

    def offer(mechanic: Mechanic) -> UUID:
        return world.queued(preferredMechanicId=str(mechanic.id)).assignment_id

    held = new_id()
    done = world.live(one, held)
    world.let_time_pass(100)
    world.end(held, done.session_id)
    for mechanic in (one, two, independent):
        decline(world.app, mechanic.user_id, offer(mechanic))
    lapsing = offer(one)
    world.owner.execute("UPDATE session_assignments SET offer_expires_at = now() WHERE id = %s", [lapsing])
    world.owner.execute("SELECT expire_lapsed_offers()")
    accept(world.app, two.user_id, offer(two))
    report = analytics(world.app)
    assert {
        each.mechanic_id: (
            each.offers_accepted,
            each.offers_declined,
            each.offers_lapsed,
            each.taken_from_queue,
            each.completed,
        )
        for each in report.mechanics
    } == {one.id: (0, 1, 1, 1, 1), two.id: (1, 1, 0, 0, 0), independent.id: (0, 1, 0, 0, 0)}
    of = {each.mechanic_id: (each.acceptance_percent, each.decline_percent) for each in report.mechanics}
    assert of == {one.id: (0.0, 50.0), two.id: (50.0, 50.0), independent.id: (0.0, 100.0)}
    assert {
        each.workshop_name: (each.offers_accepted, each.offers_declined, each.offers_lapsed, each.taken_from_queue)
        for each in report.workshops
    } == {"Wheelhouse": (1, 2, 1, 1), None: (0, 1, 0, 0)}


# --- the queue --------------------------------------------------------------------------------------


def test_the_depth_of_the_queue_through_the_day(world: World, past_sessions: PastSessions) -> None:
    past_sessions.session(NOON, free(signed=0, accepted=1800, joined=1810, parted=2000))  # half an hour
    past_sessions.session(NOON, free(signed=900, accepted=1800, joined=1810, parted=2000))  # a quarter
    past_sessions.session(
        NOON + timedelta(minutes=50), withdrawn(signed=0, after=1200)
    )  # 10 minutes in each of two hours
    past_sessions.session(NOON, withdrawn(signed=None))  # never queued
    report = hours(world)
    depth = {each.period_start.hour: (each.average_depth, each.max_depth) for each in report.queue}
    # (1800 + 900 + 600) / 3600, then 600 / 3600
    assert {hour: found for hour, found in depth.items() if found != (0.0, 0)} == {12: (0.92, 2), 13: (0.17, 1)}
    assert len(depth) == 24
    flow = {each.period_start.hour: (each.entered, each.accepted, each.lost) for each in report.queue}
    assert {hour: found for hour, found in flow.items() if any(found)} == {12: (3, 2, 0), 13: (0, 0, 1)}
    assert [(each.hour, each.max_depth) for each in report.jams] == [(12, 2), (13, 1)]


def test_who_waited_when_the_window_began_is_in_it(world: World, past_sessions: PastSessions) -> None:
    past_sessions.session(NOON - timedelta(minutes=90), withdrawn(signed=0, after=7200))  # until 12:30
    booked = NOON - timedelta(days=20)  # scheduled: queued at 11:45, gone at 12:15
    past_sessions.session(booked, withdrawn(signed=20 * 86400 - 900, after=20 * 86400 + 900))
    past_sessions.session(NOON - timedelta(hours=5), withdrawn(signed=0, after=7200))  # gone by then
    report = analytics(world.app, "2026-11-02T12:00:00Z", "2026-11-02T13:00:00Z", "hour")
    assert [(each.average_depth, each.max_depth, each.entered, each.lost) for each in report.queue] == [(0.75, 2, 0, 2)]


def test_a_session_that_came_back_waits_again(world: World) -> None:
    created = world.waiting(world.mechanic())
    world.let_time_pass(1800)
    world.owner.execute("UPDATE sessions SET status = 'pending' WHERE id = %s", [created.session_id])
    world.let_time_pass(600)
    now = datetime.now(UTC)
    report = analytics(world.app, (now - timedelta(hours=1)).isoformat(), None, "day")
    waited = sum((each.average_depth or 0) for each in report.queue)
    assert sum(each.accepted for each in report.queue) == 1
    assert max(each.max_depth for each in report.queue) == 1
    assert waited > 0


def test_where_the_time_goes(world: World, past_sessions: PastSessions) -> None:
    past_sessions.session(NOON, free(signed=10, accepted=110, joined=130, parted=700))
    past_sessions.session(NOON, withdrawn(signed=20, after=320))
    past_sessions.session(NOON, withdrawn(signed=None, after=60))
    past_sessions.session(NOON, no_show(signed=10, accepted=20, after=420))
    found = {each.stage: (each.sessions, each.total_seconds, each.lost) for each in hours(world).stages}
    assert found == {"join": (2, 420, 1), "queue": (3, 410, 1), "waiver": (4, 100, 1)}
    assert [each.stage for each in hours(world).stages] == ["join", "queue", "waiver"]


# --- conversion -------------------------------------------------------------------------------------


def test_conversion_from_intake_to_completed(world: World, past_sessions: PastSessions) -> None:
    past_sessions.session(NOON)
    past_sessions.session(NOON, Story("too_short", parted=100))
    past_sessions.session(NOON, no_show())
    past_sessions.session(NOON, withdrawn(signed=None))
    past_sessions.session(NOON, free())
    unpaid = past_sessions.session(NOON)
    with world.without_triggers() as connection:
        connection.execute("DELETE FROM sessions WHERE id = %s", [unpaid])
        connection.execute("DELETE FROM waivers WHERE session_id = %s", [unpaid])
        connection.execute("DELETE FROM session_participants WHERE session_id = %s", [unpaid])
    rows = {each.funding: each for each in hours(world).funnel}

    def steps(funding: str | None) -> list[int]:
        row = rows[funding]
        return [row.intakes, row.sessions, row.signed, row.accepted, row.started, row.completed]

    assert steps(None) == [6, 5, 4, 4, 3, 2]
    assert steps("card") == [5, 4, 3, 3, 2, 1]
    assert steps("free") == [1, 1, 1, 1, 1, 1]
    assert (rows[None].conversion_percent, rows["card"].conversion_percent) == (33.3, 20.0)


# --- empty, refused, too much -----------------------------------------------------------------------


def test_an_empty_database_has_a_report_without_sessions(world: World) -> None:
    for bucket in RANGES:
        report = analytics(world.app, bucket=bucket)
        assert (report.created, report.durations, report.mechanics, report.jams, report.stages) == ([], [], [], [], [])
        assert {each.max_depth for each in report.queue} == {0}
        assert [(each.funding, each.intakes, each.conversion_percent) for each in report.funnel] == [(None, 0, None)]


@pytest.mark.parametrize("bucket", ["minute", "", "DAY", "day'", "\x00"])
def test_an_unknown_bucket_is_refused(world: World, bucket: str) -> None:
    with pytest.raises(Unprocessable, match="invalid"):
        analytics(world.app, bucket=bucket)


@pytest.mark.parametrize(("bucket", "days"), [("hour", 14), ("day", 92), ("week", 184), ("month", 366)])
def test_each_bucket_has_its_longest_time(world: World, bucket: str, days: int) -> None:
    until = datetime(2026, 11, 1, tzinfo=UTC)
    analytics(world.app, (until - timedelta(days=days)).isoformat(), until.isoformat(), bucket)
    with pytest.raises(Unprocessable):
        analytics(world.app, (until - timedelta(days=days, seconds=1)).isoformat(), until.isoformat(), bucket)


def test_what_cannot_be_counted_in_time_says_so(world: World, past_sessions: PastSessions) -> None:
    """The role's own time-out, which is over before the sessions can be read."""
    past_sessions.sessions(3, NOON)
    with psycopg.connect(world.urls.superuser_url, autocommit=True) as superuser:
        name = world.one("SELECT current_database()")
        superuser.execute(f"ALTER ROLE autodoctor_app IN DATABASE {name} SET statement_timeout = '200ms'".encode())
    with world.owner.transaction():
        world.owner.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unprocessable) as refused:
            hours(world)
    assert refused.value.body()["errors"] == [
        {"pointer": "/from", "detail": "covers more than can be counted in time: ask for less"}
    ]


# --- CSV --------------------------------------------------------------------------------------------


def table(report: Analytics) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(to_csv(report))))


def test_csv_has_every_number_of_the_report(world: World, past_sessions: PastSessions) -> None:
    past_sessions.sessions(2, NOON, free())
    report = hours(world)
    rows = table(report)
    assert {"section": "created", "period_start": "2026-11-02T12:00:00Z", "plan": "free", "value": "2"}.items() <= next(
        row for row in rows if row["section"] == "created"
    ).items()
    p90 = [row["value"] for row in rows if row["measure"] == "handle_time_p90" and not row["period_start"]]
    assert p90 == ["600"]
    assert {row["section"] for row in rows} == {
        *("created", "durations", "mechanics", "workshops", "queue", "queue_by_hour", "stages", "funnel")
    }
    assert len([row for row in rows if row["section"] == "queue" and row["measure"] == "average_depth"]) == 24


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=cmd|"/c calc"!A1', "\n=1"])
def test_a_name_that_is_a_formula_is_only_a_name(world: World, past_sessions: PastSessions, name: str) -> None:
    mechanic = world.mechanic()
    world.owner.execute("UPDATE mechanics SET name = %s", [name])
    past_sessions.session(NOON, free(), mechanic)
    shown = {row["mechanic_name"] for row in table(hours(world)) if row["section"] == "mechanics"}
    assert shown == {f"'{name}"}


def test_a_name_with_quotes_commas_and_lines_comes_back_whole(world: World, past_sessions: PastSessions) -> None:
    name = 'Mia "Wheels", Moreno\r\n2nd'
    mechanic = world.mechanic()
    world.owner.execute("UPDATE mechanics SET name = %s", [name])
    past_sessions.session(NOON, free(), mechanic)
    text = to_csv(hours(world))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {row["mechanic_name"] for row in rows if row["section"] == "mechanics"} == {name}


def test_the_file_has_a_name_and_a_type(world: World) -> None:
    content = as_content(hours(world))
    assert content.content_type == "text/csv; charset=utf-8"
    assert content.headers["Content-Disposition"] == ('attachment; filename="analytics-2026-11-02-2026-11-03-hour.csv"')


@pytest.mark.parametrize(
    ("chosen", "accept_header", "wanted"),
    [
        (None, None, False),
        (None, "application/json", False),
        (None, "*/*", False),
        (None, "Text/CSV;q=0.9, */*", True),
        ("csv", "application/json", True),
        ("json", "text/csv", False),
    ],
)
def test_csv_is_for_who_asks_for_it(chosen: str | None, accept_header: str | None, *, wanted: bool) -> None:
    assert wants_csv(chosen, accept_header) is wanted


def test_another_format_is_refused() -> None:
    with pytest.raises(Unprocessable):
        wants_csv("xlsx", None)
