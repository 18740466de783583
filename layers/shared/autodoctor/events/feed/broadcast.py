"""The consumer behind the feed's queue: sends every event to all connected users who may see it.

The queue is FIFO with one message group, so that one broadcast runs at a time: numbers, commits and pushes agree.
Besides the bus's events it carries notes: of each new connection, to which API Gateway lets us send only after the
handshake, and of each that asks for its own id, which API Gateway does not tell a client.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from autodoctor.db import Database, Row
from autodoctor.events.consumer import BatchAnswer, not_done
from autodoctor.events.feed import connections, messages, queue_position
from autodoctor.events.feed.push import PushFailed, close, look, push
from autodoctor.events.feed.queue import CONNECT_NOTE, IDENTIFY_NOTE
from autodoctor.events.model import Event, parse_event
from autodoctor.observability import count, log_failure, logger

HANDSHAKE_SECONDS: Final = 1.0
MOST_MISSED: Final = 200
"""A client that missed more fetches everything again, which is quicker for it and for all others in the queue."""
_LOOK_AGAIN_SECONDS: Final = 0.05
RESYNC: Final = "resync"
_SUPERSEDED: Final = json.dumps({"type": "superseded"}).encode()


def handler(database: Database) -> Callable[[Mapping[str, Any], LambdaContext], BatchAnswer]:
    """The Lambda handler of the feed's queue.

    Where a batch fails, its records are tried one by one: those before the failing one are done; SQS delivers it and
    all after it again, in order.
    """

    def handle(batch: Mapping[str, Any], _context: LambdaContext) -> BatchAnswer:
        records = batch["Records"]
        try:
            broadcast(database, records)
        except Exception as failure:  # noqa: BLE001 (tried again one by one; logged)
            log_failure("batch not broadcast", failure)
            return not_done(_left_of(database, records))
        return {"batchItemFailures": []}

    return logger.inject_lambda_context(clear_state=True)(handle)


def _left_of(database: Database, records: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    for done, record in enumerate(records):
        try:
            broadcast(database, [record])
        except Exception as failure:  # noqa: BLE001 (SQS keeps it and what follows; logged)
            log_failure("event not broadcast", failure)
            return records[done:]
    return []


def broadcast(database: Database, records: Sequence[Mapping[str, Any]]) -> None:
    """Handle a batch of the feed's queue.

    Args:
        records: SQS records, each an event of the bus or a note about a connection.

    Raises:
        PushFailed: a connection is open and cannot be reached; the batch has to come again.
    """
    bodies = [json.loads(record["body"]) for record in records]
    opened = [body[CONNECT_NOTE] for body in bodies if CONNECT_NOTE in body]
    asking = [body[IDENTIFY_NOTE] for body in bodies if IDENTIFY_NOTE in body]
    events, unreadable = _read(body for body in bodies if CONNECT_NOTE not in body and IDENTIFY_NOTE not in body)
    push_events(database, sorted(events, key=lambda event: event.sequence))
    if unreadable:
        count("UnreadableEvents", unreadable)
        resync = messages.where_we_are(database, RESYNC)
        _push(database, {connection_id: [resync] for connection_id in connections.all_ready(database)})
    for connection_id in opened:
        welcome(database, connection_id)
    for connection_id in asking:
        identify(database, connection_id)
    push_queue_positions(database)


def _read(bodies: Iterable[Mapping[str, Any]]) -> tuple[list[Event], int]:
    """The events, and how many could not be read, perhaps as they are of a later release; these hold up nothing."""
    events, unreadable = [], 0
    for body in bodies:
        try:
            events.append(parse_event(body))
        except (ValidationError, KeyError) as failure:
            log_failure("unreadable event", failure)
            unreadable += 1
    return events, unreadable


def push_events(database: Database, events: Sequence[Event]) -> None:
    """Push the messages of these events to everybody who is connected and may see them.

    Idempotent: a message that is marked as sent is not sent again; one of a broadcast that died is, with the same seq.

    Raises:
        PushFailed: a connection is open and cannot be reached.
    """
    if not events:
        return
    messages.record(database, events)
    _send(database, messages.unsent(database, events))
    messages.mark_sent(database, events)


def push_queue_positions(database: Database) -> None:
    """Push their place in the queue to the customers for whom it has changed.

    Raises:
        PushFailed: a connection is open and cannot be reached.
    """
    rows = queue_position.changed(database)
    if rows:
        _push(database, queue_position.frames(database, rows))
        queue_position.mark_sent(database, rows)


def welcome(database: Database, connection_id: str) -> None:
    """Send a new connection the messages that it missed; from then on it gets every new one.

    All other messages wait behind this. So a client that missed too many is told to start afresh, and one that cannot
    be reached a moment after its handshake began counts as gone. Where its user has too many connections by now, the
    oldest are closed: each message goes to all of them.

    Raises:
        PushFailed: the connection is open and cannot be reached.
    """
    while (owed := connections.owed(database, connection_id)) is not None:
        if owed.surplus:
            close(owed.surplus, _SUPERSEDED)
            connections.drop(database, owed.surplus)
            continue
        missed = [] if owed.lost else messages.missed(database, connection_id, owed.since, MOST_MISSED + 1)
        too_much = owed.lost or len(missed) > MOST_MISSED
        frames = [messages.where_we_are(database, RESYNC)] if too_much else [messages.frame(row) for row in missed]
        pushed = push({connection_id: frames}) if frames else look(connection_id)
        if pushed.failed:
            raise PushFailed(1)
        if not pushed.gone:
            connections.ready(database, connection_id)
            return
        if owed.age_seconds > HANDSHAKE_SECONDS:
            connections.drop(database, [connection_id])
            return
        time.sleep(_LOOK_AGAIN_SECONDS)


def identify(database: Database, connection_id: str) -> None:
    """Tell a connection its id, which a join may name, and the present seq, from which it can ask for more later.

    Raises:
        PushFailed: the connection is open and cannot be reached.
    """
    about = messages.where_we_are(database, "connected", connectionId=connection_id)
    _push(database, {connection_id: [about]})


def _send(database: Database, rows: Sequence[Row]) -> None:
    frames: defaultdict[str, list[bytes]] = defaultdict(list)
    for row in rows:
        frames[row["connection_id"]].append(messages.frame(row))
    _push(database, frames)


def _push(database: Database, frames: Mapping[str, Sequence[bytes]]) -> None:
    pushed = push(frames)
    connections.drop(database, pushed.gone)
    if pushed.failed:
        raise PushFailed(len(pushed.failed))
