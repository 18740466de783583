"""One message to each of many browsers: RFC 8030, many at once, over our own HTTP client, without a redirect."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from queue import Empty, SimpleQueue
from typing import Final, Literal
from uuid import UUID

from autodoctor.aws.http_client import HttpConnection
from autodoctor.db import Row
from autodoctor.push.encryption import sealed
from autodoctor.push.endpoints import NotAPushService, endpoint_of
from autodoctor.push.vapid import Vapid

AT_ONCE: Final = 16
TIMEOUT_SECONDS: Final = 2.0
_MOST_STATUS: Final = 300

type Urgency = Literal["high", "normal"]


class PushOutcome(Enum):
    """What a push service said."""

    SENT = "sent"
    GONE = "gone"
    """The browser no longer has this subscription, or its push service is not called any more."""
    REFUSED = "refused"
    """By our fault or the service's: the same message again would be refused again."""
    AWAY = "away"
    """Too much, an error, or no answer: later it may work."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A browser that is called."""

    id: UUID
    endpoint: str
    public_key: bytes
    secret: bytes


def subscription_of(row: Row) -> Subscription:
    """The subscription in a row that has its columns and `subscription_id`."""
    return Subscription(row["subscription_id"], row["endpoint"], bytes(row["public_key"]), bytes(row["secret"]))


@dataclass(frozen=True, slots=True)
class PushMessage:
    """What a browser gets.

    Attributes:
        body: what the console's service worker reads.
        topic: at most 32 characters; a newer message of the same topic takes the place of one that still waits.
        ttl_seconds: for how long the push service keeps it for a browser that cannot be reached.
        urgency: whether it wakes a device that saves its battery.
    """

    body: bytes
    topic: str
    ttl_seconds: int
    urgency: Urgency


class PushSender:
    """Sends messages under the present key pair, over kept connections: as many as were ever in use at once."""

    def __init__(self, vapid: Callable[[], Vapid]) -> None:
        self._vapid = vapid
        self._idle: dict[str, SimpleQueue[HttpConnection]] = {}

    def send(self, messages: Sequence[tuple[Subscription, PushMessage]]) -> list[PushOutcome]:
        """Send each message to its browser; what failed for a while is tried once more when all others are sent."""
        if not messages:
            return []
        with ThreadPoolExecutor(min(AT_ONCE, len(messages))) as threads:
            outcomes = list(threads.map(self._sent, messages))
            again = [place for place, outcome in enumerate(outcomes) if outcome is PushOutcome.AWAY]
            for place, outcome in zip(again, threads.map(self._sent, [messages[each] for each in again]), strict=True):
                outcomes[place] = outcome
        return outcomes

    def _sent(self, one: tuple[Subscription, PushMessage]) -> PushOutcome:
        subscription, message = one
        try:
            endpoint = endpoint_of(subscription.endpoint)
        except NotAPushService:
            return PushOutcome.GONE
        headers = {
            "Authorization": self._vapid().authorization(endpoint.origin),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(message.ttl_seconds),
            "Topic": message.topic,
            "Urgency": message.urgency,
        }
        body = sealed(message.body, subscription.public_key, subscription.secret)
        idle = self._idle.setdefault(endpoint.origin, SimpleQueue())
        try:
            connection = idle.get_nowait()
        except Empty:
            connection = HttpConnection(endpoint.origin)
        try:
            return _meaning(_status(connection, endpoint.target, headers, body))
        except OSError:
            return PushOutcome.AWAY
        finally:
            idle.put(connection)

    def close(self) -> None:
        """Close every connection."""
        for idle in self._idle.values():
            while not idle.empty():
                idle.get_nowait().close()


def _status(connection: HttpConnection, target: str, headers: Mapping[str, str], body: bytes) -> int:
    """The status of the answer; a kept connection that was closed meanwhile is opened again."""
    whole = {"Host": connection.host, **headers}
    kept = connection.kept
    try:
        return connection.request("POST", target, whole, body, timeout_seconds=TIMEOUT_SECONDS).status
    except ConnectionError:
        if not kept:
            raise
    return connection.request("POST", target, whole, body, timeout_seconds=TIMEOUT_SECONDS).status


def _meaning(status: int) -> PushOutcome:
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return PushOutcome.GONE
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return PushOutcome.AWAY
    return PushOutcome.SENT if HTTPStatus.OK <= status < _MOST_STATUS else PushOutcome.REFUSED
