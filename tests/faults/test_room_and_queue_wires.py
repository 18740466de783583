"""The wire that a consumer speaks through fails at each of its messages: to the sockets of a room, to its queue.

Whoever is in the room shows each word once and in order, however often the queue has to bring the event; and Lambda is
told which messages failed, whatever became of the wish to have them again soon.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, LiteralString
from uuid import UUID

import pytest

from autodoctor.events import outbox, redelivery
from autodoctor.events.consumer import envelope_consumer
from autodoctor.events.feed import connections
from autodoctor.events.feed.push import PushFailed
from autodoctor.events.feed.tickets import issue_ticket
from autodoctor.events.model import MessageEvent, event_of
from autodoctor.ids import new_id
from autodoctor.room.messages import MessageRequest, post
from autodoctor.room.tell import deliver
from support.events.scripted_sockets import Sockets
from support.events.sqs_records import NO_QUEUE, sqs_record
from support.events.wired_queue import wired_queue
from support.faults.wire import FAULTS, Fault, Wire
from support.http.lambda_event import Context
from support.room.device import Device
from support.world import World

MOST_MESSAGES: Final = 20
_ENTER: Final[LiteralString] = "SELECT messages, latest FROM bind_room(%(connection)s, %(session_id)s, 0, 100)"
WORDS: Final = ["It squeals.", "When I brake.", "Only when cold."]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_room_shows_every_word_once_whatever_befalls_the_wire_to_its_sockets(
    world: World, sockets: tuple[Sockets, Wire], fault: Fault
) -> None:
    scripted, wire = sockets
    for number in itertools.count():
        assert number < MOST_MESSAGES
        device, connection_id, written = written_in_a_room(world)
        wire.fail_at(number, fault)
        for event in written:
            delivered(world, event)
        fired = not wire.relent()
        for pushed in scripted.got[connection_id]:
            device.take(json.dumps(pushed).encode())
        assert list(device.shown.values())[-len(WORDS) :] == WORDS
        if not fired:
            break
    assert number >= 4
    assert wire.fired[fault] == number


@pytest.mark.parametrize("fault", FAULTS)
def test_lambda_hears_what_failed_whatever_befalls_the_wire_to_the_queue(
    monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    records = [sqs_record({"fails": each in (1, 3)}, str(each), received=2) for each in range(4)]
    failed = {"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "3"}]}
    handler = envelope_consumer(refuse)
    with queue_behind_a_wire(monkeypatch) as (asked, wire):
        for number in itertools.count():
            assert number < MOST_MESSAGES
            before = len(asked)
            wire.fail_at(number, fault)
            assert handler({"Records": records}, Context()) == failed
            fired = not wire.relent()
            waits = {tuple(each["VisibilityTimeout"] for each in one["Entries"]) for one in asked[before:]}
            assert waits <= {(4, 4)}  # of 2 s twice as long, for it was received twice; never of what is done
            assert waits or (fired and fault != "delay")
            if not fired:
                break
    assert number >= 2
    assert wire.fired[fault] == number


def written_in_a_room(world: World) -> tuple[Device, str, list[MessageEvent]]:
    """A mechanic's device, its connection, bound to a room, and the customer's words, of which nobody has heard yet."""
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.waiting(mechanic, customer).session_id
    device, connection_id = Device(mechanic.user_id), str(new_id())
    ticket = issue_ticket(world.app, device.user_id, frozenset({"mechanics"})).ticket
    connections.connect(world.app, connection_id, ticket, None)
    assert connections.ready(world.app, connection_id)
    entered = world.app.one(_ENTER, {"connection": connection_id, "session_id": session_id})
    assert entered is not None
    device.take(json.dumps({"type": "room", "complete": True, **entered}).encode())
    room: set[UUID] = set()
    for words in WORDS:
        request = MessageRequest.model_validate({"clientId": new_id(), "text": words})
        told = post(world.app, customer, session_id, request).told
        assert told is not None
        assert told.event is not None
        room.add(UUID(told.event["subject_id"]))
    events = [event_of(row) for each in room for row in outbox.pending(world.app, each)]
    return device, connection_id, [each for each in events if isinstance(each, MessageEvent)]


def delivered(world: World, event: MessageEvent) -> None:
    """Have an event delivered until nothing fails, as its queue does."""
    for _ in range(5):
        with suppress(PushFailed):
            deliver(world.app, event)
            return
    pytest.fail("never delivered")


def refuse(envelope: Mapping[str, Any]) -> None:
    if envelope["fails"]:
        raise ValueError("as asked")


@contextmanager
def queue_behind_a_wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[dict[str, Any]], Wire]]:
    """SQS, which keeps what it is asked for, at the end of a wire."""
    with wired_queue() as (asked, wire, url):
        for name, value in {**NO_QUEUE, "AWS_ENDPOINT_URL_SQS": url}.items():
            monkeypatch.setenv(name, value)
        redelivery._connection.cache_clear()  # noqa: SLF001 (an execution environment of the test's own)
        yield asked, wire
        redelivery._connection().close()  # noqa: SLF001
        redelivery._connection.cache_clear()  # noqa: SLF001
