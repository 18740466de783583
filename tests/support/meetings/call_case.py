"""A session with a call: who takes part in it, and what opens and closes its meetings."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from autodoctor.media.call import EnteredCall, call
from autodoctor.media.chime import ChimeEntrance, ChimeExit
from autodoctor.media.ghosts import sweep_meetings
from support.meetings.meeting_service import MeetingService
from support.world import Mechanic, World


@dataclass(frozen=True)
class CallCase:
    """A session that a mechanic accepted, and what opens and closes its meetings."""

    world: World
    chime: MeetingService
    entrance: ChimeEntrance
    way_out: ChimeExit
    mechanic: Mechanic
    customer: UUID
    session_id: UUID

    def press(self, user_id: UUID | None = None) -> EnteredCall:
        """Press the button; the customer does, unless it is said who."""
        return call(self.world.app, self.entrance, user_id or self.customer, self.session_id)

    def participant(self, role: str) -> str:
        """What the medium knows a party by."""
        found: str = self.world.one(
            "SELECT participant_id(t)::text FROM session_participants t"
            " WHERE session_id = %s AND role = %s AND until IS NULL",
            self.session_id,
            role,
        )
        return found

    def asked_at(self) -> datetime:
        """When the meeting was asked for, to the millisecond."""
        found: datetime = self.world.one("SELECT date_trunc('milliseconds', asked_at) FROM session_meetings")
        return found

    def sweep(self) -> int:
        """Let the sweep run; returns how many meetings it closed."""
        return sweep_meetings(self.world.app, self.way_out, lambda: 100.0).closed
