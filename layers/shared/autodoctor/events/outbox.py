"""The outbox: events that the bus does not have yet."""

from collections.abc import Sequence
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.db import Database, Row

_PENDING: Final[LiteralString] = "SELECT * FROM pending_events(%(subject_id)s)"

_CLAIM: Final[LiteralString] = """
SELECT * FROM claim_events(%(after)s, %(subjects)s, make_interval(secs => %(grace_seconds)s), %(each)s)
"""

_MARK: Final[LiteralString] = "SELECT mark_published(%(subjects)s, %(ids)s) AS marked"

# The ids as text: PostgreSQL parses them just as fast, and psycopg needs longer for a list than for all the rest.
_MARK_OF: Final[LiteralString] = "SELECT mark_published_of(%(subject_id)s, %(ids)s::bigint[]) AS marked"

_REFUSED: Final[LiteralString] = """
UPDATE outbox SET attempts = coalesce(attempts, 0) + 1, error = %(error)s
 WHERE subject_id = %(subject_id)s AND id = %(id)s
"""

_SET_ASIDE: Final[LiteralString] = "SELECT set_event_aside(%(subject_id)s, %(id)s, %(error)s)"

_BACKLOG: Final[LiteralString] = """
SELECT (SELECT count(*) FROM outbox) AS depth,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - v.occurred_at)
                   FROM outbox_events v WHERE v.id = (SELECT min(id) FROM outbox)), 0)::float AS age_seconds,
       (SELECT count(*) FROM outbox_poison) AS poison
"""


def pending(database: Database, subject_id: UUID) -> list[Row]:
    """The oldest ten events of a subject that the bus does not have yet, for `model.event_of`."""
    return database.all(_PENDING, {"subject_id": subject_id})


def prefetched(events: Sequence[dict[str, Any]]) -> list[Row]:
    """The rows of `pending`, from the JSON in which the schema's functions return the events of a transition."""
    return [{**event, "subject_id": UUID(event["subject_id"])} for event in events]


def claim(
    connection: psycopg.Connection[Row], after: UUID, subjects: int, each: int, grace_seconds: float
) -> list[Row]:
    """Lock subjects for the length of the transaction and return their first events, in order.

    Args:
        connection: in a transaction.
        after: only subjects with a greater id.
        subjects: how many at most.
        each: how many events of one subject at most.
        grace_seconds: younger events are left to the call that wrote them.
    """
    parameters = {"after": after, "subjects": subjects, "each": each, "grace_seconds": grace_seconds}
    return connection.execute(_CLAIM, parameters).fetchall()


def mark(connection: psycopg.Connection[Row], rows: Sequence[Row]) -> int:
    """Remove events, of any subjects, that the bus has.

    Returns:
        How many were still there: a call or another relay may have removed some.
    """
    parameters = {"subjects": [row["subject_id"] for row in rows], "ids": [row["id"] for row in rows]}
    marked = connection.execute(_MARK, parameters).fetchone()
    return 0 if marked is None else int(marked["marked"])


def mark_of(database: Database, subject_id: UUID, rows: Sequence[Row]) -> int:
    """Remove events of one subject that the bus has.

    Returns:
        How many were still there, as from `mark`.

    Raises:
        psycopg.errors.LockNotAvailable: a relay holds them; it publishes them again and removes them.
    """
    ids = ",".join([str(row["id"]) for row in rows])
    marked = database.one(_MARK_OF, {"subject_id": subject_id, "ids": f"{{{ids}}}"})
    return 0 if marked is None else int(marked["marked"])


def refuse(connection: psycopg.Connection[Row], row: Row, error: str, most_attempts: int) -> bool:
    """Count a refusal of one event, and set it aside when there were too many.

    Args:
        connection: in a transaction that claimed the event.
        row: the event.
        error: the bus's error code, or why it could not be built.
        most_attempts: the attempt at which it is set aside.

    Returns:
        Whether it was set aside.
    """
    aside = (row["attempts"] or 0) + 1 >= most_attempts
    parameters = {"subject_id": row["subject_id"], "id": row["id"], "error": error}
    changed = connection.execute(_SET_ASIDE if aside else _REFUSED, parameters).rowcount
    if changed != 1:
        raise RuntimeError(f"event {row['id']} changed under its lock")
    return aside


def backlog(database: Database) -> Row:
    """How many events are left (`depth`), the age of the oldest (`age_seconds`), how many are set aside (`poison`)."""
    return database.only(_BACKLOG, {})
