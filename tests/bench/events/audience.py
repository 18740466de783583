"""Mechanics who listen: connections to the feed, or to a bare server that is the floor of it."""

import asyncio
import hashlib
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, LiteralString

from websockets.asyncio.server import ServerConnection, broadcast, serve

from bench.http.stacks import Deployed

READY_SECONDS: Final = 120.0

_MECHANICS: Final[LiteralString] = """
WITH made AS (
  INSERT INTO mechanics (user_id, name, available_until)
  SELECT new_id(), 'Mia Moreno', 'infinity' FROM generate_series(1, cardinality(%(hashes)s::bytea[]))
  RETURNING user_id
), numbered AS (
  SELECT user_id, row_number() OVER () AS n FROM made
)
INSERT INTO realtime_tickets (ticket_hash, user_id, groups, expires_at)
SELECT (%(hashes)s::bytea[])[n], user_id, ARRAY['mechanics'], now() + interval '1 hour' FROM numbered
"""
_READY: Final[LiteralString] = "SELECT count(*) FROM realtime_connections WHERE ready"


class Frame:
    """A frame: which client got it, when (seconds since the epoch), and what."""

    def __init__(self, client: int, at: float, text: str) -> None:
        self.client = client
        self.at = at
        self.message = json.loads(text)


class Audience:
    """A process of listeners.py with all its clients connected."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.size = len(urls)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.events.listeners"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._tell(json.dumps(urls))
        if self._line() != "connected":
            raise RuntimeError("not everybody could connect")

    def frames(self, session_id: str, seconds: float = 30.0) -> list[Frame]:
        """The first frame about a session that each client got, when all have it."""
        first: dict[int, Frame] = {}
        deadline = time.monotonic() + seconds
        while len(first) < self.size:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(first)} of {self.size} clients were told of {session_id}")
            time.sleep(0.02)
            self._tell("take")
            for frame in (Frame(*each) for each in json.loads(self._line())):
                if (frame.message.get("payload") or {}).get("sessionId") == session_id:
                    first.setdefault(frame.client, frame)
        return list(first.values())

    def close(self) -> None:
        """End the process, and with it every connection."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def mechanics(deployed: Deployed, url: str, count: int) -> Iterator[Audience]:
    """So many mechanics, each with an open connection to the feed at `url`, for as long as the block lasts."""
    tickets = [secrets.token_urlsafe() for _ in range(count)]
    hashes = [hashlib.sha256(ticket.encode()).digest() for ticket in tickets]
    before = _ready(deployed)
    deployed.owner.execute(_MECHANICS, {"hashes": hashes})
    audience = Audience([f"{url}?ticket={ticket}" for ticket in tickets])
    try:
        deadline = time.monotonic() + READY_SECONDS
        while _ready(deployed) < before + count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{_ready(deployed)} of {count} connections take part")
            time.sleep(0.1)
        deployed.rest()
        yield audience
    finally:
        audience.close()
        deployed.rest()


def _ready(deployed: Deployed) -> int:
    row = deployed.owner.execute(_READY).fetchone()
    assert row is not None
    return int(str(row[0]))


class BareServer:
    """The floor: a server that writes one text to everybody who is connected, and nothing else."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._clients: set[ServerConnection] = set()
        threading.Thread(target=self._loop.run_forever, name="bare server", daemon=True).start()
        self.url = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()

    def write(self, text: str) -> None:
        """Write to all."""
        self._loop.call_soon_threadsafe(lambda: broadcast(self._clients, text))

    def close(self) -> None:
        """Stop serving."""

        async def stop() -> None:
            self._server.close()
            await self._server.wait_closed()

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _serve(self) -> str:
        self._server = await serve(self._connected, "127.0.0.1", 0, compression=None, ping_interval=None)
        port = next(iter(self._server.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}/"

    async def _connected(self, client: ServerConnection) -> None:
        self._clients.add(client)
        await client.wait_closed()
        self._clients.discard(client)
