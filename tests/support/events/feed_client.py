"""A client of the realtime feed: records messages with their times, and can vanish."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, Self
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

OPEN_SECONDS = 60.0
WAIT_SECONDS = 60.0


class Poster(Protocol):
    """Somebody with a token, such as journey.account.Caller."""

    def post(self, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
        """Return the document of an answer with this status."""


@dataclass(frozen=True)
class Received:
    """One frame: when it came (time.monotonic(), seconds), its text, and as JSON where it is an object."""

    at: float
    text: str
    message: dict[str, Any]

    @property
    def type(self) -> str:
        """The message's type, empty where it has none."""
        return str(self.message.get("type", ""))

    @property
    def seq(self) -> int | None:
        """The message's number in the feed."""
        return self.message.get("seq")

    @property
    def payload(self) -> dict[str, Any]:
        """The message's facts."""
        payload: dict[str, Any] = self.message.get("payload") or {}
        return payload


class FeedClient:
    """One open WebSocket whose frames a thread collects in `received`, oldest first.

    Opening raises websockets.exceptions.InvalidStatus where the handshake is refused; its
    `response.status_code` says how. Leave a `with` block, or call `close` or `vanish`, to end it.
    """

    def __init__(self, url: str, *, headers: dict[str, str] | None = None) -> None:
        """Connect to `url`, query string included."""
        self.received: list[Received] = []
        self.closed_with: tuple[int, str] | None = None
        self._news = threading.Condition()
        self._ending = ExitStack()
        opening = connect(
            url,
            additional_headers=headers,
            compression=None,
            proxy=None,
            ping_interval=None,
            open_timeout=OPEN_SECONDS,
        )
        self._socket: ClientConnection = self._ending.enter_context(opening)
        self._thread = threading.Thread(target=self._collect, name="feed client", daemon=True)
        self._thread.start()

    @classmethod
    def of(cls, caller: Poster, *, since: int | None = None, feed: str | None = None) -> Self:
        """Connect as somebody: a ticket over HTTP, then the feed."""
        ticket = caller.post("/api/realtime/ticket")
        return cls.with_ticket(ticket["url"], ticket["ticket"], since=since, feed=feed)

    @classmethod
    def with_ticket(cls, url: str, ticket: str, *, since: int | None = None, feed: str | None = None) -> Self:
        """Connect with a ticket one already has."""
        wanted = {"ticket": ticket, "since": since, "feed": feed}
        query = {name: str(value) for name, value in wanted.items() if value is not None}
        return cls(f"{url}?{urlencode(query)}")

    @property
    def last_seq(self) -> int | None:
        """The greatest number received so far, to reconnect with."""
        return max((frame.seq for frame in list(self.received) if frame.seq is not None), default=None)

    def send(self, message: object) -> None:
        """Send a message: a string as it is, anything else as JSON."""
        self._socket.send(message if isinstance(message, str) else json.dumps(message))

    def of_type(self, kind: str) -> list[Received]:
        """Return what came of one type so far."""
        return [frame for frame in list(self.received) if frame.type == kind]

    def wait_for(self, predicate: Callable[[Received], bool], seconds: float = WAIT_SECONDS) -> Received:
        """Return the first frame, also of those that came before, that fits; fail when none comes in time."""
        deadline = time.monotonic() + seconds
        with self._news:
            seen = 0
            while True:
                for frame in self.received[seen:]:
                    if predicate(frame):
                        return frame
                seen = len(self.received)
                left = deadline - time.monotonic()
                if left <= 0 or (self.closed_with and seen == len(self.received)):
                    raise AssertionError(f"not among {[frame.text for frame in self.received]}; {self.closed_with}")
                self._news.wait(left)

    def wait_for_type(self, kind: str, seconds: float = WAIT_SECONDS) -> Received:
        """Return the first frame of a type; fail when none comes in time."""
        return self.wait_for(lambda frame: frame.type == kind, seconds)

    def wait_for_words(self, words: str, seconds: float = WAIT_SECONDS) -> Received:
        """Return the first frame with these words; fail when none comes in time."""
        return self.wait_for(lambda frame: words in frame.text, seconds)

    def wait_closed(self, seconds: float = WAIT_SECONDS) -> tuple[int, str]:
        """Return code and reason of the close (1006 without a handshake); fail when it stays open."""
        with self._news:
            assert self._news.wait_for(lambda: self.closed_with is not None, seconds), "still open"
        assert self.closed_with is not None
        return self.closed_with

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close as one should."""
        self._socket.close(code, reason)
        self._ending.close()
        self._thread.join()

    def vanish(self) -> None:
        """Cut the TCP connection (a reset), without a closing handshake."""
        self._ending.pop_all()
        raw = self._socket.socket
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.shutdown(socket.SHUT_RD)
        raw.close()
        self._thread.join(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _collect(self) -> None:
        try:
            for data in self._socket:
                self._keep(data if isinstance(data, str) else data.decode(errors="replace"))
        except ConnectionClosed:
            pass
        code, reason = self._socket.close_code, self._socket.close_reason
        with self._news:
            self.closed_with = (code if code is not None else 1006, reason or "")
            self._news.notify_all()

    def _keep(self, text: str) -> None:
        at = time.monotonic()
        try:
            message = json.loads(text)
        except ValueError:
            message = {}
        with self._news:
            self.received.append(Received(at, text, message if isinstance(message, dict) else {}))
            self._news.notify_all()


@contextmanager
def feeds(*callers: Poster) -> Iterator[list[FeedClient]]:
    """Open a feed for each caller and close them all at the end."""
    opened = [FeedClient.of(caller) for caller in callers]
    try:
        yield opened
    finally:
        for client in opened:
            client.close()
