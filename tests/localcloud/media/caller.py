"""A party of a call without a browser: aiortc, a picture that changes, a tone, and our signalling protocol.

Needs aiortc: import it where a call begins.
"""

import asyncio
import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final, Self

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack
from av import VideoFrame

from localcloud.media.signalling.own import PROTOCOL

_WIDTH: Final = 160
_HEIGHT: Final = 120
_FRAMES: Final = 10  # a second
_CLOCK: Final = 90_000


class _Picture(VideoStreamTrack):
    """A grey that becomes lighter and begins again."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = 0

    async def recv(self) -> VideoFrame:
        if self._shown:
            await asyncio.sleep(1 / _FRAMES)
        frame = VideoFrame(_WIDTH, _HEIGHT, "yuv420p")
        for number, plane in enumerate(frame.planes):
            plane.update(bytes([(self._shown * 3) % 256 if number == 0 else 128]) * plane.buffer_size)
        frame.pts, frame.time_base = self._shown * _CLOCK // _FRAMES, Fraction(1, _CLOCK)
        self._shown += 1
        return frame


class Caller:
    """Somebody in a meeting, for the length of an `async with` block; it leaves at the end, unless it vanished.

    Args:
        meeting: as CreateMeeting answers it.
        attendee: as CreateAttendee answers it.
        video: whether it sends a picture.

    Attributes:
        heard: frames of the other by kind.
        said: what the server has said, the newest last.
    """

    def __init__(self, meeting: Mapping[str, Any], attendee: Mapping[str, Any], *, video: bool = True) -> None:
        self._url = str(meeting["MediaPlacement"]["SignalingUrl"])
        self._token = str(attendee["JoinToken"])
        self._video = video
        self._http = aiohttp.ClientSession()
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._gone = False
        self.heard = {"audio": 0, "video": 0}
        self.said: list[dict[str, Any]] = []
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        """Join."""
        self._connection.addTrack(AudioStreamTrack())
        self._connection.addTransceiver(_Picture() if self._video else "video", "sendrecv")
        self._connection.on("track", self._listen)
        await self._connection.setLocalDescription(await self._connection.createOffer())
        self._socket = await self._http.ws_connect(self._url, protocols=[PROTOCOL, self._token])
        self._tasks.append(asyncio.create_task(self._read(self._socket)))
        await self._socket.send_json({"type": "join", "sdp": self._connection.localDescription.sdp})
        answer = await self.told("joined", "end")
        if answer["type"] == "joined":
            await self._connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        if not self._gone and self._socket is not None and not self._socket.closed:
            await self._socket.send_json({"type": "leave"})
        await self.vanish()

    async def vanish(self) -> None:
        """Be gone without a word, as a browser that is killed."""
        if self._gone:
            return
        self._gone = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        await self._connection.close()
        await self._http.close()

    async def told(self, *kinds: str) -> dict[str, Any]:
        """Wait until the server says one of these, or has said it; returns the newest."""
        async with self._news:
            await self._news.wait_for(lambda: any(each["type"] in kinds for each in self.said))
            return next(each for each in reversed(self.said) if each["type"] in kinds)

    async def hears(self, audio: int = 1, video: int = 1) -> None:
        """Wait until so many frames of the other have come since now."""
        wanted = {"audio": self.heard["audio"] + audio, "video": self.heard["video"] + video}
        async with self._news:
            await self._news.wait_for(lambda: all(self.heard[kind] >= number for kind, number in wanted.items()))

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            async with self._news:
                self.said.append(json.loads(message.data))
                self._news.notify_all()

    def _listen(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._hear(track)))

    async def _hear(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                await track.recv()
                async with self._news:
                    self.heard[track.kind] += 1
                    self._news.notify_all()
        except MediaStreamError:
            return
