"""Who is in a meeting and when it is over, by the clock that the test holds; and what faults make of its events."""

import pytest

from localcloud.media.faults import WayFaults
from localcloud.media.meetings import MOST_MEETINGS, Attendee, Happening, LimitExceeded, Meeting, Meetings


class Watched:
    """Meetings, one of them with two who may come at second 0, and what has happened since."""

    def __init__(self) -> None:
        self.told: list[Happening] = []
        self.meetings = Meetings(self.told.append)
        self.meeting = Meeting("session", "eu-central-1", created_at=0.0)
        self.customer, self.mechanic = Attendee("customer"), Attendee("mechanic")
        self.meetings.open(self.meeting)
        for attendee in (self.customer, self.mechanic):
            self.meetings.admit(self.meeting, attendee, 0.0)
        self.told.clear()

    def kinds(self) -> list[tuple[str, float]]:
        """What has happened, and when."""
        return [(each.kind, each.at) for each in self.told]


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_who_is_silent_for_ten_seconds_was_dropped(watched: Watched) -> None:
    watched.meetings.join(watched.meeting, watched.customer, 100.0)
    watched.meetings.hears(watched.customer, 5, 130.0)
    watched.meetings.pass_time(139.9)
    assert watched.kinds() == [("AttendeeJoined", 100.0)]
    watched.meetings.pass_time(140.0)
    assert watched.kinds()[1:] == [("AttendeeDropped", 140.0)]
    assert watched.customer.stretches == [[100.0, 140.0]]
    watched.meetings.leave(watched.meeting, watched.customer, 141.0)
    assert len(watched.told) == 2


def test_a_picture_ends_with_the_one_who_shows_it(watched: Watched) -> None:
    watched.meetings.shows(watched.meeting, watched.customer, 1.0, video=True)
    watched.meetings.join(watched.meeting, watched.customer, 2.0)
    for moment in (3.0, 4.0):
        watched.meetings.shows(watched.meeting, watched.customer, moment, video=True)
    watched.meetings.leave(watched.meeting, watched.customer, 5.0)
    assert watched.kinds() == [
        ("AttendeeJoined", 2.0),
        ("AttendeeVideoStarted", 3.0),
        ("AttendeeVideoStopped", 5.0),
        ("AttendeeLeft", 5.0),
    ]


def test_a_meeting_to_which_nobody_comes_ends_after_five_minutes(watched: Watched) -> None:
    watched.meetings.pass_time(299.0)
    assert watched.told == []
    watched.meetings.pass_time(300.0)
    assert watched.kinds() == [("MeetingEnded", 300.0)]
    assert watched.meetings.find(watched.meeting.meeting_id) is None


def test_one_alone_has_thirty_minutes_and_two_a_day(watched: Watched) -> None:
    watched.meetings.join(watched.meeting, watched.customer, 200.0)
    watched.meetings.hears(watched.customer, 1, 1_799.0)
    watched.meetings.pass_time(1_799.0)
    assert watched.meeting.ended_at is None
    watched.meetings.join(watched.meeting, watched.mechanic, 1_799.0)
    for each in (watched.customer, watched.mechanic):
        watched.meetings.hears(each, 1, 86_399.0)
    watched.meetings.pass_time(86_399.0)
    assert watched.meeting.ended_at is None
    watched.meetings.pass_time(86_400.0)
    assert watched.kinds()[-1] == ("MeetingEnded", 86_400.0)
    assert not watched.customer.joined


def test_after_the_last_has_left_five_minutes_begin(watched: Watched) -> None:
    watched.meetings.join(watched.meeting, watched.customer, 100.0)
    watched.meetings.leave(watched.meeting, watched.customer, 250.0)
    watched.meetings.pass_time(549.0)
    assert watched.meeting.ended_at is None
    watched.meetings.pass_time(550.0)
    assert watched.meeting.ended_at == 550.0


def test_there_are_so_many_meetings_at_once(watched: Watched) -> None:
    for number in range(MOST_MEETINGS - 1):
        watched.meetings.open(Meeting(f"session-{number}", "eu-central-1", created_at=0.0))
    with pytest.raises(LimitExceeded):
        watched.meetings.open(Meeting("one more", "eu-central-1", created_at=0.0))
    watched.meetings.end(watched.meeting, 1.0)
    watched.meetings.open(Meeting("one more", "eu-central-1", created_at=0.0))


@pytest.mark.parametrize("wrong", [{"lost": 1.1}, {"copies": 0}, {"delay_seconds": -1.0}])
def test_faults_have_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="lost 0 to 1, copies 1 to 10"):
        WayFaults(**wrong)  # type: ignore[arg-type]
