"""The media server of all meetings: admits attendees, forwards what each sends to the other, counts their packets.

`join` and what follows are told by a signalling protocol; there are two: our own, in signalling/own.py, and Chime's.
aiortc takes a second and 100 MB to load, so that it is loaded with the first meeting, in another thread.
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from localcloud.host.logline import Log, LogLine
from localcloud.media.meetings import Attendee, Meeting, Meetings

if TYPE_CHECKING:
    from localcloud.media.peer import Peer

_LOOK_SECONDS: Final = 0.5
_SOUND_CLOCK: Final = 48_000
_SILENCE: Final = b"\xf8\xff\xfe"  # Opus: 20 ms of nothing
_VIDEO_SECONDS: Final = 2.0
"""Without a frame for so long, a picture has stopped."""

type Why = Literal["ended", "elsewhere", "cut"]


class Line(Protocol):
    """The signalling of one attendee's connection, as the server sees it."""

    mixes: bool
    """Whether its sound is a mix of everybody's, which comes also while nobody else is there."""

    def others(self, there: Sequence[Attendee]) -> None:
        """Tell who else is there."""

    def end(self, why: Why) -> None:
        """Hang up."""


@dataclass
class Leg:
    """One attendee's connection: `up` once it stood, `closed` when its signalling is gone; `told` who else is there."""

    meeting: Meeting
    attendee: Attendee
    line: Line
    peer: "Peer | None" = None
    frames: int = 0
    counted: int = 0
    picture_at: float = 0.0
    up: bool = False
    closed: bool = False
    told: frozenset[tuple[str, bool]] | None = None


class CallServer:
    """Everybody's legs. Belongs to the event loop's thread."""

    def __init__(self, meetings: Meetings, log: Log) -> None:
        self._meetings = meetings
        self._log = log
        self._legs: dict[str, Leg] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._looked_at = 0.0

    def load(self) -> None:
        """Load aiortc in another thread, so that the first to join does not wait for it."""
        self._in_background(asyncio.to_thread(_peer_class))

    async def keep_time(self) -> None:
        """Count packets and let time pass, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.look(time.time())

    def look(self, now: float) -> None:
        """Count what came since the last look, and drop who is silent: a server that was stalled has heard nobody."""
        stalled = now - self._looked_at - _LOOK_SECONDS if self._looked_at else 0.0
        self._looked_at = now
        for leg in list(self._legs.values()):
            leg.attendee.last_packet_at += max(0.0, stalled)
            self._meetings.hears(leg.attendee, leg.frames - leg.counted, now)
            leg.counted = leg.frames
            if leg.attendee.video and now - leg.picture_at > _VIDEO_SECONDS:
                self._meetings.shows(leg.meeting, leg.attendee, now, video=False)
        self._meetings.pass_time(now)
        for leg in list(self._legs.values()):
            if leg.meeting.ended_at is not None:
                self._hang_up(leg, "ended")
            elif leg.up and not leg.attendee.joined:  # dropped
                self._hang_up(leg, "cut")
            elif leg.peer is not None and leg.line.mixes and not any(each.up for each in self._others(leg)):
                leg.peer.send(leg, "", "audio", _SILENCE, int(now * _SOUND_CLOCK))
            if leg.peer is not None and leg.peer.waits:  # what was asked for, or its answer, may have been lost
                self._wants_key(leg)
        self._tell_all()

    async def join(
        self,
        meeting: Meeting,
        attendee: Attendee,
        line: Line,
        offer: str,
        shows: Mapping[str, str] | None = None,
    ) -> tuple[Leg, str]:
        """Connect somebody, in place of their earlier connection; returns the answer's SDP.

        Args:
            meeting: where.
            attendee: who.
            line: their signalling.
            offer: their SDP.
            shows: the attendee whose picture each line of the offer shall carry, by mid; None: the only one's.

        Raises ValueError for an offer that is none.
        """
        peer_class = await asyncio.to_thread(_peer_class)
        leg = Leg(meeting, attendee, line, told=None if line.mixes else frozenset())  # a roster names oneself too
        leg.peer = peer_class(
            lambda kind, content, timestamp: self._came(leg, kind, content, timestamp),
            lambda: self._up(leg),
            lambda: self._wants_key(leg),
        )
        earlier = self._legs.get(attendee.attendee_id)
        self._legs[attendee.attendee_id] = leg
        try:
            answer = await leg.peer.answered(offer, shows)
        except Exception:
            self._legs.pop(attendee.attendee_id, None)
            await leg.peer.close()
            raise
        if earlier is not None:
            self._replace(earlier, attendee)
        return leg, answer

    async def offered(self, leg: Leg, offer: str, shows: Mapping[str, str]) -> str:
        """Answer another offer of the same connection. Raises ValueError for one that is none, or comes too late."""
        if leg.peer is None:
            raise ValueError("the connection is closed")
        answer = await leg.peer.answered(offer, shows)
        self._wants_key(leg)
        return answer

    def leave(self, leg: Leg) -> None:
        """Somebody says goodbye."""
        if self._legs.get(leg.attendee.attendee_id) is leg:
            self._meetings.leave(leg.meeting, leg.attendee, time.time())
        self._remove(leg)
        self._tell_all()

    def broke_off(self, leg: Leg) -> None:
        """Somebody's signalling is gone without a word; while packets come, they are there."""
        leg.closed = True
        if not leg.up:
            self._remove(leg)

    def cut(self, attendee_id: str) -> bool:
        """Cut an attendee's connection as a lost network does: nobody is told; false where there is none."""
        leg = self._legs.get(attendee_id)
        if leg is None:
            return False
        leg.closed = True
        leg.line.end("cut")
        self._close(leg)
        return True

    def end(self, meeting: Meeting, attendee: Attendee | None = None) -> None:
        """Hang up for everybody, or for one."""
        for leg in list(self._legs.values()):
            if leg.meeting is meeting and attendee in (None, leg.attendee):
                self._hang_up(leg, "ended")

    def is_connected(self, attendee: Attendee) -> bool:
        """Whether somebody has a connection of which nobody has hung up."""
        leg = self._legs.get(attendee.attendee_id)
        return leg is not None and not leg.closed

    async def stop(self) -> None:
        """End every connection; what a meeting is, is forgotten with the process, as its events may be."""
        for leg in list(self._legs.values()):
            self._hang_up(leg, "ended")
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _up(self, leg: Leg) -> None:
        if self._legs.get(leg.attendee.attendee_id) is not leg or leg.meeting.ended_at is not None:
            return
        leg.up = True
        for earlier in self._of_the_same(leg):  # a second place in the meeting, which Chime allows: one talks at a time
            if earlier.line.mixes:  # Chime's own client sees the roster, and leaves by itself
                continue
            self._meetings.leave(earlier.meeting, earlier.attendee, time.time())
            self._hang_up(earlier, "elsewhere")
        self._meetings.join(leg.meeting, leg.attendee, time.time())
        self._wants_key(leg)
        self._tell_all()

    def _replace(self, earlier: Leg, attendee: Attendee) -> None:
        """Another connection of theirs: a hand-over, or the end of one that had broken off."""
        now = time.time()
        if earlier.closed and attendee.joined:
            self._meetings.drop(earlier.meeting, attendee, now)
        elif not earlier.closed:
            earlier.line.end("elsewhere")
        earlier.closed = True
        self._close(earlier)

    def _came(self, leg: Leg, kind: str, content: bytes, timestamp: int) -> None:
        leg.frames += 1
        if kind == "video":
            leg.picture_at = time.time()
            if not leg.attendee.video and leg.attendee.joined:
                self._meetings.shows(leg.meeting, leg.attendee, leg.picture_at, video=True)
                self._tell_all()
        for other in self._others(leg) if kind == "audio" else self._in_sight(leg):
            if other.peer is not None:
                other.peer.send(leg, leg.attendee.attendee_id, kind, content, timestamp)

    def _others(self, leg: Leg) -> list[Leg]:
        return [
            each
            for each in self._legs.values()
            if each.meeting is leg.meeting and each.attendee.external_id != leg.attendee.external_id
        ]

    def _of_the_same(self, leg: Leg) -> list[Leg]:
        who = leg.attendee.external_id
        return [
            each
            for each in self._legs.values()
            if each is not leg and each.meeting is leg.meeting and each.attendee.external_id == who
        ]

    def _in_sight(self, leg: Leg) -> list[Leg]:
        """Who may see somebody's picture, and who is seen by them."""
        return [*self._others(leg), *(each for each in self._of_the_same(leg) if each.line.mixes)]

    def _wants_key(self, leg: Leg) -> None:
        for other in self._in_sight(leg):
            if other.peer is not None and other.peer.is_up:
                self._in_background(other.peer.ask_for_key())

    def _tell_all(self) -> None:
        for leg in self._legs.values():
            if leg.closed or not leg.up:
                continue
            there = [each.attendee for each in self._others(leg) if each.attendee.joined]
            if leg.line.mixes:  # its roster has everybody, also the same person at another device
                there += [each.attendee for each in self._of_the_same(leg) if each.attendee.joined]
            news = frozenset((each.attendee_id, each.video) for each in there)
            if leg.told != news:
                leg.told = news
                leg.line.others(there)

    def _hang_up(self, leg: Leg, why: Why) -> None:
        if not leg.closed:
            leg.line.end(why)
        leg.closed = True
        self._remove(leg)

    def _remove(self, leg: Leg) -> None:
        if self._legs.get(leg.attendee.attendee_id) is leg:
            del self._legs[leg.attendee.attendee_id]
        self._close(leg)

    def _close(self, leg: Leg) -> None:
        peer, leg.peer = leg.peer, None
        if peer is not None:
            self._in_background(peer.close())

    def _in_background(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._log(LogLine("cloud", f"chime: {type(error).__name__}: {error}"))


def _peer_class() -> "type[Peer]":
    from localcloud.media.peer import Peer  # noqa: PLC0415 (aiortc takes a second to load)

    return Peer
