"""After a call has committed, everybody in the room hears of it at once; if that fails, a consumer tells them.

The event says whether the open connections have it (`pushed`), and whether the other party is among them (`heard`): the
rules of the consumers take only what somebody still has to be told, so that nothing that people say to each other waits
for a queue, and talking costs no consumer.
"""

from collections.abc import Sequence
from typing import Any, Final, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.events.feed import connections
from autodoctor.events.feed.push import Pushed, PushFailed, push, push_at_once
from autodoctor.events.model import MessageEvent, SessionEvent
from autodoctor.events.publish import AboutSession, Publisher
from autodoctor.observability import count, log_failure
from autodoctor.room.frames import MessagePushed, PresentPushed, ReadPushed, frame, presence
from autodoctor.room.messages import Marked, Message, Posted
from autodoctor.settings import required

BUDGET_SECONDS: Final = 0.3
_AUDIENCE: Final[LiteralString] = "SELECT * FROM room_audience(%(session_id)s, %(seq)s, %(noted)s)"


class Teller:
    """Tells the connections of a room what a call has just written; a failure is counted, and the caller never sees it.

    Raises:
        SettingMissing: the deployment names no bus or no WebSocket API.
    """

    def __init__(self, database: Database) -> None:
        required("WEBSOCKET_ENDPOINT")
        self._database = database
        self._publisher = Publisher(database)

    def posted(self, answer: Posted) -> None:
        """Push a message, and publish its event."""
        told = answer.told
        if told is None or told.message is None:
            return
        sent = frame(MessagePushed(session_id=told.session_id, message=told.message))
        missed = tell(self._database, told.connections, sent)
        if told.event is not None:
            heard = told.other_is_there and told.connections[0] not in (*missed.gone, *missed.failed)
            facts = {"pushed": not missed.failed, "heard": heard}
            event = {**told.event, "payload": {**told.event["payload"], **facts}}
            self._publisher.publish(UUID(told.event["subject_id"]), [event])

    def came(self, answer: AboutSession) -> None:
        """Tell a room who is there after a join, a leave or a release, and publish what came of it."""
        self.left(answer.session_id)

    def left(self, session_id: UUID) -> None:
        """Tell a room who is there after a connection of it has ended, and publish what came of that."""
        self._publisher.publish(session_id, tell_presence(self._database, session_id))

    def marked(self, answer: Marked) -> None:
        """Push a read mark that has moved."""
        if answer.told is not None:
            sent = frame(ReadPushed(session_id=answer.told.session_id, read=answer.read))
            tell(self._database, answer.told.connections, sent)


def tell(database: Database, audience: Sequence[str], *frames: bytes) -> Pushed:
    """Send something to connections that somebody's call has to do with, within BUDGET_SECONDS each; never raises.

    Returns:
        Those that do not have it.
    """
    try:
        pushed = push_at_once(dict.fromkeys(audience, frames), BUDGET_SECONDS)
        for session_id in connections.drop(database, pushed.gone):
            tell_presence(database, session_id)
    except Exception as failure:  # noqa: BLE001 (the call has committed: logged, counted, and left to the consumer)
        log_failure("not pushed", failure)
        count("RoomPushFailed")
        return Pushed(failed=list(audience))
    if pushed.failed:
        count("RoomPushFailed", len(pushed.failed))
    return pushed


def tell_presence(database: Database, session_id: UUID) -> list[dict[str, Any]] | None:
    """Tell a room who is there, and what the system said of it, after somebody came or went; never raises.

    Returns:
        The session's events that the bus does not have yet; None where they are not known.
    """
    try:
        row = database.one(_AUDIENCE, {"session_id": session_id, "seq": None, "noted": None})
    except Exception as failure:  # noqa: BLE001 (as in tell)
        log_failure("not pushed", failure)
        count("RoomPushFailed")
        return None
    if row is None:
        return None
    missed = Pushed()
    if row["connections"]:
        missed = tell(database, row["connections"], *_frames(session_id, row, presence_too=True))
    started = not missed.failed and any(each["note"] == "started" for each in row["messages"])
    return [_told(event) if started and event["status"] == "live" else event for event in row["unpublished"]]


def _told(event: dict[str, Any]) -> dict[str, Any]:
    """The start of a session that its room has heard of by now: no consumer needs to say so again."""
    return {**event, "data": {**(event["data"] or {}), "pushed": True}}


def deliver(database: Database, event: MessageEvent | SessionEvent) -> None:
    """Push a message that not everybody in the room has yet, or what the system said as a session moved.

    Raises:
        PushFailed: a connection is open and can neither be reached nor closed.
    """
    if event.pushed:
        return
    if isinstance(event, MessageEvent):
        seq, noted, by_system = event.seq, None, event.role == "system"
    else:
        seq, noted, by_system = None, event.occurred_at, True
    row = database.one(_AUDIENCE, {"session_id": event.session_id, "seq": seq, "noted": noted})
    if row is None or not row["connections"]:
        return
    frames = _frames(event.session_id, row, presence_too=by_system)
    pushed = push(dict.fromkeys(row["connections"], frames))
    connections.drop(database, pushed.gone)
    if pushed.failed:
        raise PushFailed(len(pushed.failed))


def _frames(session_id: UUID, row: Row, *, presence_too: bool) -> tuple[bytes, ...]:
    said = [MessagePushed(session_id=session_id, message=Message(**each)) for each in row["messages"]]
    there = [PresentPushed(session_id=session_id, present=presence(row))] if presence_too else []
    return tuple(frame(each) for each in (*said, *there))
