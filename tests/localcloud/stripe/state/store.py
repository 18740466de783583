"""The file of the stand-in's books: SQLite, so that killing the process loses nothing that was answered.

Any thread may use it; a lock admits one at a time.
"""

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from localcloud.stripe.http.errors import Json

FILE: Final = "stripe.sqlite"
_BUSY_SECONDS: Final = 5.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS object (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,                -- the body's `object`
    account TEXT NOT NULL,             -- the owner: the platform's id or a connected account's
    created INTEGER NOT NULL,          -- seconds since the epoch on the stand-in's clock, as all times here
    body TEXT NOT NULL                 -- JSON; keys that begin with _ are never shown
) STRICT;
CREATE INDEX IF NOT EXISTS object_kind ON object (kind, account, sequence);
CREATE INDEX IF NOT EXISTS object_payment_intent
    ON object (kind, account, json_extract(body, '$.payment_intent'), sequence);
CREATE INDEX IF NOT EXISTS object_charge ON object (kind, account, json_extract(body, '$.charge'), sequence);
CREATE INDEX IF NOT EXISTS object_transfer_group
    ON object (kind, account, json_extract(body, '$.transfer_group'), sequence);
CREATE INDEX IF NOT EXISTS object_source ON object (kind, account, json_extract(body, '$.source'), sequence);
CREATE INDEX IF NOT EXISTS object_source_transaction
    ON object (kind, account, json_extract(body, '$.source_transaction'), sequence);
CREATE INDEX IF NOT EXISTS object_open ON object (json_extract(body, '$.expires_at'))
    WHERE json_extract(body, '$.status') = 'open';
CREATE TABLE IF NOT EXISTS content (id TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID; -- of files
CREATE TABLE IF NOT EXISTS movement (
    id TEXT PRIMARY KEY,               -- its balance transaction
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    net INTEGER NOT NULL,
    available_on INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS movement_account ON movement (account, currency, available_on, net);
CREATE TABLE IF NOT EXISTS idempotency (
    account TEXT NOT NULL,
    key TEXT NOT NULL,
    path TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    stored_at REAL NOT NULL,
    PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idempotency_age ON idempotency (stored_at);
CREATE TABLE IF NOT EXISTS delivery (
    delivery_id INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending', -- delivered, given_up, dropped
    last_status INTEGER                    -- 0: no answer
) STRICT;
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (state, due_at);
CREATE INDEX IF NOT EXISTS delivery_event ON delivery (event_id);
"""
_TABLES: Final = ("object", "content", "movement", "idempotency", "delivery")


class Store:
    """An open file of books."""

    def __init__(self, folder: Path) -> None:
        """Open or make the file, readable by its owner only."""
        path = folder / FILE
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self.lock = threading.RLock()
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit a `with` block's writes together, or none of them; an inner block joins the outer one."""
        with self.lock:
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
        with self.lock:
            return self._connection.execute(statement, values).rowcount

    def rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        """Run a query."""
        with self.lock:
            return self._connection.execute(statement, values).fetchall()

    def one(self, statement: str, *values: object) -> sqlite3.Row | None:
        """Run a query of at most one row."""
        with self.lock:
            row: sqlite3.Row | None = self._connection.execute(statement, values).fetchone()
            return row

    def setting[T](self, name: str, default: T) -> T:
        """Return a setting, which may be any JSON value."""
        row = self.one("SELECT value FROM setting WHERE name = ?", name)
        if row is None:
            return default
        value: T = json.loads(row["value"])
        return value

    def settle(self, name: str, value: object) -> None:
        """Keep a setting."""
        self.write("INSERT OR REPLACE INTO setting VALUES (?, ?)", name, json.dumps(value))

    def insert(self, body: Json, account: str) -> None:
        """Store a new object."""
        self.write(
            "INSERT INTO object (id, kind, account, created, body) VALUES (?, ?, ?, ?, ?)",
            *(body["id"], body["object"], account, body["created"], json.dumps(body)),
        )

    def update(self, body: Json) -> None:
        """Store a changed object."""
        changed = self.write("UPDATE object SET body = ? WHERE id = ?", json.dumps(body), body["id"])
        assert changed == 1, body["id"]

    def get(self, object_id: str) -> tuple[str, Json] | None:
        """Return an object's owner and body."""
        row = self.one("SELECT account, body FROM object WHERE id = ?", object_id)
        return (row["account"], json.loads(row["body"])) if row else None

    def select(self, kind: str, account: str, where: Mapping[str, object], most: int = -1) -> list[Json]:
        """Return objects, the newest first; `where` has conditions with `?` and their values.

        Conditions must be this package's own text; only values may come from requests.
        """
        conditions = " AND ".join(["kind = ?", "account = ?", *where])
        statement = f"SELECT body FROM object WHERE {conditions} ORDER BY sequence DESC LIMIT ?"
        return [json.loads(row["body"]) for row in self.rows(statement, kind, account, *where.values(), most)]

    def open_until(self, moment: int) -> list[Json]:
        """Return open objects whose `expires_at` has passed by then; runs many times a second."""
        rows = self.rows(
            "SELECT body FROM object INDEXED BY object_open"
            " WHERE json_extract(body, '$.status') = 'open' AND json_extract(body, '$.expires_at') <= ?",
            moment,
        )
        return [json.loads(row["body"]) for row in rows]

    def everything(self, kind: str) -> list[Json]:
        """Return all objects of a kind, of all accounts, the oldest first."""
        rows = self.rows("SELECT body FROM object WHERE kind = ? ORDER BY sequence", kind)
        return [json.loads(row["body"]) for row in rows]

    def forget(self) -> None:
        """Drop every object; settings stay, so that keys and secrets remain valid."""
        with self.transaction():
            for table in _TABLES:
                self.write(f"DELETE FROM {table}")


def forget_books(folder: Path) -> None:
    """Drop every object of a data folder, also while a server runs."""
    if not (folder / FILE).exists():
        return
    store = Store(folder)
    store.forget()
    store.close()
