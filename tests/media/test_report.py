"""What the pages hear: a window counts where both say so, and what no page heard is not sure."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from autodoctor.errors import SessionNotFound, SessionNotOpen, Unprocessable
from autodoctor.ids import new_id
from autodoctor.media.errors import CallOver
from autodoctor.media.report import HeardRequest, report
from autodoctor.sessions.presence import join
from support.call_case import CallCase


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
    assert (ended.reason, ended.duration_seconds) == ("no_talk", 0)


@pytest.mark.parametrize("skew", [-7200.0, 7200.0])
def test_a_page_s_own_clock_may_be_wrong(case: CallCase, skew: float) -> None:
    case.press()
    case.world.let_time_pass(20)
    assert says(case, case.customer, 15, skew=skew)
    since = case.world.one("SELECT since FROM session_presence")
    assert abs((case.world.one("SELECT clock_timestamp()") - since).total_seconds() - 15) < 5


def test_a_window_is_within_the_meeting_and_the_last_minute_and_known_once(case: CallCase) -> None:
    case.press()
    assert says(case, case.customer, 15)  # from the opening on
    assert case.world.one("SELECT bool_and(p.since >= m.opened_at) FROM session_presence p, session_meetings m")
    case.world.let_time_pass(200)
    assert not says(case, case.customer, 100)
    assert not says(case, case.customer, 15, packets=0)
    assert says(case, case.customer, 30, 15)
    assert not says(case, case.customer, 29, 13)


def test_windows_are_bounded(case: CallCase) -> None:
    case.press()
    case.world.owner.execute(
        "INSERT INTO session_presence (session_id, since, role, source, witness, until, closed_at)"
        " SELECT %s, now(), 'customer', 'mutual', 'm', now(), now() FROM generate_series(1, 1000)",
        [case.session_id],
    )
    case.world.let_time_pass(20)
    assert not says(case, case.customer, 15)


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
