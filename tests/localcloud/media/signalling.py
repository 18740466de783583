"""Our own signalling, as the console speaks it: JSON over a WebSocket at the meeting's SignalingUrl.

The subprotocols are `autodoctor-local` and the join token. The page says `{type: "join", sdp}` with an offer that is
complete and holds sound and picture, and `{type: "leave"}`; the server `{type: "joined", sdp}`, `{type: "other", here,
video}` whenever that changes, and `{type: "end", why}` before it hangs up: `ended`, `elsewhere` (another device took
over), `refused`. A connection that is cut says nothing.
"""

import asyncio
import json
from typing import Any, Final

from aiohttp import WSMsgType, web

from localcloud.media.call_server import CallServer, Leg, Why
from localcloud.media.meetings import Attendee, Meeting

PROTOCOL: Final = "autodoctor-local"
_LARGEST_BYTES: Final = 256 * 1024


class Signalling:
    """One attendee's WebSocket."""

    def __init__(self, server: CallServer, socket: web.WebSocketResponse) -> None:
        self._server = server
        self._socket = socket
        self._said: asyncio.Queue[dict[str, object] | None] = asyncio.Queue()
        self._leg: Leg | None = None

    def other(self, *, here: bool, video: bool) -> None:
        """Tell about the other party."""
        self._said.put_nowait({"type": "other", "here": here, "video": video})

    def end(self, why: Why) -> None:
        """Hang up, with a word unless the network is cut."""
        if why != "cut":
            self._said.put_nowait({"type": "end", "why": why})
        self._said.put_nowait(None)

    async def converse(self, meeting: Meeting, attendee: Attendee) -> None:
        """Talk until one side hangs up."""
        talking = asyncio.create_task(self._talk())
        try:
            async for message in self._socket:
                if message.type != WSMsgType.TEXT or not await self._heard(json.loads(message.data), meeting, attendee):
                    break
        except ValueError:
            self._said.put_nowait({"type": "end", "why": "refused"})
        finally:
            if self._leg is not None:
                self._server.broke_off(self._leg)
            self._said.put_nowait(None)
            await talking

    async def _heard(self, said: Any, meeting: Meeting, attendee: Attendee) -> bool:  # noqa: ANN401 (any JSON)
        """Do what the page says; false once it has left."""
        if said["type"] == "join" and self._leg is None:
            self._leg, answer = await self._server.join(meeting, attendee, self, str(said["sdp"]))
            self._said.put_nowait({"type": "joined", "sdp": answer})
        elif said["type"] == "leave" and self._leg is not None:
            self._server.leave(self._leg)
            return False
        return True

    async def _talk(self) -> None:
        while (words := await self._said.get()) is not None:
            await self._socket.send_json(words)
        await self._socket.close()


async def refused(socket: web.WebSocketResponse) -> None:
    """Turn somebody away: a page cannot read the status of a refused handshake."""
    await socket.send_json({"type": "end", "why": "refused"})
    await socket.close()


def socket_of_a_page() -> web.WebSocketResponse:
    """A WebSocket that speaks this protocol."""
    return web.WebSocketResponse(protocols=[PROTOCOL], max_msg_size=_LARGEST_BYTES)  # packets say who is there
