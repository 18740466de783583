"""What the pages hear: a window counts where both say so, and what no page heard is not sure."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from autodoctor.errors import SessionNotFound, SessionNotOpen, TooManyRequests, Unprocessable
from autodoctor.ids import new_id
from autodoctor.media.errors import CallOver
from autodoctor.media.hearing import hear_chime
from autodoctor.media.report import HeardRequest, report
from autodoctor.sessions.presence import join
from support.integrity.findings import findings
from support.meetings.call_case import CallCase


def says(  # noqa: PLR0913 (a window)
    case: CallCase, user_id: UUID, ago: float, lasted: float = 15.0, *, packets: int = 700, skew: float = 0.0
) -> bool:
    """Report a window that began so many seconds ago, by a clock that is wrong by `skew`; returns whether it is new."""
    now: datetime = case.world.one("SELECT clock_timestamp()") + timedelta(seconds=skew)
    since = now - timedelta(seconds=ago)
    window = {"from": since, "until": since + timedelta(seconds=lasted), "now": now, "packets": packets}
    return report(case.world.app, user_id, case.session_id, HeardRequest.model_validate(window)).recorded


def talks(case: CallCase, windows: int, *users: UUID) -> None:
    """So many windows of 15 seconds go by, in which the pages of these users hear the other."""
    for _ in range(windows):
        case.world.let_time_pass(15)
        for user in users:
            says(case, user, 15)


def both_in_the_room(case: CallCase) -> None:
    """Both enter it, and nobody writes."""
    for user_id in (case.customer, case.mechanic.user_id):
        join(case.world.app, user_id, case.session_id, case.world.socket(user_id))


def both_in_a_silent_call(case: CallCase, seconds: float = 70) -> str:
    """Both enter room and call, of which neither medium nor pages say anything; returns its meeting."""
    both_in_the_room(case)
    case.press()
    meeting_id: str = case.press(case.mechanic.user_id).meeting["MeetingId"]
    case.world.let_time_pass(seconds)
    return meeting_id


def is_paid(case: CallCase) -> str:
    case.world.let_time_pass(100)
    gate: str = case.world.one("SELECT settlement_gate(%s)", case.session_id)
    return gate


def test_windows_of_both_are_together_without_a_word_or_an_event(case: CallCase) -> None:
    case.press()
    talks(case, 5, case.customer, case.mechanic.user_id)
    join(case.world.app, case.customer, case.session_id)
    join(case.world.app, case.mechanic.user_id, case.session_id)
    ended = case.world.end(case.customer, case.session_id)
    assert ended.status == "completed"
    assert 60 <= float(case.world.one("SELECT together_seconds FROM sessions")) <= 75


def test_windows_of_one_page_are_nothing(case: CallCase) -> None:
    case.press()
    case.world.meet(case.session_id, case.customer, case.mechanic)
    case.world.owner.execute("INSERT INTO settings (key, value) VALUES ('min_messages_each', '9')")
    talks(case, 5, case.mechanic.user_id)
    ended = case.world.end(case.customer, case.session_id)
    assert (ended.reason, ended.duration_seconds) == ("too_short", 0)


@pytest.mark.parametrize("skew", [-7200.0, 7200.0])
def test_a_page_s_own_clock_may_be_wrong(case: CallCase, skew: float) -> None:
    case.press()
    case.world.let_time_pass(20)
    assert says(case, case.customer, 15, skew=skew)
    since = case.world.one("SELECT since FROM session_presence")
    assert abs((case.world.one("SELECT clock_timestamp()") - since).total_seconds() - 15) < 5


@pytest.mark.parametrize("year", [1, 9999])
def test_a_page_s_clock_may_be_of_another_age(case: CallCase, year: int) -> None:
    """What is said of the whole calendar's length ago is too old, and no error."""
    case.press()
    case.world.let_time_pass(20)
    now = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    window = {"until": now, "now": now, "packets": 700}
    recent = HeardRequest.model_validate({**window, "from": now - timedelta(seconds=15)})
    assert report(case.world.app, case.customer, case.session_id, recent).recorded
    long_ago = datetime(1, 1, 1, tzinfo=UTC)
    old = HeardRequest.model_validate({**window, "from": long_ago, "until": long_ago + timedelta(seconds=15)})
    assert not report(case.world.app, case.mechanic.user_id, case.session_id, old).recorded


def test_a_window_is_within_the_meeting_and_the_last_minute_and_known_once(case: CallCase) -> None:
    case.press()
    assert says(case, case.customer, 15)  # from the opening on
    assert case.world.one("SELECT bool_and(p.since >= m.opened_at) FROM session_presence p, session_meetings m")
    case.world.let_time_pass(200)
    assert not says(case, case.customer, 100)
    assert not says(case, case.customer, 15, packets=0)
    assert says(case, case.customer, 30, 15)
    assert not says(case, case.customer, 29, 13)


def use_up(case: CallCase, source: str) -> None:
    """The customer has all the evidence of this source that a session takes; it lasted no time."""
    case.world.owner.execute(
        "INSERT INTO session_presence (session_id, since, role, source, witness, until, closed_at)"
        " SELECT %s, now(), 'customer', %s, 'm', now(), now() FROM generate_series(1, 1000)",
        [case.session_id, source],
    )


def test_windows_are_bounded(case: CallCase) -> None:
    case.press()
    use_up(case, "mutual")
    case.world.let_time_pass(20)
    assert not says(case, case.customer, 15)


@pytest.mark.parametrize("used_up", ["mutual", "medium"])
def test_one_witness_uses_up_nothing_of_another(case: CallCase, used_up: str) -> None:
    """Whoever fills the record with windows of a moment would otherwise talk in the room for nothing."""
    case.press()
    use_up(case, used_up)
    case.world.meet(case.session_id, case.customer, case.mechanic)
    case.world.let_time_pass(61)
    ended = case.world.end(case.customer, case.session_id)
    assert (ended.status, ended.reason) == ("completed", "billable")


def test_the_room_uses_up_nothing_of_the_pages(case: CallCase) -> None:
    case.press()
    use_up(case, "room")
    case.world.let_time_pass(20)
    assert says(case, case.customer, 15)


def test_reports_are_limited(case: CallCase) -> None:
    case.press()
    case.world.let_time_pass(40)
    for n in range(120):
        assert says(case, case.customer, 30 - n / 10, 0.1)
    with pytest.raises(TooManyRequests):
        says(case, case.customer, 15, 0.1)
    assert says(case, case.mechanic.user_id, 15)
    case.world.let_time_pass(6)
    assert says(case, case.customer, 15, 0.1)


def test_who_may_report_and_when(case: CallCase) -> None:
    with pytest.raises(SessionNotOpen):
        says(case, case.customer, 15)
    case.press()
    with pytest.raises(SessionNotFound):
        says(case, new_id(), 15)
    for ago, lasted in ((15.0, 16.5), (15.0, 0.0), (15.0, -1.0), (5.0, 6.0)):
        with pytest.raises(Unprocessable):
            says(case, case.customer, ago, lasted)
    case.world.end(case.customer, case.session_id)
    with pytest.raises(CallOver):
        says(case, case.customer, 15)


# --- what is not sure -------------------------------------------------------------------------------


def in_the_medium(case: CallCase, seconds: float) -> None:
    """Both came into the medium and nothing says that they left: it lasts that long already."""
    case.world.let_time_pass(seconds)
    for role in ("customer", "mechanic"):
        case.world.app.one(
            "SELECT hear_brought(%s, %s, 'joined', now() - make_interval(secs => %s))",
            (case.session_id, role, seconds - 1),
        )


def test_the_medium_s_word_is_enough_where_no_page_reports(case: CallCase) -> None:
    in_the_medium(case, 80)
    assert case.world.end(case.customer, case.session_id).status == "completed"
    assert is_paid(case) == "open"


@pytest.mark.parametrize("one", ["customer", "mechanic"])
def test_one_page_that_hears_the_other_is_enough(case: CallCase, one: str) -> None:
    case.press()
    in_the_medium(case, 10)
    talks(case, 5, case.customer if one == "customer" else case.mechanic.user_id)
    assert case.world.end(case.customer, case.session_id).status == "completed"
    assert is_paid(case) == "open"


def test_a_page_that_hears_nothing_says_so(case: CallCase) -> None:
    case.press()
    in_the_medium(case, 80)
    assert not says(case, case.mechanic.user_id, 15, packets=0)
    assert not says(case, case.mechanic.user_id, 20, packets=0)
    assert case.world.one("SELECT count(*) FROM session_presence WHERE source = 'mutual'") == 1
    assert case.world.end(case.customer, case.session_id).status == "completed"
    assert is_paid(case) == "held"


def test_a_person_decides_where_no_page_heard_for_long_what_the_medium_says(case: CallCase) -> None:
    case.press()
    in_the_medium(case, 10)
    talks(case, 2, case.customer, case.mechanic.user_id)
    case.world.let_time_pass(90)  # somebody left, and the event was lost
    assert case.world.end(case.customer, case.session_id).status == "completed"
    assert is_paid(case) == "held"
    facts = case.world.one("SELECT facts FROM settlement_holds")
    assert (facts["status"], facts["demandedReason"]) == ("completed", "too_short")


def test_a_call_of_which_nothing_was_heard_is_left_to_a_person(case: CallCase) -> None:
    both_in_a_silent_call(case)
    ended = case.world.end(case.mechanic.user_id, case.session_id)
    assert (ended.status, ended.reason) == ("cancelled", "no_talk")
    assert is_paid(case) == "held"
    held = case.world.owner.execute("SELECT demanded, facts ->> 'because' AS because FROM settlement_holds").fetchone()
    assert held == {"demanded": "completed", "because": "silent"}


@pytest.mark.parametrize("heard", ["MeetingEnded", "AttendeeJoined"])
def test_a_medium_that_says_anything_is_believed(case: CallCase, heard: str) -> None:
    meeting_id = both_in_a_silent_call(case)
    case.world.end(case.mechanic.user_id, case.session_id)
    now = case.world.one("SELECT clock_timestamp()")
    detail = {"eventType": f"chime:{heard}", "timestamp": round(now.timestamp() * 1000), "meetingId": meeting_id}
    if heard == "AttendeeJoined":
        detail |= {"attendeeId": str(new_id()), "externalUserId": case.participant("customer")}
    hear_chime(case.world.app, {**detail, "externalMeetingId": str(case.session_id)})
    assert is_paid(case) == "open"


def test_who_was_never_let_in_was_in_no_call(case: CallCase) -> None:
    case.press()
    both_in_the_room(case)
    case.world.let_time_pass(70)
    ended = case.world.end(case.mechanic.user_id, case.session_id)
    assert ended.reason == "no_talk"
    assert is_paid(case) == "open"


def test_a_silent_call_that_was_too_short_is_no_case(case: CallCase) -> None:
    both_in_a_silent_call(case, seconds=30)
    assert case.world.end(case.customer, case.session_id).reason == "too_short"
    assert is_paid(case) == "open"


def test_a_silent_call_that_was_settled_is_found(case: CallCase) -> None:
    both_in_a_silent_call(case)
    case.world.end(case.mechanic.user_id, case.session_id)
    case.world.let_time_pass(100)
    with case.world.without_triggers() as connection:
        connection.execute(
            "INSERT INTO settlements (session_id, outcome, facts) VALUES (%s, 'nothing', '{}')",
            [case.session_id],
        )
    assert str(case.session_id) in findings(case.world)["late_evidence_ignored"]
