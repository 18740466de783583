"""One end of a call: a WebRTC connection with a browser (or another aiortc), which sends and receives both kinds."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError

from localcloud.media.forwarded import Forwarded, hand_over
from localcloud.media.session_description import mids, without_stopped_lines

_CODECS: Final = {"audio": ("audio/opus",), "video": ("video/vp8", "video/rtx")}


class Sink(Protocol):
    """Takes what a peer sends, frame by frame."""

    def __call__(self, kind: str, content: bytes, timestamp: int) -> None:
        """Take one encoded frame."""


class Peer:
    """A connection; `take` gets every frame that comes, `up` is called once it stands, `key` for a whole picture."""

    def __init__(self, take: Sink, up: Callable[[], None], key: Callable[[], None]) -> None:
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._take = take
        self._key = key
        self._sound: Forwarded | None = None
        self._pictures: dict[str, Forwarded] = {}  # by the line that carries it
        self._shows: Mapping[str, str] | None = None
        self._furnished: set[str] = set()
        self._up = up
        self._connection.on("connectionstatechange", self._changed)

    @property
    def is_up(self) -> bool:
        """Whether sound and picture can flow."""
        return self._connection.connectionState == "connected"

    @property
    def waits(self) -> bool:
        """Whether a picture that shall be seen has not begun."""
        return any(
            picture.waits for mid, picture in self._pictures.items() if self._shows is None or mid in self._shows
        )

    def _changed(self) -> None:
        if self.is_up:
            self._up()

    async def answered(self, offer: str, shows: Mapping[str, str] | None = None) -> str:
        """Answer a browser's offer; both are SDP.

        Args:
            offer: the first one, or one with other lines.
            shows: whose picture each line carries that carries one, and none of the browser's, by mid; None: there is
                one line for both, and one other party.

        Raises ValueError for an offer that is none, or comes when the connection has closed by itself.
        """
        self._retire(mids(offer))
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        except InvalidStateError as closed:
            raise ValueError("the connection is closed") from closed
        self._shows = shows
        for transceiver in self._connection.getTransceivers():
            if (mid := str(transceiver.mid)) not in self._furnished:
                self._furnished.add(mid)
                self._furnish(transceiver, mid)
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return without_stopped_lines(self._connection.localDescription.sdp, offer)

    def _retire(self, offered: list[str]) -> None:
        """Give up lines in whose place the browser has put others: aiortc would take the old one for the new one."""
        for transceiver in self._connection.getTransceivers():
            mid, place = str(transceiver.mid), transceiver._get_mline_index()  # noqa: SLF001 (no public way)
            if place is not None and 0 <= place < len(offered) and offered[place] != mid:
                transceiver.direction = "inactive"
                transceiver._set_mid(f"{mid} is over")  # noqa: SLF001
                transceiver._set_mline_index(-1)  # noqa: SLF001
                self._furnished.add(f"{mid} is over")
                if mid in self._pictures:
                    self._pictures.pop(mid).stop()

    def _furnish(self, transceiver: RTCRtpTransceiver, mid: str) -> None:
        kind = transceiver.kind
        wanted = _CODECS[kind]
        codecs = RTCRtpSender.getCapabilities(kind).codecs
        transceiver.setCodecPreferences([each for each in codecs if each.mimeType.lower() in wanted])
        transceiver.direction = "sendrecv"
        hand_over(transceiver.receiver, lambda content, timestamp: self._take(kind, content, timestamp))
        if kind == "audio":
            self._sound = Forwarded(kind)
            transceiver.sender.replaceTrack(self._sound)
        elif self._shows is not None and mid not in self._shows:
            transceiver.direction = "recvonly"
        else:
            self._pictures[mid] = Forwarded(kind)
            transceiver.sender.replaceTrack(self._pictures[mid])
            # what the viewer cannot decode, its source has to send anew
            transceiver.sender._send_keyframe = self._key  # type: ignore[method-assign] # noqa: SLF001
            if self._shows is not None:
                transceiver.sender._stream_id = f"v_{mid}"  # noqa: SLF001 (Chime's client finds it by this)

    def send(self, source: object, whose: str, kind: str, content: bytes, timestamp: int) -> None:
        """Send a frame of another peer, `source`, which is somebody's."""
        if not self.is_up:
            return
        if kind == "audio" and self._sound is not None:
            self._sound.take(source, content, timestamp)
        elif kind == "video":
            for mid, picture in self._pictures.items():
                if self._shows is None or self._shows.get(mid) == whose:
                    picture.take(source, content, timestamp)

    async def ask_for_key(self) -> None:
        """Ask for a whole picture, which a new viewer begins with."""
        for transceiver in self._connection.getTransceivers():
            if transceiver.kind == "video":
                for source in transceiver.receiver.getSynchronizationSources():
                    await transceiver.receiver._send_rtcp_pli(source.source)  # noqa: SLF001 (no public way)

    async def close(self) -> None:
        """End it."""
        await self._connection.close()
        for track in (self._sound, *self._pictures.values()):
            if track is not None:
                track.stop()
