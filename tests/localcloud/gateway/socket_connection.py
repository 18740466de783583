"""One WebSocket connection on the wire: frames, messages, limits, and its end.

The protocol itself is the Sans-I/O one of `websockets`; this connects it to a transport. API Gateway offers no
compression, and neither does this.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from localcloud.gateway.socket_events import Closing

FRAME_BYTES = 32 * 1024
MESSAGE_BYTES = 128 * 1024
# The bytes that a client may leave unread before posts to it are refused.
_UNREAD_BYTES = 1024 * 1024
_CLOSE_SECONDS = 3.0
_NO_STATUS = Closing(1005, "Client-side close frame status not set")
VANISHED = Closing(1006, "")
_DELETED = Closing(1000, "Connection Closed Normally")
GOING_AWAY = Closing(1001, "Going away")


class Gone(Exception):
    """The connection is closed or closing."""


class BufferFull(Exception):
    """The client does not read its messages."""


@dataclass(frozen=True)
class Lifetime:
    """How long a connection may be silent, and how long it may last in all, in seconds."""

    idle_seconds: float = 600.0
    total_seconds: float = 7200.0


class SocketConnection(asyncio.Protocol):
    """Takes over a transport after the handshake. All methods belong to the event loop's thread.

    `ended` is done as soon as the connection ends, `lost` when its transport is gone.
    """

    def __init__(self, lifetime: Lifetime, receive: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lifetime = lifetime
        self._receive = receive
        self._wire = ServerProtocol(state=State.OPEN, max_size=(MESSAGE_BYTES, FRAME_BYTES))
        self._transport: asyncio.Transport
        self._fragments: list[bytes] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._active = 0.0
        self.ended: asyncio.Future[Closing] = self._loop.create_future()
        self.lost: asyncio.Future[None] = self._loop.create_future()

    def open(self, transport: asyncio.Transport, handshake: bytes) -> None:
        """Answer the handshake and begin to listen."""
        self._transport = transport
        transport.set_protocol(self)
        transport.resume_reading()
        transport.write(handshake)
        self._touch()
        self._timers["total"] = self._loop.call_later(self._lifetime.total_seconds, self.close, GOING_AWAY)
        self._timers["idle"] = self._loop.call_later(self._lifetime.idle_seconds, self._check_idle)

    def send(self, data: bytes) -> None:
        """Send a text message, without waiting for the client. Raises Gone or BufferFull."""
        if self.ended.done() or self._transport.is_closing():
            raise Gone
        if self._transport.get_write_buffer_size() > _UNREAD_BYTES:
            raise BufferFull
        self._wire.send_text(data)
        self._flush()
        self._touch()

    def close(self, closing: Closing = _DELETED) -> None:
        """End the connection from this side."""
        if self.ended.done():
            return
        self._wire.send_close(closing.code, closing.reason)
        self._end(closing)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        self._wire.receive_data(data)
        for event in self._wire.events_received():
            if isinstance(event, Frame):
                self._frame(event)
        if self._wire.state is not State.OPEN:
            self._end(self._closing())
        self._flush()

    def eof_received(self) -> None:
        """The client sends nothing more: without a close frame, it has left."""
        self._end(VANISHED)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """The transport has closed."""
        self._end(VANISHED)
        for timer in self._timers.values():
            timer.cancel()
        if not self.lost.done():
            self.lost.set_result(None)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY:
            self._wire.fail(CloseCode.UNSUPPORTED_DATA, "Binary frames are not supported")
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._touch()
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                message, self._fragments = b"".join(self._fragments), []
                self._message(message)

    def _message(self, message: bytes) -> None:
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self._wire.fail(CloseCode.INVALID_DATA, "not UTF-8")
            return
        if not self.ended.done():
            self._receive(text)

    def _closing(self) -> Closing:
        """The close code and reason of the closing handshake, ours when we began it."""
        close = self._wire.close_rcvd if self._wire.close_rcvd_then_sent else self._wire.close_sent
        if close is None:
            return VANISHED
        return _NO_STATUS if close.code == _NO_STATUS.code else Closing(close.code, close.reason)

    def _end(self, closing: Closing) -> None:
        if self.ended.done():
            return
        self.ended.set_result(closing)
        self._timers["abort"] = self._loop.call_later(_CLOSE_SECONDS, self._transport.abort)

    def _flush(self) -> None:
        for data in self._wire.data_to_send():
            if data:
                self._transport.write(data)
            else:  # websockets' sign for: no more
                # Half only: closing a socket with unread data resets the connection, and loses the close frame.
                self._transport.write_eof()

    def _touch(self) -> None:
        self._active = self._loop.time()

    def idle_for(self) -> float:
        """Return the seconds since the last message in either direction."""
        return self._loop.time() - self._active

    def _check_idle(self) -> None:
        left = self._lifetime.idle_seconds - self.idle_for()
        if left <= 0:
            self.close(GOING_AWAY)
        else:
            self._timers["idle"] = self._loop.call_later(left, self._check_idle)
