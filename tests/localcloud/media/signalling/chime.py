"""Chime's own signalling, as far as amazon-chime-sdk-js takes it for a call of two (chime_frames.py).

The client says JOIN, gets JOIN_ACK and an INDEX of the pictures there are, and says SUBSCRIBE with an offer in which
the sound is the first line, its camera the second. A new INDEX has it offer again, with a line more for each picture
that it wants; the MediaStream of such a line is named `v_` and the line's mid. What it does without here: TURN,
simulcast, volume, data messages.
"""

from collections.abc import Sequence
from itertools import count
from typing import Final

from aiohttp import WSMessage, WSMsgType, web

from localcloud.media.call_server import CallServer, Why
from localcloud.media.meetings import Attendee, Meeting
from localcloud.media.session_description import picture_lines
from localcloud.media.signalling.chime_frames import (
    PING,
    Kind,
    Picture,
    Place,
    Subscription,
    audio_status,
    index,
    join_ack,
    leave_ack,
    pong,
    read,
    roster,
    subscribe_ack,
    subscription,
)
from localcloud.media.signalling.own import Conversation
from localcloud.media.signalling.protobuf import number

_STATUS: Final[dict[Why, int]] = {"ended": 410, "elsewhere": 301}
_MEETING_ENDED: Final = 4410
_FORBIDDEN: Final = 4403
_FIRST_STREAM: Final = 10  # the client calls its own 1 and 2


class ChimeSignalling(Conversation):
    """Chime's protocol."""

    mixes = True

    def __init__(self, server: CallServer, socket: web.WebSocketResponse, meeting: Meeting, attendee: Attendee) -> None:
        super().__init__(server, socket, meeting, attendee)
        self._there: set[str] = set()
        self._streams: dict[str, int] = {}
        self._next_stream = count(_FIRST_STREAM)

    def others(self, there: Sequence[Attendee]) -> None:
        """Send who came and left, and the pictures that there are now."""
        numbers = {each: place + 1 for place, each in enumerate(self._meeting.attendees)}
        gone = self._there - {each.attendee_id for each in there}
        self._there = {each.attendee_id for each in there}
        here = [
            Place(numbers[each.attendee_id], each.attendee_id, each.external_id)
            for each in (self._attendee, *there)
            if each.attendee_id in numbers
        ]
        self.say(roster([*here, *(Place(numbers[each]) for each in gone if each in numbers)]))
        shown = [each for each in there if each.video]
        for each in shown:
            if each.attendee_id not in self._streams:
                self._streams[each.attendee_id] = next(self._next_stream)
        pictures = [Picture(self._streams[each.attendee_id], each.attendee_id, each.external_id) for each in shown]
        self.say(index(pictures, len(there) + 1))

    def end(self, why: Why) -> None:
        """Hang up, with a word unless the network is cut."""
        if why != "cut":
            self.say(audio_status(_STATUS[why]))
        self.hang_up()

    def refuse(self) -> None:
        """Hang up on somebody who speaks another protocol."""

    async def heard(self, message: WSMessage) -> bool:
        """Do what the client says; false once it has left."""
        if message.type != WSMsgType.BINARY:
            return False
        kind, body = read(message.data)
        if kind == Kind.JOIN:
            self.say(join_ack())
            self.say(index([], 1))
        elif kind == Kind.SUBSCRIBE:
            await self._subscribe(subscription(body))
        elif kind == Kind.PING_PONG and number(body, 1) == PING:
            self.say(pong(body))
        elif kind == Kind.LEAVE:
            if self._leg is not None:
                self._server.leave(self._leg)
            self.say(leave_ack())
            return False
        return True

    async def _subscribe(self, asked: Subscription) -> None:
        wanted = {line: stream for line, stream in zip(picture_lines(asked.offer), asked.wants, strict=False) if stream}
        whose = {stream: attendee for attendee, stream in self._streams.items()}
        shows = {line: whose.get(stream, "") for line, stream in wanted.items()}
        if self._leg is None:
            joined = await self._server.join(self._meeting, self._attendee, self, asked.offer, shows)
            self._leg, answer = joined
        else:
            answer = await self._server.offered(self._leg, asked.offer, shows)
        ssrcs = picture_lines(answer)
        self.say(subscribe_ack(asked, answer, [(stream, ssrcs[line], f"v_{line}") for line, stream in wanted.items()]))


async def turned_away(socket: web.WebSocketResponse, *, is_over: bool) -> None:
    """Refuse somebody, as the client understands it."""
    await socket.close(code=_MEETING_ENDED if is_over else _FORBIDDEN)
