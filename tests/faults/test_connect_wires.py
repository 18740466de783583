"""The wire to the feed's queue fails while a socket opens: it is open and told of, or refused without a trace."""

import itertools
from collections.abc import Iterator
from typing import Any, Final

import pytest

from autodoctor.events.feed import queue
from autodoctor.events.feed.sockets import handler
from autodoctor.events.feed.tickets import issue_ticket
from autodoctor.ids import new_id
from support.events.sqs_records import NO_QUEUE
from support.events.wired_queue import wired_queue
from support.faults.wire import FAULTS, Fault, Wire
from support.http.lambda_event import Context
from support.world import World

MOST_MESSAGES: Final = 20
PATH: Final = "/123456789012/feed.fifo"


@pytest.fixture
def feed_queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[dict[str, Any]], Wire]]:
    """The feed's queue, which keeps the notes that it gets, at the end of a wire."""
    with wired_queue() as (notes, wire, url):
        for name, value in {**NO_QUEUE, "FEED_QUEUE_URL": url + PATH, "WEBSOCKET_URL": "wss://feed.example"}.items():
            monkeypatch.setenv(name, value)
        queue._connection.cache_clear()  # noqa: SLF001 (an execution environment of the test's own)
        yield notes, wire
        queue._connection().close()  # noqa: SLF001
        queue._connection.cache_clear()  # noqa: SLF001


def connected(world: World, connection_id: str) -> int:
    """Open a socket as API Gateway does; gives the status that the handshake gets."""
    ticket = issue_ticket(world.app, new_id(), frozenset({"customers"})).ticket
    event = {
        "requestContext": {
            "requestId": connection_id,
            "connectionId": connection_id,
            "eventType": "CONNECT",
            "routeKey": "$connect",
        },
        "queryStringParameters": {"ticket": ticket},
    }
    return handler(world.app, lambda _session_id: None)(event, Context())["statusCode"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_socket_is_open_and_told_of_or_refused_without_a_trace(
    world: World, feed_queue: tuple[list[dict[str, Any]], Wire], fault: Fault
) -> None:
    notes, wire = feed_queue
    statuses = []
    for number in itertools.count():
        assert number < MOST_MESSAGES
        connection_id = str(new_id())
        wire.fail_at(number, fault)
        status = connected(world, connection_id)
        fired = not wire.relent()
        rows = world.one("SELECT count(*) FROM realtime_connections WHERE connection_id = %s", connection_id)
        assert rows == (status == 200)
        told = [note for note in notes if note["MessageDeduplicationId"] == connection_id]
        assert told or status != 200
        statuses.append(status)
        if not fired:
            break
    assert statuses[-1] == 200
    assert set(statuses) <= {200, 503}
    assert wire.fired[fault] == number > 0


def test_a_queue_that_is_not_there_refuses_the_socket(
    world: World, feed_queue: tuple[list[dict[str, Any]], Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEED_QUEUE_URL", NO_QUEUE["AWS_ENDPOINT_URL_SQS"] + PATH)
    assert connected(world, connection_id := str(new_id())) == 503
    assert world.one("SELECT count(*) FROM realtime_connections WHERE connection_id = %s", connection_id) == 0
    assert feed_queue[0] == []
