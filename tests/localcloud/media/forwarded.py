"""Sound and picture on their way through: frames go on as they were encoded, so that a call costs little.

aiortc decodes what it receives and encodes what it sends. Here what its receiver would hand to a decoder goes to the
sender of the other party, which takes encoded frames too.
"""

import asyncio
import queue
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from aiortc import MediaStreamTrack, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError
from av import Packet

_CLOCK: Final = {"audio": 48_000, "video": 90_000}
_BREAK: Final = 3_000  # ticks of a clock between the last frame of one source and the first of the next
_WAITING: Final = 200  # frames; whoever sends slower than they come loses the oldest

type Frame = Packet[Any]

type Take = Callable[[bytes, int], None]
"""Takes an encoded frame and its time, in ticks of its clock."""


def _is_whole(content: bytes) -> bool:
    """Whether a frame of VP8 needs none before it (RFC 6386, 9.1)."""
    return bool(content) and not content[0] & 1


class _Handed(queue.Queue[Any]):
    """In place of a decoder's queue: frames are taken at once, and only the end reaches the decoder's thread."""

    def __init__(self, take: Take) -> None:
        super().__init__()
        self._take = take

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ANN401, FBT001, FBT002
        if item is None:
            super().put(item, block, timeout)
        else:
            _codec, frame = item
            self._take(frame.data, frame.timestamp)


def hand_over(receiver: RTCRtpReceiver, take: Take) -> None:
    """Have a receiver that does not receive yet hand its frames to `take`, in the event loop's thread."""
    receiver._RTCRtpReceiver__decoder_queue = _Handed(take)  # type: ignore[attr-defined] # noqa: SLF001 (no public way)


class Forwarded(MediaStreamTrack):
    """The other party's sound or picture. Its times go on when another source begins.

    Attributes:
        waits: whether a picture has not begun yet: it begins with a whole one, and what comes before goes nowhere.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.waits = kind == "video"
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue(_WAITING)
        self._source: object = None
        self._offset = 0
        self._last = 0

    def take(self, source: object, content: bytes, timestamp: int) -> None:
        """Send a frame of this source."""
        if source is not self._source:
            self._source = source
            self.waits = self.kind == "video"
            self._offset = self._last + _BREAK - timestamp
        self._last = timestamp + self._offset
        self.waits = self.waits and not _is_whole(content)
        if self.waits:
            return
        frame = Packet(content)
        frame.pts, frame.time_base = self._last, Fraction(1, _CLOCK[self.kind])
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(frame)

    async def recv(self) -> Frame:
        """The next frame."""
        frame = await self._frames.get()
        if frame is None:
            raise MediaStreamError
        return frame
