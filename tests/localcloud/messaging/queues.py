"""SQS queues: visibility time-outs, message groups, deduplication, dead letters. `message_file` keeps them.

All methods belong to the event loop's thread; each takes well below a millisecond.
"""

import asyncio
import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Mapping

from localcloud.host.logline import Log, LogLine
from localcloud.messaging.message_file import MessageFile
from localcloud.messaging.messages import (
    Depth,
    Message,
    MoveTask,
    NoSuchQueue,
    Received,
    Sent,
    StaleReceipt,
    check,
    deduplication_id,
)
from localcloud.stack.events import QueueSpec, queue_named_by

_DEDUPLICATION_SECONDS = 300.0
# Another process may write to the file too: `autodoctor invoke`, beside a running server.
_LONGEST_WAIT_SECONDS = 1.0
_TIDY_SECONDS = 60.0


class Queues:
    """The queues of a stack, by name."""

    def __init__(self, file: MessageFile, specs: Mapping[str, QueueSpec], log: Log) -> None:
        self.specs = specs
        self._file = file
        self._log = log
        self._arrivals: dict[str, asyncio.Event] = {}
        self._tidied_at = 0.0

    def spec(self, name: str) -> QueueSpec:
        """Return the template's settings of a queue. Raises NoSuchQueue."""
        if name not in self.specs:
            raise NoSuchQueue(name)
        return self.specs[name]

    def send(self, name: str, message: Message) -> Sent:
        """Put a message into a queue. Raises NoSuchQueue and NotAccepted."""
        spec = self.spec(name)
        check(spec, message)
        key = deduplication_id(spec, message) if spec.fifo else None
        now = time.time()
        with self._file.transaction():
            if key is not None and (earlier := self._earlier(name, key, now)):
                return earlier
            message_id = str(uuid.uuid4())
            delay = spec.delay_seconds if message.delay_seconds is None else message.delay_seconds
            sequence = self._file.insert(
                "INSERT INTO message (queue, message_id, body, attributes, group_id, deduplication_id, trace,"
                " trace_header, sent_at, visible_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(name, message_id, message.body, json.dumps(message.attributes), message.group, key, message.trace),
                *(message.trace_header, now, now + delay),
            )
            if key is not None:
                self._file.write(
                    "INSERT OR REPLACE INTO deduplication VALUES (?, ?, ?, ?, ?)", name, key, message_id, sequence, now
                )
        self.wake(name)
        return Sent(message_id, sequence)

    def receive(
        self, name: str, most: int, visibility_seconds: float | None = None, *, polled: bool = False
    ) -> list[Received]:
        """Take messages that are visible; those received too often go to the dead-letter queue instead.

        `polled` says that an event source mapping of this process receives them. Raises NoSuchQueue.
        """
        spec = self.spec(name)
        now = time.time()
        self._tidy(now)
        hidden_until = now + (spec.visibility_seconds if visibility_seconds is None else visibility_seconds)
        taken: dict[int, Received] = {}
        if not self._any_visible(name, now):
            return []
        with self._file.transaction():
            again = True
            while again and len(taken) < most:
                again = False
                for row in self._candidates(spec, now, most - len(taken), taken.values()):
                    if spec.redrive and row["receive_count"] >= spec.redrive.max_receives:
                        self._bury(spec, row, now)
                        again = True
                    elif row["sequence"] not in taken:
                        taken[row["sequence"]] = self._take(spec, row, now, hidden_until, polled=polled)
        return list(taken.values())

    def delete(self, name: str, receipt: str) -> None:
        """Delete a received message; deleting it again is not an error. Raises NoSuchQueue and StaleReceipt.

        As on AWS, an old receipt has no effect in a standard queue, and is refused in a FIFO queue.
        """
        spec = self.spec(name)
        row = self._held(name, receipt)
        if row is not None:
            if spec.fifo and row["visible_at"] <= time.time():
                raise StaleReceipt("The receipt handle has expired")
            self._file.write("DELETE FROM message WHERE sequence = ?", row["sequence"])
            self.wake(name)  # the next message of its group

    def change_visibility(self, name: str, receipt: str, seconds: float) -> None:
        """Let a received message become visible so many seconds from now. Raises NoSuchQueue and StaleReceipt."""
        self.spec(name)
        row = self._held(name, receipt)
        now = time.time()
        if row is None or row["visible_at"] <= now:
            raise StaleReceipt("The message is not in flight")
        self._file.write("UPDATE message SET visible_at = ? WHERE sequence = ?", now + seconds, row["sequence"])
        self.wake(name)

    def give_up(self, name: str, receipt: str, within_seconds: float) -> None:
        """Return a message that a mapping failed on: visible at its time-out, or after so many seconds, if sooner."""
        if row := self._held(name, receipt):
            visible_at = min(row["visible_at"], time.time() + within_seconds)
            self._file.write(
                "UPDATE message SET polled = 0, visible_at = ? WHERE sequence = ?", visible_at, row["sequence"]
            )
            self.wake(name)

    def release_polled(self, name: str) -> int:
        """Make the messages visible that an earlier process's mappings held, as if never received; return their number.

        AWS's own pollers do not end, so the end of ours must not count against a message.
        """
        return self._file.write(
            "UPDATE message SET visible_at = ?, receive_count = receive_count - 1, polled = 0, receipt = NULL"
            " WHERE queue = ? AND polled = 1",
            *(time.time(), name),
        )

    def purge(self, name: str) -> None:
        """Delete every message. Raises NoSuchQueue."""
        self.spec(name)
        self._file.write("DELETE FROM message WHERE queue = ?", name)

    def depth(self, name: str) -> Depth:
        """Count the messages of a queue. Raises NoSuchQueue."""
        self.spec(name)
        row = self._file.one(
            "SELECT count(*) FILTER (WHERE visible_at <= ?1) AS visible,"
            " count(*) FILTER (WHERE visible_at > ?1 AND receive_count > 0) AS in_flight,"
            " count(*) FILTER (WHERE visible_at > ?1 AND receive_count = 0) AS delayed FROM message WHERE queue = ?2",
            *(time.time(), name),
        )
        return Depth(row["visible"], row["in_flight"], row["delayed"]) if row else Depth(0, 0, 0)

    def sources_of(self, name: str) -> list[QueueSpec]:
        """Return the queues whose dead letters go to this one. Raises NoSuchQueue."""
        self.spec(name)
        return [spec for spec in self.specs.values() if spec.redrive and spec.redrive.dead_letters == name]

    def move(self, name: str, destination: str | None) -> MoveTask:
        """Send the visible messages of a dead-letter queue again, as new ones.

        They go to the named queue, or else back to their source queues; a message without a source stays.
        Raises NoSuchQueue.
        """
        spec = self.spec(name)
        now = time.time()
        task_id, moved = str(uuid.uuid4()), 0
        with self._file.transaction():
            rows = self._file.rows(
                "SELECT * FROM message WHERE queue = ? AND visible_at <= ? ORDER BY sequence", name, now
            )
            for row in rows:
                target = destination or queue_named_by(row["source"] or "")
                if target and target in self.specs:
                    self._transfer(row, target, now, source=None, message_id=str(uuid.uuid4()))
                    moved += 1
            arn = self.spec(destination).arn if destination else None
            self._file.write("INSERT INTO move_task VALUES (?, ?, ?, ?, ?)", task_id, spec.arn, arn, moved, now)
        for other in self.specs:
            self.wake(other)
        self._log(LogLine("queue", f"{name} sends {moved} dead letters again"))
        return MoveTask(task_id, spec.arn, arn, moved, now)

    def moves(self, name: str, most: int) -> list[MoveTask]:
        """Return the last moves out of a queue, the newest first. Raises NoSuchQueue."""
        rows = self._file.rows(
            "SELECT task_id, source, destination, moved, started_at FROM move_task WHERE source = ?"
            " ORDER BY started_at DESC LIMIT ?",
            *(self.spec(name).arn, most),
        )
        return [MoveTask(**dict(row)) for row in rows]

    def wake(self, name: str) -> None:
        """Wake everybody who waits for a queue."""
        if arrival := self._arrivals.pop(name, None):
            arrival.set()

    async def wait(self, name: str, most_seconds: float) -> None:
        """Wait until a queue may have a visible message, for at most so many seconds.

        Call it without an `await` after the last receive, so that no arrival in between is missed.
        """
        arrival = self._arrivals.setdefault(name, asyncio.Event())
        seconds = min(most_seconds, _LONGEST_WAIT_SECONDS)
        due = self._file.one(
            "SELECT min(visible_at) AS at FROM message WHERE queue = ? AND visible_at > ?", name, time.time()
        )
        if due and due["at"] is not None:
            seconds = min(seconds, due["at"] - time.time())
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await arrival.wait()
        except TimeoutError:
            return

    def _any_visible(self, name: str, now: float) -> bool:
        return bool(self._file.one("SELECT 1 FROM message WHERE queue = ? AND visible_at <= ? LIMIT 1", *(name, now)))

    def _earlier(self, name: str, key: str, now: float) -> Sent | None:
        row = self._file.one(
            "SELECT message_id, sequence FROM deduplication WHERE queue = ? AND deduplication_id = ? AND sent_at > ?",
            *(name, key, now - _DEDUPLICATION_SECONDS),
        )
        return Sent(row["message_id"], row["sequence"]) if row else None

    def _candidates(self, spec: QueueSpec, now: float, most: int, taken: Iterable[Received]) -> list[sqlite3.Row]:
        """Return visible messages; in a FIFO queue only those whose group has no message in flight.

        The plus makes SQLite use the index in the order of messages: the first ones are mostly visible.
        """
        if not spec.fifo:
            return self._file.rows(
                "SELECT * FROM message WHERE queue = ? AND +visible_at <= ? ORDER BY sequence LIMIT ?",
                *(spec.name, now, most),
            )
        ours = {message.group for message in taken}
        busy = {
            row["group_id"]
            for row in self._file.rows(
                "SELECT DISTINCT group_id FROM message WHERE queue = ? AND visible_at > ?", spec.name, now
            )
        } - ours
        return self._file.rows(
            "SELECT * FROM message WHERE queue = ? AND +visible_at <= ?"
            " AND group_id NOT IN (SELECT value FROM json_each(?)) ORDER BY sequence LIMIT ?",
            *(spec.name, now, json.dumps(sorted(busy)), most),
        )

    def _take(self, spec: QueueSpec, row: sqlite3.Row, now: float, hidden_until: float, *, polled: bool) -> Received:
        receipt = f"{row['sequence']}.{uuid.uuid4().hex}"
        first = row["first_received_at"] or now
        self._file.write(
            "UPDATE message SET receive_count = receive_count + 1, first_received_at = ?, receipt = ?, visible_at = ?,"
            " polled = ? WHERE sequence = ?",
            *(first, receipt, hidden_until, int(polled), row["sequence"]),
        )
        return Received(
            queue=spec,
            message_id=row["message_id"],
            receipt=receipt,
            body=row["body"],
            attributes=json.loads(row["attributes"]),
            group=row["group_id"],
            deduplication_id=row["deduplication_id"],
            source=row["source"],
            trace=row["trace"],
            trace_header=row["trace_header"],
            sequence=row["sequence"],
            sent_at=row["sent_at"],
            first_received_at=first,
            receive_count=row["receive_count"] + 1,
        )

    def _held(self, name: str, receipt: str) -> sqlite3.Row | None:
        sequence, dot, _ = receipt.partition(".")
        if not dot or not sequence.isdecimal():
            raise StaleReceipt(f'The input receipt handle "{receipt}" is not a valid receipt handle.')
        return self._file.one(
            "SELECT sequence, visible_at FROM message WHERE sequence = ? AND queue = ? AND receipt = ?",
            *(int(sequence), name, receipt),
        )

    def _bury(self, spec: QueueSpec, row: sqlite3.Row, now: float) -> None:
        assert spec.redrive is not None
        letters = spec.redrive.dead_letters
        # a dead letter of a standard queue keeps its age, one of a FIFO queue does not
        self._transfer(row, letters, now, source=spec.arn, sent_at=now if spec.fifo else row["sent_at"])
        self._log(LogLine("dead", f"{spec.name} -> {letters}", f"{row['receive_count']} receives", None, row["trace"]))

    def _transfer(  # noqa: PLR0913 - the differences between burying and sending again
        self,
        row: sqlite3.Row,
        target: str,
        now: float,
        *,
        source: str | None,
        message_id: str | None = None,
        sent_at: float | None = None,
    ) -> None:
        """Put a message at the end of another queue; with a new id, its counts start again."""
        self._file.write("DELETE FROM message WHERE sequence = ?", row["sequence"])
        kept = (None, 0) if message_id else (row["first_received_at"], row["receive_count"])
        self._file.insert(
            "INSERT INTO message (queue, message_id, body, attributes, group_id, deduplication_id, source, trace,"
            " trace_header, sent_at, visible_at, first_received_at, receive_count)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(target, message_id or row["message_id"], row["body"], row["attributes"], row["group_id"]),
            *(row["deduplication_id"], source, row["trace"], row["trace_header"]),
            *(now if sent_at is None else sent_at, now, *kept),
        )
        self.wake(target)

    def _tidy(self, now: float) -> None:
        """Drop messages past their retention, once a minute."""
        if now - self._tidied_at < _TIDY_SECONDS:
            return
        self._tidied_at = now
        with self._file.transaction():
            for spec in self.specs.values():
                self._file.write(
                    "DELETE FROM message WHERE queue = ? AND sent_at < ?", spec.name, now - spec.retention_seconds
                )
            self._file.write("DELETE FROM deduplication WHERE sent_at < ?", now - _DEDUPLICATION_SECONDS)
