"""Amazon Chime SDK Meetings of one account: API, media server, and events, below one path of the gateway."""

import asyncio
from typing import Final

from aiohttp import web

from localcloud.host.logline import Log
from localcloud.media.call_server import CallServer
from localcloud.media.faults import MeetingFaults
from localcloud.media.meeting_events import MeetingEvents
from localcloud.media.meetings import Happening, Meetings
from localcloud.media.meetings_api import PREFIX, MeetingsApi
from localcloud.media.signalling.chime import ChimeSignalling, turned_away
from localcloud.media.signalling.chime_frames import SUBPROTOCOL
from localcloud.media.signalling.own import PROTOCOL, Signalling, refused, socket_of_a_page
from localcloud.messaging.messaging import Messaging

ENDPOINT: Final = "AWS_ENDPOINT_URL_CHIME_SDK_MEETINGS"
_CONTROL: Final = f"{PREFIX}/control/"
_PROTOCOLS: Final = {PROTOCOL: Signalling, SUBPROTOCOL: ChimeSignalling}


class Chime:
    """The service. Start and stop it on the event loop that serves it.

    Args:
        messaging: bus and queues that get the events.
        base_url: the gateway's origin.
        log: of the cloud.
    """

    def __init__(self, messaging: Messaging, base_url: str, log: Log) -> None:
        self.faults = MeetingFaults()
        self.meetings = Meetings(self._happened)
        self.server = CallServer(self.meetings, log)
        self._events = MeetingEvents(messaging.bus, messaging.queues, self.faults, log)
        self._api = MeetingsApi(self.meetings, list(messaging.queues.specs), base_url, self.server.end)
        self._watch: asyncio.Task[None] | None = None

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a call of the API, or hold an attendee's connection."""
        if request.path.startswith(_CONTROL):
            return await self._connect(request)
        return await self._api.serve(request)

    def start(self) -> None:
        """Begin to keep time."""
        self._watch = asyncio.create_task(self.server.keep_time())

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self.server.stop()
        self._events.stop()

    def _happened(self, happening: Happening) -> None:
        if happening.kind == "MeetingStarted":
            self.server.load()
        self._events.send(happening)

    async def _connect(self, request: web.BaseRequest) -> web.StreamResponse:
        protocol, _, token = request.headers.get("Sec-WebSocket-Protocol", "").partition(",")
        if protocol not in _PROTOCOLS or not token:
            return web.Response(status=400, text="a signalling protocol and a join token are wanted")
        socket = socket_of_a_page(protocol)
        await socket.prepare(request)
        meeting = self.meetings.find(request.path.removeprefix(_CONTROL))
        attendee = meeting.admitted(token.strip()) if meeting else None
        if meeting is not None and attendee is not None:
            await _PROTOCOLS[protocol](self.server, socket, meeting, attendee).converse()
        elif protocol == PROTOCOL:
            await refused(socket)
        else:
            await turned_away(socket, is_over=meeting is None)
        return socket
