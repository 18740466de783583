"""The call: one meeting of a session, made at the first press, and closed once the session is over."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest

from autodoctor.aws.errors import ServiceRefused
from autodoctor.errors import MechanicNotActive, SessionNotFound, SessionNotOpen, TooManyRequests
from autodoctor.ids import new_id
from autodoctor.media.call import EnteredCall, call
from autodoctor.media.chime import ChimeEntrance
from autodoctor.media.errors import CallOver, NoVideo
from autodoctor.media.ghosts import close_meetings
from autodoctor.sessions.presence import release
from support.meetings.call_case import CallCase


def test_both_get_a_place_in_one_meeting_which_knows_ids_only(case: CallCase) -> None:
    one = case.press()
    other = case.press(case.mechanic.user_id)
    assert one.meeting == other.meeting
    ((meeting_id, told),) = case.chime.meetings.items()
    assert told == {
        "ClientRequestToken": f"{case.session_id}-1-1",
        "MediaRegion": "eu-central-1",
        "ExternalMeetingId": str(case.session_id),
        "NotificationsConfiguration": {"SqsQueueArn": "arn:aws:sqs:eu-west-1:123456789012:meetings"},
    }
    participants = {
        row["id"]
        for row in case.world.owner.execute("SELECT participant_id(t)::text AS id FROM session_participants t")
    }
    assert {one.attendee["ExternalUserId"], other.attendee["ExternalUserId"]} == participants
    assert one.model_dump(by_alias=True) == {"provider": "chime", "meeting": one.meeting, "attendee": one.attendee}
    assert one.meeting["MeetingId"] == meeting_id
    assert case.world.one("SELECT note FROM session_messages ORDER BY seq DESC LIMIT 1") == "call_began"


def test_two_presses_at_once_make_one_meeting(case: CallCase) -> None:
    barrier = Barrier(2)

    def press(user_id: UUID) -> EnteredCall:
        with case.world.elsewhere() as database:
            medium = ChimeEntrance()
            barrier.wait()
            try:
                return call(database, medium, user_id, case.session_id)
            finally:
                medium.close_connection()

    with ThreadPoolExecutor() as pool:
        one, other = pool.map(press, [case.customer, case.mechanic.user_id])
    assert one.meeting == other.meeting
    assert len(case.chime.meetings) == 1
    assert case.world.one("SELECT count(*) FROM session_meetings") == 1


def test_a_meeting_that_chime_ended_is_followed_by_another(case: CallCase) -> None:
    first = case.press().meeting["MeetingId"]
    case.chime.forget(first)
    second = case.press().meeting["MeetingId"]
    assert second != first
    assert list(case.chime.meetings) == [second]


def test_not_before_the_accept_and_not_a_stranger(case: CallCase) -> None:
    customer = new_id()
    queued = case.world.queued(customer).session_id
    with pytest.raises(SessionNotOpen):
        call(case.world.app, case.entrance, customer, queued)
    for stranger in (case.mechanic.user_id, new_id()):
        with pytest.raises(SessionNotFound):
            call(case.world.app, case.entrance, stranger, queued)
    assert case.chime.asked == []


def test_not_where_the_plan_has_no_video_and_a_chat_where_it_has(case: CallCase) -> None:
    assert case.world.one("SELECT session_type FROM intakes WHERE id = %s", case.session_id) == "chat"
    case.world.owner.execute("UPDATE plans SET session_types = '{chat}' WHERE code = 'free'")
    with pytest.raises(NoVideo):
        case.press()
    case.world.owner.execute("UPDATE plans SET session_types = '{chat,diagnostic}' WHERE code = 'free'")
    assert case.press().meeting["MeetingId"] in case.chime.meetings


def test_a_suspended_mechanic_calls_in_a_live_session(case: CallCase) -> None:
    case.world.meet(case.session_id, case.customer, case.mechanic)
    case.world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [case.mechanic.id])
    assert case.press(case.mechanic.user_id).meeting["MeetingId"] in case.chime.meetings


def test_a_waiting_session_is_taken_from_a_suspended_mechanic(case: CallCase) -> None:
    case.world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [case.mechanic.id])
    with pytest.raises((MechanicNotActive, SessionNotFound)):
        case.press(case.mechanic.user_id)
    assert case.chime.asked == []


def test_after_the_end_there_is_no_call_and_the_meeting_is_closed(case: CallCase) -> None:
    case.press()
    assert close_meetings(case.world.app, case.way_out, lambda: 100.0, case.session_id) == 0
    case.world.end(case.customer, case.session_id)
    with pytest.raises(CallOver):
        case.press()
    assert close_meetings(case.world.app, case.way_out, lambda: 100.0, case.session_id) == 1
    assert case.chime.meetings == {}
    assert case.sweep() == 0


def test_the_sweep_closes_what_the_end_did_not(case: CallCase) -> None:
    case.press()
    case.world.end(case.customer, case.session_id)
    case.chime.refuses = 503
    with pytest.raises(ExceptionGroup):
        case.sweep()
    case.chime.refuses = 0
    assert case.sweep() == 1
    assert case.chime.meetings == {}


def test_a_meeting_whose_opening_was_cut_short_is_found_again_and_closed(case: CallCase) -> None:
    case.world.app.one("SELECT * FROM enter_call(%s, %s)", (case.session_id, case.customer))
    case.entrance.open(case.session_id, f"{case.session_id}-1-1")  # and then the function died
    case.world.end(case.customer, case.session_id)
    assert case.sweep() == 0  # it may be on its way
    case.world.let_time_pass(61)
    assert case.sweep() == 1
    assert case.chime.meetings == {}


def test_another_mechanic_gets_another_meeting(case: CallCase) -> None:
    first = case.press().meeting
    release(case.world.app, case.mechanic.user_id, case.session_id)
    assert case.sweep() == 1
    case.world.accept_current(case.world.mechanic(), case.session_id)
    assert case.press().meeting != first
    assert len(case.chime.meetings) == 1


def test_a_refusal_of_chime_leaves_a_press_that_can_be_repeated(case: CallCase) -> None:
    case.chime.refuses = 403
    with pytest.raises(ServiceRefused):
        case.press()
    case.chime.refuses = 0
    assert case.press().meeting["MeetingId"] in case.chime.meetings


def test_presses_are_limited(case: CallCase) -> None:
    case.world.owner.execute("UPDATE limits SET most = 1 WHERE name = 'calls'")
    case.press()
    with pytest.raises(TooManyRequests):
        case.press()
    assert len(case.chime.meetings) == 1
