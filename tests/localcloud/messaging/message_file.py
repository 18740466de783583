"""The file of queues and undelivered events: SQLite, so that killing any process only delays them.

When a caller gets its answer, the commit has reached the kernel, and so survives every process. A power cut may lose
the last commits, but never damages the file (write-ahead log, synchronous=NORMAL).
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

FILE = "messages.sqlite"
_BUSY_SECONDS = 5.0
_LOG_BYTES = 4 << 20
_MANY_FREE_PAGES = 1000  # of 4 KiB
_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    message_id TEXT NOT NULL,
    body TEXT NOT NULL,
    attributes TEXT NOT NULL,          -- message attributes as JSON
    group_id TEXT,
    deduplication_id TEXT,
    source TEXT,                       -- in a dead-letter queue: the ARN of the queue it comes from
    trace TEXT NOT NULL,               -- the request id in the log
    trace_header TEXT NOT NULL DEFAULT '', -- X-Ray's, of the sender
    sent_at REAL NOT NULL,             -- seconds since the epoch, as all times here
    visible_at REAL NOT NULL,
    first_received_at REAL,
    receive_count INTEGER NOT NULL DEFAULT 0,
    receipt TEXT,                      -- from the last receive
    polled INTEGER NOT NULL DEFAULT 0  -- whether an event source mapping has it
) STRICT;
CREATE INDEX IF NOT EXISTS message_queue ON message (queue, sequence);
CREATE INDEX IF NOT EXISTS message_visible ON message (queue, visible_at);
CREATE TABLE IF NOT EXISTS deduplication (
    queue TEXT NOT NULL,
    deduplication_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    sent_at REAL NOT NULL,
    PRIMARY KEY (queue, deduplication_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS delivery (
    delivery_id INTEGER PRIMARY KEY,
    rule TEXT NOT NULL,
    target_id TEXT NOT NULL,
    event TEXT NOT NULL,
    trace_header TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL,
    created_at REAL NOT NULL,
    due_at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (due_at);
CREATE TABLE IF NOT EXISTS move_task (
    task_id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    destination TEXT,
    moved INTEGER NOT NULL,
    started_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
"""


class MessageFile:
    """An open file of messages, for one thread. Other processes may have it open too."""

    def __init__(self, folder: Path) -> None:
        """Open or make the file, readable by its owner only."""
        path = folder / FILE
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        self._connection.executescript(_SCHEMA)
        self._complete()
        self._shrink()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _complete(self) -> None:
        """Add the columns that a file of an earlier version lacks."""
        with self.transaction():
            for table in ("message", "delivery"):
                if "trace_header" not in {row["name"] for row in self.rows(f"PRAGMA table_info({table})")}:
                    self.write(f"ALTER TABLE {table} ADD COLUMN trace_header TEXT NOT NULL DEFAULT ''")

    def _shrink(self) -> None:
        """Return a backlog's space to the system; SQLite would keep it forever."""
        if self._connection.execute("PRAGMA freelist_count").fetchone()[0] > _MANY_FREE_PAGES:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit a `with` block's writes together, or none of them; an inner block joins the outer one."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def write(self, statement: str, *values: object) -> int:
        """Run a statement and return how many rows it changed."""
        return self._connection.execute(statement, values).rowcount

    def insert(self, statement: str, *values: object) -> int:
        """Insert one row and return its number."""
        return self._connection.execute(statement, values).lastrowid or 0

    def rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        """Run a query."""
        return self._connection.execute(statement, values).fetchall()

    def one(self, statement: str, *values: object) -> sqlite3.Row | None:
        """Run a query of at most one row."""
        row: sqlite3.Row | None = self._connection.execute(statement, values).fetchone()
        return row


def forget_messages(folder: Path) -> None:
    """Drop every message and undelivered event of a data folder, also while a server runs."""
    if not (folder / FILE).exists():
        return
    file = MessageFile(folder)
    with file.transaction():
        for table in ("message", "deduplication", "delivery", "move_task"):
            file.write(f"DELETE FROM {table}")
    file.close()
    MessageFile(folder).close()  # which shrinks the file
