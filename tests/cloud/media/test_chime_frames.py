"""Chime's signalling byte by byte: the wire format's own examples, and what a client hears before any media."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.media.session_description import picture_lines, without_stopped_lines
from localcloud.media.signalling.chime_frames import SUBPROTOCOL, Kind, read
from localcloud.media.signalling.protobuf import decoded, encoded, number
from support.meetings.meeting_app import Document, MeetingApp

type Socket = aiohttp.ClientWebSocketResponse

JOIN = b"\x05" + encoded([(1, 0), (2, 1), (4, encoded([(1, 2)]))])
LEAVE = b"\x05" + encoded([(1, 0), (2, 9), (11, b"")])
OFFER = """v=0\r
a=group:BUNDLE 0 1\r
m=audio 9 UDP/TLS/RTP/SAVPF 111\r
a=mid:0\r
m=video 9 UDP/TLS/RTP/SAVPF 96\r
a=mid:1\r
m=video 0 UDP/TLS/RTP/SAVPF 96\r
a=mid:2\r
"""
ANSWER = (
    OFFER.replace("BUNDLE 0 1", "BUNDLE 0 1 2")
    .replace("video 0", "video 9")
    .replace(":1\r\n", ":1\r\na=ssrc:7 cname:x\r\n")
)


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ([(1, 150)], "08 96 01"),
        ([(2, "testing")], "12 07 74 65 73 74 69 6e 67"),
        ([(3, b"\x08\x96\x01")], "1a 03 08 96 01"),
    ],
    ids=["number", "text", "message"],
)
def test_the_examples_of_the_formats_own_page(fields: list[tuple[int, int | str | bytes]], written: str) -> None:
    assert encoded(fields).hex(" ") == written


@given(st.lists(st.tuples(st.integers(1, 2**20), st.integers(0, 2**64 - 1) | st.binary(max_size=300))))
def test_what_is_written_is_read(fields: list[tuple[int, int | bytes]]) -> None:
    expected: dict[int, list[int | bytes]] = {}
    for field, value in fields:
        expected.setdefault(field, []).append(value)
    assert decoded(encoded(fields)) == expected


@given(st.binary(max_size=40))
def test_anything_else_is_refused_or_read_but_never_worse(content: bytes) -> None:
    try:
        read(content)
    except ValueError:
        return
    assert content[0] == 5


def test_an_answer_stops_the_lines_that_the_offer_stopped() -> None:
    answer = without_stopped_lines(ANSWER, OFFER)
    assert "a=group:BUNDLE 0 1\r\n" in answer
    assert "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\n" in answer
    assert picture_lines(answer) == {"1": 7, "2": 0}
    assert without_stopped_lines(ANSWER, ANSWER) == ANSWER


def talking(meeting: Document, token: str, talk: Callable[[Socket], Awaitable[None]]) -> None:
    """Talk over a socket of a meeting."""

    async def run() -> None:
        url = meeting["MediaPlacement"]["SignalingUrl"]
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{url}?X-Chime-Control-Protocol-Version=3", protocols=[SUBPROTOCOL, token]) as socket,
        ):
            await talk(socket)

    asyncio.run(run())


def test_who_joins_gets_an_index_a_pong_for_a_ping_and_a_goodbye(app: MeetingApp) -> None:
    meeting = app.meeting(uuid4().hex)

    async def talk(socket: Socket) -> None:
        await socket.send_bytes(JOIN)
        assert [read(await socket.receive_bytes())[0] for _ in range(2)] == [Kind.JOIN_ACK, Kind.INDEX]
        await socket.send_bytes(b"\x05" + encoded([(1, 0), (2, 19), (20, encoded([(1, 1), (2, 42)]))]))
        kind, pong = read(await socket.receive_bytes())
        assert (kind, number(pong, 1), number(pong, 2)) == (Kind.PING_PONG, 2, 42)
        await socket.send_bytes(LEAVE)
        assert read(await socket.receive_bytes())[0] == Kind.LEAVE_ACK
        assert (await socket.receive()).type == aiohttp.WSMsgType.CLOSE

    talking(meeting, app.attendee(meeting, "customer")["JoinToken"], talk)


@pytest.mark.parametrize(("ended", "code"), [(True, 4410), (False, 4403)], ids=["meeting-over", "stranger"])
def test_who_is_not_let_in_is_told_why(app: MeetingApp, ended: bool, code: int) -> None:  # noqa: FBT001 (a parameter)
    meeting = app.meeting(uuid4().hex)
    token = app.attendee(meeting, "customer")["JoinToken"]
    if ended:
        app.chime.delete_meeting(MeetingId=meeting["MeetingId"])

    async def talk(socket: Socket) -> None:
        await socket.receive()
        assert socket.close_code == code

    talking(meeting, token if ended else "nobody's", talk)
