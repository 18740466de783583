"""One end of a call: a WebRTC connection with a browser (or another aiortc), which sends and receives both kinds."""

from collections.abc import Callable
from typing import Final, Protocol

from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from localcloud.media.forwarded import Forwarded, hand_over

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
        self._sent: dict[str, Forwarded] = {}
        self._up = up
        self._connection.on("connectionstatechange", self._changed)

    @property
    def is_up(self) -> bool:
        """Whether sound and picture can flow."""
        return self._connection.connectionState == "connected"

    def _changed(self) -> None:
        if self.is_up:
            self._up()

    async def answered(self, offer: str) -> str:
        """Answer a browser's offer; both are SDP. Raises ValueError for one that is none."""
        await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        for transceiver in self._connection.getTransceivers():
            self._furnish(transceiver)
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return self._connection.localDescription.sdp

    def _furnish(self, transceiver: RTCRtpTransceiver) -> None:
        kind = transceiver.kind
        wanted = _CODECS[kind]
        codecs = RTCRtpSender.getCapabilities(kind).codecs
        transceiver.setCodecPreferences([each for each in codecs if each.mimeType.lower() in wanted])
        transceiver.direction = "sendrecv"
        track = self._sent[kind] = Forwarded(kind)
        transceiver.sender.replaceTrack(track)
        hand_over(transceiver.receiver, lambda content, timestamp: self._take(kind, content, timestamp))
        if kind == "video":  # what the viewer cannot decode, its source has to send anew
            transceiver.sender._send_keyframe = self._key  # type: ignore[method-assign] # noqa: SLF001

    def send(self, source: object, kind: str, content: bytes, timestamp: int) -> None:
        """Send a frame of another peer."""
        if kind in self._sent and self.is_up:
            self._sent[kind].take(source, content, timestamp)

    async def ask_for_key(self) -> None:
        """Ask for a whole picture, which a new viewer begins with."""
        for transceiver in self._connection.getTransceivers():
            if transceiver.kind == "video":
                for source in transceiver.receiver.getSynchronizationSources():
                    await transceiver.receiver._send_rtcp_pli(source.source)  # noqa: SLF001 (no public way)

    async def close(self) -> None:
        """End it."""
        await self._connection.close()
        for track in self._sent.values():
            track.stop()
