"""What the two signalling protocols have in common, and our own, as the console speaks it.

Our own is JSON over a WebSocket at the meeting's SignalingUrl. The subprotocols are `autodoctor-local` and the join
token. The page says `{type: "join", sdp}` with an offer that is complete and holds sound and picture, and `{type:
"leave"}`; the server `{type: "joined", sdp}`, `{type: "other", here, video}` whenever that changes, and `{type: "end",
why}` before it hangs up: `ended`, `elsewhere` (another device took over), `refused`. A connection that is cut says
nothing.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from aiohttp import WSMessage, WSMsgType, web

from localcloud.media.call_server import CallServer, Leg, Why
from localcloud.media.meetings import Attendee, Meeting

PROTOCOL: Final = "autodoctor-local"
_LARGEST_BYTES: Final = 256 * 1024


class Conversation(ABC):
    """One attendee's WebSocket, by whichever protocol.

    Args:
        server: the media server.
        socket: prepared already.
        meeting: which meeting.
        attendee: whose socket.
    """

    mixes = False

    def __init__(self, server: CallServer, socket: web.WebSocketResponse, meeting: Meeting, attendee: Attendee) -> None:
        self._server = server
        self._socket = socket
        self._meeting = meeting
        self._attendee = attendee
        self._said: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._leg: Leg | None = None

    @abstractmethod
    def others(self, there: Sequence[Attendee]) -> None:
        """Tell who else is there."""

    @abstractmethod
    def end(self, why: Why) -> None:
        """Hang up, with a word unless the network is cut."""

    @abstractmethod
    async def heard(self, message: WSMessage) -> bool:
        """Do what the client says; false once it has left. Raises ValueError where it says nothing that is one."""

    @abstractmethod
    def refuse(self) -> None:
        """Say that what came was nothing."""

    async def converse(self) -> None:
        """Talk until one side hangs up."""
        talking = asyncio.create_task(self._talk())
        try:
            async for message in self._socket:
                if not await self.heard(message):
                    break
        except ValueError:
            self.refuse()
        finally:
            if self._leg is not None:
                self._server.broke_off(self._leg)
            self.hang_up()
            await talking

    def say(self, words: str | bytes) -> None:
        """Send something, after what was sent before."""
        self._said.put_nowait(words)

    def hang_up(self) -> None:
        """Close the socket once everything is said."""
        self._said.put_nowait(None)

    async def _talk(self) -> None:
        while (words := await self._said.get()) is not None:
            if isinstance(words, bytes):
                await self._socket.send_bytes(words)
            else:
                await self._socket.send_str(words)
        await self._socket.close()


class Signalling(Conversation):
    """Our own protocol."""

    def others(self, there: Sequence[Attendee]) -> None:
        """Tell whether the other party is there, and sends a picture."""
        self._say(type="other", here=bool(there), video=any(each.video for each in there))

    def end(self, why: Why) -> None:
        """Hang up, with a word unless the network is cut."""
        if why != "cut":
            self._say(type="end", why=why)
        self.hang_up()

    def refuse(self) -> None:
        """Say that what came was nothing."""
        self._say(type="end", why="refused")

    async def heard(self, message: WSMessage) -> bool:
        """Do what the page says; false once it has left."""
        if message.type != WSMsgType.TEXT:
            return False
        said = json.loads(message.data)
        if said["type"] == "join" and self._leg is None:
            self._leg, answer = await self._server.join(self._meeting, self._attendee, self, str(said["sdp"]))
            self._say(type="joined", sdp=answer)
        elif said["type"] == "leave" and self._leg is not None:
            self._server.leave(self._leg)
            return False
        return True

    def _say(self, **words: object) -> None:
        self.say(json.dumps(words))


async def refused(socket: web.WebSocketResponse) -> None:
    """Turn somebody away: a page cannot read the status of a refused handshake."""
    await socket.send_json({"type": "end", "why": "refused"})
    await socket.close()


def socket_of_a_page(protocol: str) -> web.WebSocketResponse:
    """A WebSocket that speaks this protocol."""
    return web.WebSocketResponse(protocols=[protocol], max_msg_size=_LARGEST_BYTES)  # packets say who is there
