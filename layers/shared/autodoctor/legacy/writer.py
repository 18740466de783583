"""Writes moved sessions and the archive, a batch in one transaction.

A moved session is written in its final state. The guards only let a session begin and move on, so the table owner
disables them for one transaction, under a lock that keeps everybody else from writing (as `autodoctor repair` does).
Constraints, foreign keys and the consistency check at commit stay. The outbox triggers are disabled too: what happened
in another system publishes no events.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from autodoctor.legacy.audit_rows import ACTOR, Moved
from autodoctor.legacy.people import MechanicRow, WorkshopRow
from autodoctor.legacy.target_state import ACTIVE

ATTEMPTS: Final = 20
_PAUSE: Final = 0.1

_GUARDS_OUT: Final[tuple[LiteralString, ...]] = (
    "SET LOCAL lock_timeout = '500ms'",
    "ALTER TABLE sessions DISABLE TRIGGER sessions_guard",
    "ALTER TABLE session_assignments DISABLE TRIGGER assignments_guard",
    "ALTER TABLE session_events DISABLE TRIGGER session_events_to_outbox",
    "ALTER TABLE session_assignment_events DISABLE TRIGGER session_assignment_events_to_outbox",
)
_GUARDS_IN: Final[tuple[LiteralString, ...]] = (
    "SET CONSTRAINTS ALL IMMEDIATE",  # a table with deferred checks to come cannot be altered
    "ALTER TABLE sessions ENABLE TRIGGER sessions_guard",
    "ALTER TABLE session_assignments ENABLE TRIGGER assignments_guard",
    "ALTER TABLE session_events ENABLE TRIGGER session_events_to_outbox",
    "ALTER TABLE session_assignment_events ENABLE TRIGGER session_assignment_events_to_outbox",
)
_BEGIN: Final[LiteralString] = """
WITH unfinished AS (
  SELECT id FROM legacy_imports WHERE finished_at IS NULL AND source = %(source)s ORDER BY id DESC LIMIT 1
), begun AS (
  INSERT INTO legacy_imports (source, actor)
  SELECT %(source)s, %(actor)s WHERE NOT EXISTS (SELECT FROM unfinished) RETURNING id
)
SELECT id FROM unfinished UNION ALL SELECT id FROM begun
"""
_PROGRESS: Final[LiteralString] = """
UPDATE legacy_imports SET progress_at = clock_timestamp(), written = written + %(rows)s
 WHERE id = %(id)s AND finished_at IS NULL
"""
_FINISH: Final[LiteralString] = """
UPDATE legacy_imports SET finished_at = clock_timestamp(), report = %(report)s WHERE id = %(id)s AND finished_at IS NULL
"""
_WORKSHOP: Final[LiteralString] = "INSERT INTO workshops (id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_MECHANIC: Final[LiteralString] = """
INSERT INTO mechanics (id, user_id, name, workshop_id, status, created_at) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""
_CUSTOMERS: Final[LiteralString] = """
INSERT INTO customers (user_id, name, email, phone, created_at)
SELECT * FROM unnest(%(users)s::uuid[], %(names)s::text[], %(emails)s::text[], %(phones)s::text[],
                     %(since)s::timestamptz[])
ON CONFLICT (user_id) DO NOTHING
"""
_CUSTOMER_IDS: Final[LiteralString] = "SELECT user_id, id FROM customers WHERE user_id = ANY (%s)"
_NUMBERS: Final[LiteralString] = "SELECT nextval('event_sequence') FROM generate_series(1, %s)"
_ARCHIVE: Final[LiteralString] = """
INSERT INTO legacy_rows AS r (table_name, row_key, import_id, became, note, session_id, user_id, content)
SELECT t.table_name, t.row_key, %(import_id)s, t.became, t.note, t.session_id, t.user_id, t.content::jsonb
  FROM unnest(%(tables)s::text[], %(keys)s::text[], %(became)s::text[], %(notes)s::text[], %(sessions)s::uuid[],
              %(users)s::uuid[], %(contents)s::text[])
       AS t (table_name, row_key, became, note, session_id, user_id, content)
ON CONFLICT (table_name, row_key) DO UPDATE
   SET became = excluded.became, note = excluded.note, session_id = excluded.session_id, user_id = excluded.user_id,
       import_id = excluded.import_id, archived_at = clock_timestamp(), content = excluded.content
 WHERE r.became = 'refused' AND (excluded.became, excluded.note) IS DISTINCT FROM (r.became, r.note)
"""
_COPIES: Final[dict[str, LiteralString]] = {
    "intakes": """COPY intakes (id, customer_id, plan_code, funding, session_type, price_cents, currency, credits,
  mechanic_share_bp, mechanic_fixed_pay_cents, max_minutes, customer_name, vehicle, concern, urgent, workshop_id,
  scheduled_for, evidence, created_at) FROM STDIN""",
    "sessions": """COPY sessions (id, customer_id, current_assignment_id, created_at, scheduled_for, released_at,
  customer_present, mechanic_present, status, mechanic_id, accepted_at, customer_joined_at, mechanic_joined_at,
  started_at, parted_at, ended_at, end_reason, absent, ended_by, together_seconds, min_billable_seconds,
  min_messages_each, late_minutes) FROM STDIN""",
    "session_assignments": """COPY session_assignments (id, session_id, urgent, available_at, workshop_id, queued_at,
  status, mechanic_id, ended_at) FROM STDIN""",
    "session_participants": """COPY session_participants (session_id, role, since, customer_id, mechanic_id)
  FROM STDIN""",
    "session_notes": "COPY session_notes (session_id, mechanic_id, version, saved_at, text) FROM STDIN",
    "waivers": "COPY waivers (session_id, signed_name, version, signed_at) FROM STDIN",
    "session_events": """COPY session_events (session_id, id, occurred_at, actor, from_status, to_status, data)
  FROM STDIN""",
    "session_presence": """COPY session_presence (session_id, since, recorded_at, mechanic_id, role, source, until,
  closed_at) FROM STDIN""",
    "session_assignment_events": """COPY session_assignment_events (session_id, id, occurred_at, assignment_id, actor,
  from_status, to_status, data) FROM STDIN""",
}


class Interrupted(Exception):
    """Others write without a pause: no batch got the tables for itself."""

    def __init__(self) -> None:
        super().__init__(
            "the sessions are written to without a pause; stop the functions, or try when less is going on"
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of the archive."""

    table: str
    key: str
    content: str
    became: str
    note: str | None = None
    session_id: UUID | None = None
    user_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class RefusedSession:
    """A session that the database refused, and by which constraint."""

    moved: Moved
    why: str


class Writer:
    """Writes into the new database, as its owner.

    Attributes:
        import_id: of the run, or of the interrupted one that it goes on with.
    """

    def __init__(self, connection: psycopg.Connection[Any], source: str, actor: str) -> None:
        """Begin a run, or go on with one from this source that was interrupted.

        Args:
            connection: autocommit, of the owner of the tables.
            source: where the rows come from, without a password.
            actor: operator: and the name.
        """
        self._connection = connection
        (self.import_id,) = self._all(_BEGIN, {"source": source, "actor": actor})[0]

    def people(self, workshops: Sequence[WorkshopRow], mechanics: Sequence[MechanicRow]) -> None:
        """Write workshops and mechanics; those that are there stay as they are."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(_WORKSHOP, [(each.id, each.name) for each in workshops])
            cursor.executemany(
                _MECHANIC,
                [(m.id, m.user_id, m.name, m.workshop_id, m.status, m.created_at) for m in mechanics],
            )

    def sessions(self, batch: Sequence[tuple[Moved, Kept]]) -> Iterator[RefusedSession]:
        """Write sessions with the archive of the rows they were; what the database refuses is left out.

        Yields:
            Each that it refused.

        Raises:
            Interrupted: the tables were never free.
        """
        if not batch:
            return
        try:
            self._retried(batch)
        except psycopg.DatabaseError as error:
            if not _is_refusal(error):
                raise
            if len(batch) == 1:
                yield RefusedSession(
                    batch[0][0], f"{error.sqlstate} {error.diag.constraint_name or error.diag.message_primary}"
                )
                return
            middle = len(batch) // 2
            yield from self.sessions(batch[:middle])
            yield from self.sessions(batch[middle:])

    def archive(self, rows: Sequence[Kept]) -> None:
        """Archive rows in a transaction of their own."""
        if rows:
            with self._connection.transaction():
                self._archive(rows)

    def finish(self, report: dict[str, Any]) -> None:
        """Note that the run came to its end, and what it said."""
        self._guarded(_FINISH, {"id": self.import_id, "report": Jsonb(report)})

    def _retried(self, batch: Sequence[tuple[Moved, Kept]]) -> None:
        for _ in range(ATTEMPTS):
            try:
                self._write(batch)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                time.sleep(_PAUSE)
            else:
                return
        raise Interrupted

    def _write(self, batch: Sequence[tuple[Moved, Kept]]) -> None:
        with self._connection.transaction():
            for statement in _GUARDS_OUT:
                self._connection.execute(statement)
            sessions = [moved for moved, _ in batch]
            for table, rows in self._rows(sessions, self._customers(sessions)).items():
                with self._connection.cursor() as cursor, cursor.copy(_COPIES[table]) as copy:
                    for row in rows:
                        copy.write_row(row)
            self._archive([kept for _, kept in batch])
            for statement in _GUARDS_IN:
                self._connection.execute(statement)

    def _customers(self, sessions: Sequence[Moved]) -> dict[UUID, UUID]:
        """Ids of the customers by user, made where there was none; the newest session says how to reach them."""
        people = {moved.old.user_id: moved.old for moved in sorted(sessions, key=lambda each: each.old.created_at)}
        facts = {
            "users": list(people),
            "names": [each.name for each in people.values()],
            "emails": [each.email for each in people.values()],
            "phones": [each.phone for each in people.values()],
            "since": [each.created_at for each in people.values()],
        }
        self._connection.execute(_CUSTOMERS, facts)
        return dict(self._all(_CUSTOMER_IDS, [list(people)]))

    def _rows(self, sessions: Sequence[Moved], customers: dict[UUID, UUID]) -> dict[str, list[tuple[Any, ...]]]:
        steps = [(moved, step) for moved in sessions for step in moved.steps()]
        numbers = [number for (number,) in self._all(_NUMBERS, [len(steps)])]
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _COPIES}
        for moved in sessions:
            _add_session(rows, moved, customers[moved.old.user_id])
        for (moved, step), number in zip(steps, numbers, strict=True):
            data = None if step.data is None else Jsonb(step.data)
            if step.of_assignment:
                row = (moved.id, number, step.at, moved.assignment_id, ACTOR, step.source, step.target, data)
                rows["session_assignment_events"].append(row)
            else:
                rows["session_events"].append((moved.id, number, step.at, ACTOR, step.source, step.target, data))
        return rows

    def _archive(self, rows: Sequence[Kept]) -> None:
        done = self._connection.execute(
            _ARCHIVE,
            {
                "import_id": self.import_id,
                "tables": [row.table for row in rows],
                "keys": [row.key for row in rows],
                "became": [row.became for row in rows],
                "notes": [row.note for row in rows],
                "sessions": [row.session_id for row in rows],
                "users": [row.user_id for row in rows],
                "contents": [row.content for row in rows],
            },
        )
        self._guarded(_PROGRESS, {"id": self.import_id, "rows": done.rowcount})

    def _guarded(self, statement: LiteralString, parameters: dict[str, Any]) -> None:
        if self._connection.execute(statement, parameters).rowcount != 1:
            raise psycopg.InternalError(f"import {self.import_id} is not going on any more")

    def _all(self, query: LiteralString, parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 (psycopg's Params)
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(query, parameters).fetchall()


def _is_refusal(error: psycopg.DatabaseError) -> bool:
    """Whether it is about the rows: a constraint, a value that does not fit, or a check of ours."""
    return (error.sqlstate or "")[:2] in {"22", "23", "AD"}


def _add_session(rows: dict[str, list[tuple[Any, ...]]], moved: Moved, customer_id: UUID) -> None:
    old, target, terms = moved.old, moved.target, moved.terms
    over = target.status not in ACTIVE
    rows["intakes"].append((
        *(moved.id, customer_id, terms.plan, "free", terms.session_type, 0, "usd", 0, 0, moved.fixed_pay_cents),
        *(terms.max_minutes, old.name, Jsonb(old.vehicle), old.concern, old.urgent, moved.workshop_id),
        *(moved.scheduled_for, "claimed", old.created_at),
    ))  # fmt: skip
    rows["sessions"].append((
        *(moved.id, customer_id, moved.assignment_id, old.created_at, moved.scheduled_for, target.released_at),
        *(moved.present("customer"), moved.present("mechanic")),
        *(str(target.status), target.mechanic_id, target.accepted_at),
        *(moved.joined_at("customer"), moved.joined_at("mechanic")),
        *(target.started_at, target.parted_at, target.ended_at),
        *(None if target.reason is None else str(target.reason), target.absent),
        *(("system", moved.together_seconds, *moved.limits) if over else (None, None, None, None, None)),
    ))  # fmt: skip
    rows["session_assignments"].append((
        *(moved.assignment_id, moved.id, old.urgent, moved.available_at, moved.workshop_id, target.queued_at),
        *(moved.assignment_status, target.mechanic_id, target.decided_at if over else None),
    ))  # fmt: skip
    rows["session_participants"].append((moved.id, "customer", old.created_at, customer_id, None))
    if target.mechanic_id is not None:
        rows["session_participants"].append((moved.id, "mechanic", target.accepted_at, None, target.mechanic_id))
        if old.notes is not None:
            saved_at = target.ended_at or target.accepted_at
            rows["session_notes"].append((moved.id, target.mechanic_id, 1, saved_at, old.notes))
    for each in target.presence:
        who = target.mechanic_id if each.role == "mechanic" else None
        rows["session_presence"].append((
            *(moved.id, each.since, each.since, who, each.role, each.source, each.until, each.until),
        ))  # fmt: skip
    if moved.waiver is not None:
        rows["waivers"].append((moved.id, *moved.waiver))
