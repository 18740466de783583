"""One end of a call, at which several pictures are seen: each line carries the one that was asked for, and goes on."""

import asyncio
import re
from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Final, Self

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from localcloud.media.forwarded import Forwarded, hand_over
from localcloud.media.peer import Peer
from localcloud.media.session_description import picture_lines

STREAM: Final = re.compile(r"^a=msid:(\S+)", re.MULTILINE)
WHOLE, CHANGE = b"\x00", b"\x01"  # how a frame of VP8 begins
PATIENCE_SECONDS: Final = 60


class Viewer:
    """A client, for the length of an `async with` block: a line for sound, one for its own camera, two for pictures.

    The camera is off; the lines of pictures are 2 and 3, and are offered second, as Chime's client does.

    Attributes:
        seen: the newest frame of each line.
    """

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.pictures: list[RTCRtpTransceiver] = []
        self.seen: dict[str, bytes] = {}
        self.up = asyncio.Event()
        self.peer = Peer(lambda *_: None, self.up.set, lambda: None)

    async def __aenter__(self) -> Self:
        """Join."""
        self.connection.addTrack(AudioStreamTrack())
        self.connection.addTransceiver("video", "inactive")
        await self.asks({})
        for line in "23":
            self.pictures.append(self.connection.addTransceiver("video", "recvonly"))
            hand_over(self.pictures[-1].receiver, partial(self._sees, line))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self.connection.close()
        await self.peer.close()

    def _sees(self, line: str, content: bytes, _at: int) -> None:
        self.seen[line] = content

    async def asks(self, shows: dict[str, str]) -> None:
        """Offer, with what it wants to see."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        answer = await self.peer.answered(self.connection.localDescription.sdp, shows)
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await self.up.wait()

    async def sees(self, line: str, times: Iterator[int], **sent: bytes) -> bytes:
        """Each of these sends frames until one has come by the line; returns it."""
        self.seen.clear()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while line not in self.seen:
                at = next(times) * 3000
                for who, content in sent.items():
                    self.peer.send(who, who, "video", content, at)
                await asyncio.sleep(0.02)
        return self.seen[line]


async def watch(shows: dict[str, str], dropped: int, kept: str) -> list[bytes]:
    """See two pictures, and then, when the other is dropped, one; returns what came by the lines."""
    times, sent = count(), {"laptop": WHOLE + b"laptop", "mechanic": WHOLE + b"mechanic"}
    async with Viewer() as viewer:
        await viewer.asks(shows)
        found = [await viewer.sees(line, times, **sent) for line in "23"]
        viewer.pictures[dropped].direction = "inactive"
        await viewer.asks({kept: shows[kept]})
        return [*found, await viewer.sees(kept, times, **sent)]


def test_whichever_picture_is_dropped_the_other_goes_on() -> None:
    shows = {"2": "mechanic", "3": "laptop"}
    mechanic, laptop = WHOLE + b"mechanic", WHOLE + b"laptop"
    assert asyncio.run(watch(shows, 1, "2")) == [mechanic, laptop, mechanic]
    assert asyncio.run(watch(shows, 0, "3")) == [mechanic, laptop, laptop]


async def answers() -> list[tuple[int, str]]:
    """What the last line is answered with, SSRC and stream, once the browser has put another one in its place."""
    async with Viewer() as viewer:
        await viewer.connection.setLocalDescription(await viewer.connection.createOffer())
        offer = viewer.connection.localDescription.sdp
        found = []
        for name in ("3", "4", "4"):
            answer = await viewer.peer.answered(offer.replace("a=mid:3", f"a=mid:{name}"), {name: "mechanic"})
            found.append((picture_lines(answer)[name], STREAM.findall(answer)[-1]))
        return found


def test_a_line_in_place_of_a_stopped_one_stays_what_it_is() -> None:
    (old, old_stream), (new, new_stream), again = asyncio.run(answers())
    assert (old_stream, new_stream) == ("v_3", "v_4")
    assert new != old
    assert again == (new, new_stream)


def test_a_picture_begins_with_a_whole_one_also_of_another_source() -> None:
    async def taken() -> list[tuple[bytes, bool]]:
        picture = Forwarded("video")
        found = []
        for source, content in (("one", CHANGE), ("one", WHOLE), ("one", CHANGE), ("other", CHANGE), ("other", WHOLE)):
            picture.take(source, content, 0)
            found.append((content, picture.waits))
        picture.stop()
        return found

    assert asyncio.run(taken()) == [(CHANGE, True), (WHOLE, False), (CHANGE, False), (CHANGE, True), (WHOLE, False)]
