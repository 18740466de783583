"""After a call has committed, everybody in the room hears of it at once; if that fails, a consumer tells them.

The event says whether the open connections have it (`pushed`): the rule of the consumer takes those that do not, and
so nothing that people say to each other waits for a queue.
"""

from typing import Final

from autodoctor.db import Database
from autodoctor.events.feed import connections
from autodoctor.events.feed.push import push_at_once
from autodoctor.events.publish import Publisher
from autodoctor.observability import MetricUnit, log_failure, metrics
from autodoctor.room.frames import MessagePushed, ReadPushed, frame
from autodoctor.room.messages import Marked, Posted, Told
from autodoctor.settings import required

BUDGET_SECONDS: Final = 0.3


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
        pushed = self._tell(told, frame(MessagePushed(session_id=told.session_id, message=told.message)))
        if told.event is not None:
            event = {**told.event, "payload": {**told.event["payload"], "pushed": pushed}}
            self._publisher.publish(told.event["subject_id"], [event])

    def marked(self, answer: Marked) -> None:
        """Push a read mark that has moved."""
        if answer.told is not None:
            self._tell(answer.told, frame(ReadPushed(session_id=answer.told.session_id, read=answer.read)))

    def _tell(self, told: Told, sent: bytes) -> bool:
        """Send it to every connection; returns whether all that are open have it."""
        try:
            pushed = push_at_once({connection: [sent] for connection in told.connections}, BUDGET_SECONDS)
            connections.drop(self._database, pushed.gone)
        except Exception as failure:  # noqa: BLE001 (the call has committed: logged, counted, and left to the consumer)
            log_failure("not pushed", failure)
            _count("RoomPushFailed", 1)
            return False
        if pushed.failed:
            _count("RoomPushFailed", len(pushed.failed))
        return not pushed.failed


def _count(name: str, value: int) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    metrics.flush_metrics()
