"""The frames of Chime's signalling that a call of two needs, as amazon-chime-sdk-js 3.32 has them.

Each is one byte, 5, and a protobuf message (SdkSignalFrame in the client's SignalingProtocol): the time, a type, and
for each type a body in a field of its own.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from localcloud.media.signalling.protobuf import Fields, decoded, encoded, messages, number, text

SUBPROTOCOL: Final = "_aws_wt_session"
PING: Final = 1
_PONG: Final = 2
_VIDEO: Final = 2
_RTC: Final = b"\x05"
_TIME: Final = 1
_KIND: Final = 2
_FRAMES_A_SECOND: Final = 15
_KILOBITS: Final = 1400


class Kind(IntEnum):
    """The types of frames."""

    JOIN = 1
    JOIN_ACK = 2
    SUBSCRIBE = 3
    SUBSCRIBE_ACK = 4
    INDEX = 5
    LEAVE = 9
    LEAVE_ACK = 10
    AUDIO_STREAM_ID_INFO = 18
    PING_PONG = 19
    AUDIO_STATUS = 20


_BODY: Final = {
    Kind.JOIN_ACK: 5,
    Kind.SUBSCRIBE: 6,
    Kind.SUBSCRIBE_ACK: 7,
    Kind.INDEX: 8,
    Kind.LEAVE_ACK: 12,
    Kind.AUDIO_STREAM_ID_INFO: 19,
    Kind.PING_PONG: 20,
    Kind.AUDIO_STATUS: 21,
}


@dataclass(frozen=True)
class Subscription:
    """What a client offers and wants.

    Attributes:
        offer: its SDP.
        wants: for each line of pictures in the offer, the stream that it shall carry; 0 for its own camera.
        duplex: whether it sends, receives, or both.
        sends: label and number of what it sends.
    """

    offer: str
    wants: Sequence[int]
    duplex: int
    sends: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Picture:
    """A picture that can be had, as an index lists it."""

    stream: int
    attendee_id: str
    external_id: str


@dataclass(frozen=True)
class Place:
    """A line of the roster; somebody who is not there any more has only their number."""

    number: int
    attendee_id: str = ""
    external_id: str = ""


def read(content: bytes) -> tuple[int, Fields]:
    """A frame's type and body, which is empty for types that are not of interest here. Raises ValueError."""
    if not content.startswith(_RTC):
        raise ValueError("not a frame of Chime's signalling")
    frame = decoded(content[1:])
    kind = number(frame, _KIND)
    bodies = messages(frame, _BODY[Kind(kind)]) if kind in set(_BODY) else []
    return kind, bodies[-1] if bodies else {}


def subscription(body: Fields) -> Subscription:
    """Read a SUBSCRIBE. Raises ValueError."""
    sends = [(text(each, 4), number(each, 1)) for each in messages(body, 2)]
    wants = [each for each in body.get(3, []) if isinstance(each, int)]
    return Subscription(text(body, 4), wants, number(body, 1), sends)


def join_ack() -> bytes:
    """Welcome somebody; without TURN's credentials the client connects directly, and its offers are not packed."""
    return _frame(Kind.JOIN_ACK, [])


def subscribe_ack(asked: Subscription, answer: str, tracks: Iterable[tuple[int, int, str]]) -> bytes:
    """Answer a SUBSCRIBE; each track has the number of its stream, its SSRC, and the id of its MediaStream."""
    allocated = [(2, encoded([(1, label), (2, stream), (3, stream)])) for label, stream in asked.sends]
    carried = [(4, encoded([(1, stream), (2, ssrc), (3, label)])) for stream, ssrc, label in tracks]
    return _frame(Kind.SUBSCRIBE_ACK, [(1, asked.duplex), *allocated, (3, answer), *carried])


def index(pictures: Iterable[Picture], participants: int) -> bytes:
    """List the pictures that can be had."""
    sources = [
        encoded(
            [
                *((1, each.stream), (2, _FRAMES_A_SECOND), (3, _KILOBITS), (4, f"v_{each.stream}"), (6, each.stream)),
                *((7, _KILOBITS * 1000), (8, each.attendee_id), (9, _VIDEO), (10, each.external_id)),
            ]
        )
        for each in pictures
    ]
    return _frame(Kind.INDEX, [*((2, source) for source in sources), (4, participants)])


def roster(places: Iterable[Place]) -> bytes:
    """Say who came and who left."""
    streams = [
        encoded([(1, each.number), *([(2, each.attendee_id), (4, each.external_id)] if each.attendee_id else [])])
        for each in places
    ]
    return _frame(Kind.AUDIO_STREAM_ID_INFO, [(1, stream) for stream in streams])


def pong(ping: Fields) -> bytes:
    """Answer a ping."""
    return _frame(Kind.PING_PONG, [(1, _PONG), (2, number(ping, 2))])


def leave_ack() -> bytes:
    """Answer a goodbye."""
    return _frame(Kind.LEAVE_ACK, [])


def audio_status(status: int) -> bytes:
    """Say how the connection stands, as with HTTP: 301 joined elsewhere, 410 the meeting is over."""
    return _frame(Kind.AUDIO_STATUS, [(1, status)])


def _frame(kind: Kind, body: Iterable[tuple[int, int | str | bytes]]) -> bytes:
    return _RTC + encoded([(_TIME, int(time.time() * 1000)), (_KIND, kind), (_BODY[kind], encoded(body))])
