"""Chime's word on the meeting of a session: who came and went."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from autodoctor.media.hearing import hear_chime
from support.meetings.call_case import CallCase

JOINED, LEFT, DROPPED, ENDED = (
    f"chime:{each}" for each in ("AttendeeJoined", "AttendeeLeft", "AttendeeDropped", "MeetingEnded")
)


class Medium:
    """Says of a session's meeting who came and went; seconds are after the meeting was asked for.

    Attributes:
        attendees: each party's device, which a test may change for another one.
    """

    def __init__(self, case: CallCase) -> None:
        self.case = case
        self.meeting_id = case.press().meeting["MeetingId"]
        self.attendees = {"customer": str(uuid4()), "mechanic": str(uuid4())}

    def detail(self, role: str, what: str, at: datetime) -> dict[str, Any]:
        """The event's detail."""
        who = {"attendeeId": self.attendees[role], "externalUserId": self.case.participant(role)}
        return {
            "version": "0",
            "eventType": what,
            "timestamp": round(at.timestamp() * 1000),
            "meetingId": self.meeting_id,
            "externalMeetingId": str(self.case.session_id),
            "mediaRegion": "eu-central-1",
            **(who if what != ENDED else {}),
        }

    def at(self, seconds: float) -> datetime:
        """So many seconds after the meeting was asked for."""
        return self.case.asked_at() + timedelta(seconds=seconds)

    def says(self, role: str, what: str, seconds: float) -> UUID | None:
        """Say something; returns the session of which it was news."""
        return hear_chime(self.case.world.app, self.detail(role, what, self.at(seconds)))
