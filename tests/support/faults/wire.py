"""A TCP proxy that fails at a chosen message: it cuts the wire there, is late with it, or swallows it and what follows.

A message is what one side says until the other one answers, whatever the protocol: requests and answers of PostgreSQL
and of HTTP alike. Messages are counted over all connections, from the moment that a fault is chosen.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal
from urllib.parse import urlsplit

import pytest

CHUNK_BYTES: Final = 65536
LATE_SECONDS: Final = 0.2

type Fault = Literal["cut", "delay", "swallow"]

FAULTS: Final = ("cut", "delay", pytest.param("swallow", marks=pytest.mark.slow))
"""For a test of each; what is swallowed is waited for until the caller's time is over."""


class _Connection:
    """Both ends of one connection; who spoke last, and whether nothing gets through any more."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self._writers = writers
        self.speaker: str | None = None
        self.mute = False

    def close(self) -> None:
        """Hang up on both."""
        for writer in self._writers:
            writer.close()


class Wire:
    """Forwards connections to one server.

    Attributes:
        port: of the proxy, on the loopback address.
        fired: how often each fault happened, by its name.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.fired = Counter[str]()
        self._target = (host, port)
        self._chosen: tuple[Fault, int] | None = None
        self._open: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Listen, on a port of the system's choice."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Hang up on everybody and listen no more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def fail_at(self, number: int, fault: Fault = "cut") -> None:
        """Have a fault happen once, at the message with this number from now, from 0."""
        self._chosen = (fault, number)

    def relent(self) -> bool:
        """Choose no fault any more; whether the last one did not happen."""
        left, self._chosen = self._chosen, None
        return left is not None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accepted, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for connection in self._open:
            connection.close()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._target)
        except OSError:  # nobody listens there now
            writer.close()
            return
        connection = _Connection(writer, there_writer)
        self._open.add(connection)
        await asyncio.gather(
            self._pump("client", reader, there_writer, connection),
            self._pump("server", there_reader, writer, connection),
        )
        self._open.discard(connection)

    async def _pump(
        self, speaker: str, source: asyncio.StreamReader, target: asyncio.StreamWriter, connection: _Connection
    ) -> None:
        try:
            while data := await source.read(CHUNK_BYTES):
                if connection.speaker != speaker:
                    connection.speaker = speaker
                    match self._fault():
                        case "cut":
                            break
                        case "delay":
                            await asyncio.sleep(LATE_SECONDS)
                        case "swallow":
                            connection.mute = True
                if not connection.mute:
                    target.write(data)
                    await target.drain()
        except OSError:  # either end is gone
            pass
        connection.close()

    def _fault(self) -> Fault | None:
        """What happens to the message that begins now."""
        if self._chosen is None:
            return None
        fault, left = self._chosen
        self._chosen = None if left == 0 else (fault, left - 1)
        if left:
            return None
        self.fired[fault] += 1
        return fault


@contextmanager
def wire_to(url: str) -> Iterator[Wire]:
    """Run a proxy before the server of this URL."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    wire = Wire(parts.hostname, parts.port)
    wire.start()
    try:
        yield wire
    finally:
        wire.stop()


def through(wire: Wire, url: str) -> str:
    """The same URL by way of the proxy."""
    parts = urlsplit(url)
    return url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{wire.port}")
