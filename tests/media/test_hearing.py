"""What the medium says becomes evidence: once, in any order, within what we know."""

import json
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from autodoctor.media.hearing import hear_chime, hear_presence
from autodoctor.sessions.presence import leave, release
from support.integrity.findings import findings
from support.meetings.call_case import CallCase
from support.meetings.medium import DROPPED, ENDED, JOINED, LEFT, Medium
from support.sessions.evidence import column, stretches


@pytest.fixture
def medium(case: CallCase) -> Medium:
    """A meeting that was opened five minutes ago."""
    found = Medium(case)
    case.world.let_time_pass(300)
    return found


def lasted(case: CallCase, role: str = "customer") -> list[float | None]:
    """How long each standing stretch of a party in the medium lasted, in seconds; None: it lasts."""
    rows = case.world.owner.execute(
        "SELECT extract(epoch FROM until - since) AS seconds FROM session_presence"
        " WHERE role = %s AND source = 'medium' AND replaced_at IS NULL ORDER BY since",
        [role],
    )
    return [None if row["seconds"] is None else round(float(row["seconds"]), 1) for row in rows]


def ends(case: CallCase) -> tuple[str, int | None]:
    ended = case.world.end(case.customer, case.session_id)
    return f"{ended.status} {ended.reason}", ended.duration_seconds


def problems(case: CallCase) -> list[str]:
    """The checks of verify that find something wrong with the session; its events wait, as time was let pass."""
    found = [check for check, subjects in findings(case.world).items() if str(case.session_id) in map(str, subjects)]
    return [check for check in found if check not in {"outbox_lag", "settlement_held"}]


def test_both_in_the_medium_are_together_and_paid_for(case: CallCase, medium: Medium) -> None:
    assert medium.says("customer", JOINED, 10) == case.session_id
    assert case.world.status(case.session_id) == "waiting"
    medium.says("mechanic", JOINED, 20)
    assert case.world.status(case.session_id) == "live"
    assert column(case.world, case.session_id, "started_at") == medium.at(20)
    medium.says("mechanic", LEFT, 80)
    assert column(case.world, case.session_id, "mechanic_present") is False
    assert ends(case) == ("completed billable", 60)


def test_what_is_said_again_or_by_the_other_way_is_nothing(case: CallCase, medium: Medium) -> None:
    medium.says("customer", JOINED, 10)
    assert medium.says("customer", JOINED, 10) is None
    assert case.world.one("SELECT count(*) FROM media_events") == 1


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ([(JOINED, 0), (LEFT, 30)], [30]),
        ([(LEFT, 30), (JOINED, 0)], [30]),
        ([(JOINED, 0), (JOINED, 10), (LEFT, 30)], [30]),
        ([(LEFT, 5), (JOINED, 10)], [None]),
        ([(JOINED, 0), (LEFT, 90), (LEFT, 30), (JOINED, 60)], [30, 30]),
        ([(JOINED, 0), (DROPPED, 30), (JOINED, 30), (LEFT, 60)], [60]),
        ([(JOINED, 30), (LEFT, 30)], []),
        ([(JOINED, 0), (ENDED, 50), (JOINED, 60)], [50]),
        ([(JOINED, 60), (ENDED, 50), (JOINED, 0)], [50]),
    ],
)
def test_the_fold_sorts_by_occurrence(
    case: CallCase, medium: Medium, said: list[tuple[str, float]], seconds: list[float | None]
) -> None:
    for what, at in said:
        medium.says("customer", what, at)
    assert lasted(case) == seconds
    assert problems(case) == []


def test_an_instant_is_bounded_by_the_meeting_and_by_when_we_heard_of_it(case: CallCase, medium: Medium) -> None:
    medium.says("customer", JOINED, -3600)
    medium.says("mechanic", JOINED, 3600)
    since = {row["role"]: row["since"] for row in case.world.owner.execute("SELECT role, since FROM session_presence")}
    assert since["customer"] == case.world.one("SELECT asked_at FROM session_meetings")
    assert since["mechanic"] <= case.world.one("SELECT clock_timestamp()")


def test_late_joins_move_the_start_back(case: CallCase, medium: Medium) -> None:
    medium.says("mechanic", JOINED, 100)
    medium.says("customer", JOINED, 100)
    medium.says("mechanic", JOINED, 40)
    medium.says("customer", JOINED, 30)
    assert column(case.world, case.session_id, "started_at") == medium.at(40)
    medium.says("customer", LEFT, 100.5)
    assert ends(case) == ("completed billable", 60)
    assert problems(case) == []


def test_what_comes_after_the_end_is_late_evidence_and_flips_nothing(case: CallCase, medium: Medium) -> None:
    medium.says("customer", JOINED, 10)
    medium.says("mechanic", JOINED, 10)
    assert ends(case)[0] == "completed billable"
    medium.says("customer", DROPPED, 20)
    assert case.world.status(case.session_id) == "completed"
    case.world.let_time_pass(100)
    assert case.world.one("SELECT settlement_gate(%s)", case.session_id) == "held"
    assert problems(case) == []


def test_a_mechanic_s_leave_shortens_and_a_customer_s_does_not(case: CallCase, medium: Medium) -> None:
    medium.says("customer", JOINED, 200)
    medium.says("mechanic", JOINED, 200)
    leave(case.world.app, case.customer, case.session_id)
    assert column(case.world, case.session_id, "customer_present") is True
    leave(case.world.app, case.mechanic.user_id, case.session_id)
    assert column(case.world, case.session_id, "mechanic_present") is False
    case.world.let_time_pass(100)
    ended = case.world.end(case.customer, case.session_id)
    assert ended.duration_seconds is not None
    assert 100 <= ended.duration_seconds < 150
    assert problems(case) == []


def test_who_gives_the_session_back_leaves_the_medium(case: CallCase, medium: Medium) -> None:
    medium.says("mechanic", JOINED, 10)
    release(case.world.app, case.mechanic.user_id, case.session_id)
    assert None not in lasted(case, "mechanic")
    assert problems(case) == []


def test_other_events_and_other_people_s_meetings_are_nothing(case: CallCase, medium: Medium) -> None:
    assert medium.says("customer", "chime:AttendeeAuthorized", 1) is None
    assert medium.says("customer", "chime:AttendeeVideoStarted", 1) is None
    strange = {**medium.detail("customer", JOINED, medium.at(1)), "meetingId": str(uuid4())}
    assert hear_chime(case.world.app, strange) is None
    stranger = {**medium.detail("customer", JOINED, medium.at(1)), "externalUserId": str(uuid4())}
    assert hear_chime(case.world.app, stranger) is None
    assert case.world.one("SELECT count(*) FROM media_events") == 0


def test_the_inbox_is_bounded_and_presence_stays_right(case: CallCase, medium: Medium) -> None:
    case.world.owner.execute(
        "INSERT INTO media_events (session_id, stated_at, occurred_at, role, kind, meeting, attendee)"
        " SELECT %(session)s, at, at, 'customer', CASE n %% 2 WHEN 0 THEN 'joined' ELSE 'left' END, %(meeting)s, 'x'"
        "  FROM (SELECT n, now() - interval '200 s' + n * interval '0.1 s' AS at FROM generate_series(0, 797) n) AS s",
        {"session": case.session_id, "meeting": medium.meeting_id},
    )
    medium.says("customer", JOINED, 290)
    medium.says("customer", JOINED, 291)
    assert medium.says("customer", JOINED, 292) is None
    assert medium.says("customer", LEFT, 295) == case.session_id
    assert column(case.world, case.session_id, "customer_present") is False


def test_a_mechanic_who_went_uses_up_nothing_of_the_next_one(case: CallCase, medium: Medium) -> None:
    case.world.owner.execute(
        "INSERT INTO media_events (session_id, stated_at, occurred_at, mechanic_id, role, kind, meeting, attendee)"
        " SELECT %(session)s, at, at, %(mechanic)s, 'mechanic', kind, %(meeting)s, 'x'"
        "   FROM (SELECT now() - interval '200 s' + n * interval '0.1 s' AS at FROM generate_series(0, 599) n) AS s,"
        "        unnest('{joined,left}'::text[]) AS kind",
        {"session": case.session_id, "mechanic": case.mechanic.id, "meeting": medium.meeting_id},
    )
    release(case.world.app, case.mechanic.user_id, case.session_id)
    case.world.accept_current(case.world.mechanic(), case.session_id)
    next_one = Medium(case)
    assert next_one.says("mechanic", JOINED, 10) == case.session_id
    assert next_one.says("mechanic", LEFT, 20) == case.session_id


def test_a_medium_that_is_brought_counts_as_the_medium(case: CallCase) -> None:
    def says(role: str, kind: str, seconds: float) -> UUID | None:
        accepted: datetime = column(case.world, case.session_id, "accepted_at")
        at = (accepted + timedelta(seconds=seconds)).isoformat()
        detail = {"sessionId": str(case.session_id), "role": role, "kind": kind, "at": at}
        return hear_presence(case.world.app, json.loads(json.dumps(detail)))

    case.world.let_time_pass(120)
    assert says("customer", "joined", 5) == case.session_id
    assert says("customer", "joined", 5) is None
    says("mechanic", "joined", 10)
    says("customer", "left", 70)
    assert stretches(case.world, case.session_id) == ["customer medium", "mechanic medium..."]
    assert ends(case) == ("completed billable", 60)
    assert problems(case) == []
