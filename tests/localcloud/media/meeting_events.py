"""A meeting's events as Chime shapes them (docs.aws.amazon.com/chime-sdk/latest/dg/using-events.html), and their ways.

Each goes to the account's default bus, and to the queue that CreateMeeting was given.
"""

import asyncio
import json
import random
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from localcloud.host.logline import Log, LogLine
from localcloud.media.faults import MeetingFaults, Way
from localcloud.media.meetings import Attendee, Happening
from localcloud.messaging.event_bus import BusEvent, EventBus, envelope_of
from localcloud.messaging.messages import Message
from localcloud.messaging.queues import Queues

SOURCE: Final = "aws.chime"
DETAIL_TYPE: Final = "Chime Meeting State Change"
_OVER_THE_NETWORK: Final = frozenset({"AttendeeJoined", "AttendeeLeft", "AttendeeDropped"})


class MeetingEvents:
    """Sends what happens in meetings, with the faults that are switched on. Belongs to the event loop's thread."""

    def __init__(self, bus: EventBus, queues: Queues, faults: MeetingFaults, log: Log) -> None:
        self.faults = faults
        self._bus = bus
        self._queues = queues
        self._log = log
        self._late: set[asyncio.TimerHandle] = set()

    def send(self, happening: Happening) -> None:
        """Send one."""
        meeting, attendee = happening.meeting, happening.attendee
        event = BusEvent(SOURCE, DETAIL_TYPE, detail_of(happening), time=datetime.fromtimestamp(happening.at, UTC))
        self._log(LogLine("cloud", f"chime {happening.kind}{f' {attendee.attendee_id}' if attendee else ''}"))
        self._carry("bus", lambda: self._bus.put([event]))
        if meeting.queue:
            self._carry("queue", lambda: self._queue(str(meeting.queue), event))

    def stop(self) -> None:
        """Forget what is still late."""
        for handle in self._late:
            handle.cancel()

    def _queue(self, name: str, event: BusEvent) -> None:
        body = json.dumps(envelope_of(event, str(uuid.uuid4())), separators=(",", ":"))
        self._queues.send(name, Message(body))

    def _carry(self, way: Way, deliver: Callable[[], object]) -> None:
        faults = self.faults.of(way)
        for _ in range(faults.copies):
            if random.random() < faults.lost:
                continue
            delay = faults.delay_seconds * (random.random() if faults.order == "mixed" else 1.0)
            if delay <= 0:
                deliver()
            else:
                self._later(delay, deliver)

    def _later(self, delay: float, deliver: Callable[[], object]) -> None:
        def arrive() -> None:
            self._late.discard(handle)
            deliver()

        handle = asyncio.get_running_loop().call_later(delay, arrive)
        self._late.add(handle)


def detail_of(happening: Happening) -> Mapping[str, object]:
    """The event's detail."""
    meeting, attendee = happening.meeting, happening.attendee
    return {
        "version": "0",
        "eventType": f"chime:{happening.kind}",
        "timestamp": int(happening.at * 1000),
        "meetingId": meeting.meeting_id,
        **(_who(attendee) if attendee else {}),
        **({"networkType": "Voip"} if happening.kind in _OVER_THE_NETWORK else {}),
        "externalMeetingId": meeting.external_id,
        "mediaRegion": meeting.region,
    }


def _who(attendee: Attendee) -> Mapping[str, object]:
    return {"attendeeId": attendee.attendee_id, "externalUserId": attendee.external_id}
