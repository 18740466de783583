"""Meetings, their attendees, and who is there: pure state, told what happened and what time it is.

Chime's own rules: who has sent no packet for 10 to 15 s was dropped; a meeting ends when nobody was connected for five
minutes, when fewer than two were for thirty, and after a day (docs.aws.amazon.com/chime-sdk/latest/APIReference,
CreateMeeting and DeleteMeeting).
"""

import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

DROPPED_AFTER_SECONDS: Final = 10.0
NOBODY_SECONDS: Final = 5 * 60.0
ALONE_SECONDS: Final = 30 * 60.0
LONGEST_SECONDS: Final = 24 * 3600.0
MOST_MEETINGS: Final = 250
MOST_ATTENDEES: Final = 250
_KEPT: Final = 200
_TOKEN_BYTES: Final = 48

type Kind = Literal[
    "MeetingStarted",
    "MeetingEnded",
    "AttendeeAdded",
    "AttendeeDeleted",
    "AttendeeAuthorized",
    "AttendeeJoined",
    "AttendeeLeft",
    "AttendeeDropped",
    "AttendeeVideoStarted",
    "AttendeeVideoStopped",
]


class LimitExceeded(Exception):
    """There are as many as there may be."""


@dataclass
class Attendee:
    """Somebody who may be in a meeting.

    Attributes:
        joined: whether they are there.
        video: whether their picture comes.
        packets: what came from them, over all their connections.
        last_packet_at: when the last one came, or when they came themselves.
        stretches: from when to when they were there; the last one is open while they are.
    """

    external_id: str
    capabilities: Mapping[str, str] | None = None
    attendee_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    join_token: str = field(default_factory=lambda: secrets.token_urlsafe(_TOKEN_BYTES))
    joined: bool = False
    video: bool = False
    packets: int = 0
    last_packet_at: float = 0.0
    stretches: list[list[float]] = field(default_factory=list)


@dataclass
class Meeting:
    """A meeting; `queue` is the name of the queue that gets its events, `asked` what CreateMeeting was given."""

    external_id: str
    region: str
    created_at: float
    queue: str | None = None
    asked: Mapping[str, object] = field(default_factory=dict)
    most: int = MOST_ATTENDEES
    meeting_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    attendees: dict[str, Attendee] = field(default_factory=dict)
    ended_at: float | None = None
    nobody_since: float | None = None
    alone_since: float | None = None

    def admitted(self, token: str) -> Attendee | None:
        """The attendee whom a join token lets in."""
        found = (each for each in self.attendees.values() if secrets.compare_digest(each.join_token, token))
        return next(found, None)


@dataclass(frozen=True)
class Happening:
    """Something happened, at a time in seconds since the epoch."""

    kind: Kind
    at: float
    meeting: Meeting
    attendee: Attendee | None = None


type Tell = Callable[[Happening], None]


class Meetings:
    """All meetings of the account. `tell` hears what happens, in its order."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._meetings: dict[str, Meeting] = {}

    def all(self) -> list[Meeting]:
        """Every meeting, the newest first; the last ones that ended are among them."""
        return list(self._meetings.values())[::-1]

    def running(self) -> Iterator[Meeting]:
        """The meetings that have not ended."""
        return (each for each in list(self._meetings.values()) if each.ended_at is None)

    def find(self, meeting_id: str) -> Meeting | None:
        """A meeting that has not ended."""
        meeting = self._meetings.get(meeting_id.lower())
        return meeting if meeting is not None and meeting.ended_at is None else None

    def open(self, meeting: Meeting) -> None:
        """Begin one. Raises LimitExceeded."""
        if sum(1 for _ in self.running()) >= MOST_MEETINGS:
            raise LimitExceeded(f"There are {MOST_MEETINGS} meetings already.")
        self._meetings[meeting.meeting_id] = meeting
        meeting.nobody_since = meeting.alone_since = meeting.created_at
        self._tell(Happening("MeetingStarted", meeting.created_at, meeting))
        ended = [each for each in self._meetings.values() if each.ended_at is not None]
        for each in ended[: max(0, len(ended) - _KEPT)]:
            del self._meetings[each.meeting_id]

    def admit(self, meeting: Meeting, attendee: Attendee, now: float) -> None:
        """Let somebody in who may come from now on. Raises LimitExceeded."""
        if len(meeting.attendees) >= meeting.most:
            raise LimitExceeded(f"The meeting has {meeting.most} attendees already.")
        meeting.attendees[attendee.attendee_id] = attendee
        self._tell(Happening("AttendeeAdded", now, meeting, attendee))

    def delete(self, meeting: Meeting, attendee: Attendee, now: float) -> None:
        """Take an attendee away; one who is there leaves."""
        self.leave(meeting, attendee, now)
        del meeting.attendees[attendee.attendee_id]
        self._tell(Happening("AttendeeDeleted", now, meeting, attendee))

    def join(self, meeting: Meeting, attendee: Attendee, now: float) -> None:
        """Somebody comes; if they are there already, they are handed over to another device."""
        if attendee.joined:
            attendee.last_packet_at = now
            self._tell(Happening("AttendeeAuthorized", now, meeting, attendee))
            return
        attendee.joined, attendee.last_packet_at = True, now
        attendee.stretches.append([now])
        self._tell(Happening("AttendeeJoined", now, meeting, attendee))
        self._count(meeting, now)

    def leave(self, meeting: Meeting, attendee: Attendee, now: float) -> None:
        """Somebody leaves; who is not there does not."""
        self._go("AttendeeLeft", meeting, attendee, now)

    def drop(self, meeting: Meeting, attendee: Attendee, now: float) -> None:
        """Somebody's connection has broken off; who is not there cannot be dropped."""
        self._go("AttendeeDropped", meeting, attendee, now)

    def shows(self, meeting: Meeting, attendee: Attendee, now: float, *, video: bool) -> None:
        """Somebody's picture comes, or comes no longer."""
        if attendee.joined and attendee.video != video:
            attendee.video = video
            kind: Kind = "AttendeeVideoStarted" if video else "AttendeeVideoStopped"
            self._tell(Happening(kind, now, meeting, attendee))

    def hears(self, attendee: Attendee, packets: int, now: float) -> None:
        """So many more packets came from somebody."""
        if packets > 0:
            attendee.packets += packets
            attendee.last_packet_at = now

    def end(self, meeting: Meeting, now: float) -> None:
        """End a meeting; whoever is there, leaves it with that."""
        if meeting.ended_at is not None:
            return
        for attendee in meeting.attendees.values():
            if attendee.joined:
                attendee.joined = attendee.video = False
                attendee.stretches[-1].append(now)
        meeting.ended_at = now
        self._tell(Happening("MeetingEnded", now, meeting))

    def pass_time(self, now: float) -> None:
        """Drop who has been silent for too long, and end what is over."""
        for meeting in list(self.running()):
            for attendee in meeting.attendees.values():
                if attendee.joined and now - attendee.last_packet_at >= DROPPED_AFTER_SECONDS:
                    self.drop(meeting, attendee, now)
            if self._is_over(meeting, now):
                self.end(meeting, now)

    def _is_over(self, meeting: Meeting, now: float) -> bool:
        def lasts(since: float | None, seconds: float) -> bool:
            return since is not None and now - since >= seconds

        return (
            lasts(meeting.nobody_since, NOBODY_SECONDS)
            or lasts(meeting.alone_since, ALONE_SECONDS)
            or lasts(meeting.created_at, LONGEST_SECONDS)
        )

    def _go(self, kind: Kind, meeting: Meeting, attendee: Attendee, now: float) -> None:
        if not attendee.joined:
            return
        self.shows(meeting, attendee, now, video=False)
        attendee.joined = False
        attendee.stretches[-1].append(now)
        self._tell(Happening(kind, now, meeting, attendee))
        self._count(meeting, now)

    @staticmethod
    def _count(meeting: Meeting, now: float) -> None:
        there = sum(each.joined for each in meeting.attendees.values())
        meeting.nobody_since = (meeting.nobody_since or now) if there == 0 else None
        meeting.alone_since = (meeting.alone_since or now) if there <= 1 else None
