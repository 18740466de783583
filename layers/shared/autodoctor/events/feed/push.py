"""API Gateway's @connections: sends messages to WebSocket connections, many at once, each connection's in order."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from queue import Empty, SimpleQueue
from typing import Final
from urllib.parse import quote

from autodoctor.aws.client import AwsConnection
from autodoctor.aws.errors import ServiceUnreachable
from autodoctor.aws.http_client import HttpResponse
from autodoctor.settings import required

AT_ONCE: Final = 32
# Sending and then closing in vain takes 6.5 s, well within the function's time.
TRIES: Final = 2
TIMEOUT_SECONDS: Final = 1.5
_PAUSE_SECONDS: Final = 0.1


class PushFailed(Exception):
    """Some connections could neither be reached nor closed; their messages have to be sent again."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} connections could not be reached")


@dataclass(slots=True)
class Pushed:
    """The result of a broadcast.

    Attributes:
        gone: connections that have closed.
        failed: connections that stay open although nothing reaches them.
    """

    gone: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class _Pool:
    """Kept connections to the management API: as many as were ever in use at once."""

    def __init__(self) -> None:
        self._idle: SimpleQueue[AwsConnection] = SimpleQueue()

    def send(
        self, method: str, connection_id: str, body: bytes, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> HttpResponse | None:
        """Make one call; returns None where nothing answered."""
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = AwsConnection("execute-api", required("WEBSOCKET_ENDPOINT"))
        path = f"/%40connections/{quote(connection_id, safe='')}"
        try:
            return connection.send(method, path, body, {}, timeout_seconds=timeout_seconds)
        except ServiceUnreachable:
            return None
        finally:
            self._idle.put(connection)


@cache
def _pool() -> _Pool:
    return _Pool()


def call(method: str, connection_id: str, body: bytes) -> HttpResponse | None:
    """Make one call of `@connections` about a connection; returns None where nothing answered."""
    return _pool().send(method, connection_id, body)


def look(connection_id: str) -> Pushed:
    """Look whether a connection can be reached, without sending it anything.

    While its `$connect` is still running it is "gone" here, as it is for whoever sends it a message.
    """
    response = call("GET", connection_id, b"")
    status = response.status if response else 0
    if status == HTTPStatus.GONE:
        return Pushed(gone=[connection_id])
    return Pushed() if status == HTTPStatus.OK else Pushed(failed=[connection_id])


def push(frames: Mapping[str, Sequence[bytes]]) -> Pushed:
    """Send each connection its messages, in order.

    An open connection that takes no message is closed; its client then reconnects and asks for what it missed.

    Args:
        frames: messages by connection id.
    """
    return _pushed(frames, _push_to)


def push_at_once(frames: Mapping[str, Sequence[bytes]], budget_seconds: float) -> Pushed:
    """Send each connection its messages, in order, without trying twice or closing what does not answer.

    For calls that somebody waits for: what has failed is left to a consumer.

    Args:
        frames: messages by connection id.
        budget_seconds: for each message.
    """

    def send_to(connection_id: str, messages: Sequence[bytes]) -> str:
        for message in messages:
            response = _pool().send("POST", connection_id, message, budget_seconds)
            status = response.status if response else 0
            if status != HTTPStatus.OK:
                return "gone" if status == HTTPStatus.GONE else "failed"
        return "sent"

    return _pushed(frames, send_to)


def _pushed(frames: Mapping[str, Sequence[bytes]], send_to: Callable[[str, Sequence[bytes]], str]) -> Pushed:
    """Send to every connection, many at once; `send_to` says sent, gone or failed."""
    pushed = Pushed()
    if len(frames) <= 1:
        outcomes = [send_to(*item) for item in frames.items()]
    else:
        with ThreadPoolExecutor(min(AT_ONCE, len(frames))) as threads:
            outcomes = list(threads.map(lambda item: send_to(*item), frames.items()))
    for connection_id, outcome in zip(frames, outcomes, strict=True):
        if outcome == "gone":
            pushed.gone.append(connection_id)
        elif outcome == "failed":
            pushed.failed.append(connection_id)
    return pushed


def close(connection_ids: Sequence[str], goodbye: bytes) -> None:
    """Close connections after a last message; one that cannot be reached ends by itself within two hours."""
    for connection_id in connection_ids:
        _insist("POST", connection_id, goodbye)
        _insist("DELETE", connection_id, b"")


def _push_to(connection_id: str, messages: Sequence[bytes]) -> str:
    for message in messages:
        status = _insist("POST", connection_id, message)
        if status == HTTPStatus.GONE:
            return "gone"
        if status != HTTPStatus.OK:
            closed = _insist("DELETE", connection_id, b"")
            return "gone" if closed in (HTTPStatus.NO_CONTENT, HTTPStatus.GONE) else "failed"
    return "sent"


def _insist(method: str, connection_id: str, body: bytes) -> int:
    status = 0
    for attempt in range(TRIES):
        response = call(method, connection_id, body)
        status = response.status if response else 0
        if status and status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS:
            break
        time.sleep(_PAUSE_SECONDS * 2**attempt)
    return status
