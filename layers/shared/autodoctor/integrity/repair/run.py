"""Makes the repairs that have one right answer (see plan.py); a dry run unless asked to apply them.

Each session is repaired in a transaction of its own: locked, read again, planned again, changed, audited in `repairs`
(and in its own trail, by rows that name the run), and checked again; if verify would still find something, all of it is
rolled back. Triggers make a finished session's outcome immutable, so the table owner disables them for this one
transaction, under a lock that keeps everybody else from writing; constraints and the consistency check at commit stay.
Such repairs publish no events, because the change happened long ago; a missing settlement is queued for the sweep.
"""

import getpass
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from autodoctor.ids import FIRST, LAST, new_id
from autodoctor.integrity.checks.base import Check
from autodoctor.integrity.checks.money.settlements import NOT_DUE
from autodoctor.integrity.checks.record import Record, records, window_end
from autodoctor.integrity.repair.gaps import MissingRow, place_of
from autodoctor.integrity.repair.plan import Change, plan
from autodoctor.integrity.verify import WINDOW, Progress, check_record, snapshot

ATTEMPTS: Final = 20

_LOCK: Final[LiteralString] = "SELECT id FROM sessions WHERE id = %s FOR NO KEY UPDATE"
_GUARDS_OUT: Final[tuple[LiteralString, ...]] = (
    "SET LOCAL lock_timeout = '300ms'",
    "ALTER TABLE sessions DISABLE TRIGGER sessions_guard, DISABLE TRIGGER sessions_follow",
    "ALTER TABLE session_assignments DISABLE TRIGGER assignments_guard, DISABLE TRIGGER open_next_assignment",
)
_GUARDS_IN: Final[tuple[LiteralString, ...]] = (
    "SET CONSTRAINTS ALL IMMEDIATE",  # a table with deferred checks to come cannot be altered
    "ALTER TABLE sessions ENABLE TRIGGER sessions_guard, ENABLE TRIGGER sessions_follow",
    "ALTER TABLE session_assignments ENABLE TRIGGER assignments_guard, ENABLE TRIGGER open_next_assignment",
)
_OUTCOME: Final[LiteralString] = """
UPDATE sessions
   SET status = %(status)s, end_reason = %(reason)s, absent = %(absent)s, started_at = %(started_at)s,
       ended_at = %(ended_at)s, together_seconds = %(together_seconds)s,
       customer_joined_at = coalesce(customer_joined_at, %(started_at)s),
       mechanic_joined_at = coalesce(mechanic_joined_at, %(started_at)s)
 WHERE id = %(id)s AND status = %(from_status)s
"""
_ASSIGNMENT: Final[LiteralString] = """
UPDATE session_assignments SET status = %(status)s, ended_at = coalesce(%(ended_at)s, ended_at)
 WHERE id = %(id)s AND status = %(from_status)s
"""
_AUDIT: Final[LiteralString] = """
INSERT INTO session_events (session_id, id, occurred_at, from_status, to_status, actor, data)
VALUES (%(session_id)s, coalesce(%(event_id)s, nextval('event_sequence')), coalesce(%(at)s, clock_timestamp()),
        %(from_status)s, %(status)s, %(actor)s, %(data)s)
RETURNING id
"""
_ASSIGNMENT_AUDIT: Final[LiteralString] = """
INSERT INTO session_assignment_events (session_id, id, occurred_at, assignment_id, from_status, to_status, actor, data)
VALUES (%(session_id)s, coalesce(%(event_id)s, nextval('event_sequence')), coalesce(%(at)s, clock_timestamp()),
        %(id)s, %(from_status)s, %(status)s, %(actor)s, %(data)s)
RETURNING id
"""
_UNPUBLISH: Final[LiteralString] = "DELETE FROM outbox WHERE subject_id = %(session_id)s AND id = %(event_id)s"
# Whose money did anything has been settled, whatever became of the row that says so.
_TO_SETTLE: Final[LiteralString] = """
SELECT s.id FROM sessions s JOIN intakes i ON i.id = s.id
 WHERE s.id > %(after)s AND s.id <= %(upto)s AND s.ended_at IS NOT NULL
   AND (i.funding <> 'free' OR i.mechanic_fixed_pay_cents > 0
        OR EXISTS (SELECT FROM session_extensions x WHERE x.session_id = s.id AND x.status = 'running'))
   AND NOT EXISTS (SELECT FROM settlements t WHERE t.session_id = s.id)
   AND NOT EXISTS (SELECT FROM settlements_due d WHERE d.session_id = s.id)
   AND NOT EXISTS (SELECT FROM payouts p WHERE p.session_id = s.id AND p.kind <> 'escalation')
   AND NOT EXISTS (SELECT FROM refunds r WHERE r.intake_id = s.id)
   AND NOT EXISTS (SELECT FROM ledger_transfer l WHERE l.intake_id = s.id AND l.debit_account LIKE 'session:%%')
"""
_DUE: Final[LiteralString] = "INSERT INTO settlements_due (session_id) VALUES (%s) ON CONFLICT DO NOTHING"
_MOVED: Final[LiteralString] = """
SELECT session_id, outcome FROM settlements WHERE session_id > %(after)s AND session_id <= %(upto)s
 UNION
SELECT session_id, 'pay' FROM payouts
 WHERE session_id > %(after)s AND session_id <= %(upto)s AND kind IN ('session', 'referral')
 UNION
SELECT intake_id, 'refund' FROM refunds WHERE intake_id > %(after)s AND intake_id <= %(upto)s AND kind = 'session'
 UNION
SELECT intake_id, CASE kind WHEN 'credit_return' THEN 'return' ELSE 'pay' END FROM ledger_transfer
 WHERE intake_id > %(after)s AND intake_id <= %(upto)s AND kind IN ('credit_return', 'credit_spend', 'earning')
"""
_RECORD: Final[LiteralString] = """
INSERT INTO repairs (run_id, finding, subject, previous, now, reason, actor)
VALUES (%(run_id)s, %(finding)s, %(subject)s, %(previous)s, %(now)s, %(reason)s, %(actor)s)
"""


@dataclass(frozen=True, slots=True)
class Operator:
    """A run: its id, and the operator's name for the audit rows."""

    run_id: UUID
    actor: str

    @classmethod
    def here(cls) -> "Operator":
        """A new run of whoever is logged in."""
        return cls(new_id(), f"operator:{getpass.getuser()}")


def accept(connection: psycopg.Connection[Any], operator: Operator, check: Check, subject: str, reason: str) -> None:
    """Accept a finding that a person has decided about: verify does not report it again.

    Args:
        connection: an autocommit connection of the owner of the tables.
        operator: who says so.
        check: what was found.
        subject: with what, as verify names it.
        reason: what was decided, 1 to 500 characters, without personal data.
    """
    change = Change(check, subject, {"accepted": False}, {"accepted": True}, reason)
    _note(connection, change, operator)


class NotRepaired(Exception):
    """The repair would not have made the session sound, so it was rolled back."""


class _GuardsNeeded(Exception):
    """Read again under its lock, the session needs more than was planned."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """One repair that was, or would be, made."""

    session_id: UUID
    change: Change


@dataclass(frozen=True, slots=True)
class NotPossible:
    """A session that could not be repaired, and why."""

    session_id: UUID
    why: str


def repair(
    reading: psycopg.Connection[Any],
    writing: psycopg.Connection[Any] | None,
    operator: Operator,
    progress: Progress = lambda _what, _done, _total: None,
    window: int = WINDOW,
) -> Iterator[Repaired | NotPossible]:
    """Go through all sessions and make the repairs that have one right answer.

    Args:
        reading: as `verify.reader` makes it; a replica will do.
        writing: an autocommit connection of the owner of the tables; None: only say what would be done.
        operator: who does it.
        progress: called after every window.
        window: how many sessions are read together.

    Yields:
        Each change, and each session that could not be changed.
    """
    after, seen = FIRST, 0
    while after != LAST:
        with snapshot(reading) as now:
            upto = window_end(reading, after, window)
            found = _read(reading, after, upto)
            steps = [_look(record, now, found) for record in found.records.values()]
        for look in steps:
            planned = look.changes
            if planned and writing is not None:
                yield from _put_right(writing, look.session_id, operator)
            else:
                yield from (Repaired(look.session_id, change) for change in planned)
            if look.unclear and not planned:
                yield NotPossible(look.session_id, f"needs a person: {look.unclear}")
        after, seen = upto, seen + len(found.records)
        progress("sessions", seen, None)


@dataclass(frozen=True, slots=True)
class _Window:
    """The records of a window, what their money did, and the sessions that no sweep would settle."""

    records: dict[UUID, Record]
    moved: dict[UUID, set[str]]
    to_settle: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class _Looked:
    """The plan for a session, and the repairable findings that it leaves."""

    session_id: UUID
    changes: list[Change]
    unclear: str
    wrong: dict[str, str]


def _read(connection: psycopg.Connection[Any], after: UUID, upto: UUID) -> _Window:
    window = {"after": after, "upto": upto}
    moved: dict[UUID, set[str]] = defaultdict(set)
    with connection.cursor(row_factory=tuple_row) as cursor:
        for session_id, outcome in cursor.execute(_MOVED, window):
            moved[session_id].add(outcome)
        to_settle = frozenset(session_id for (session_id,) in cursor.execute(_TO_SETTLE, window))
    return _Window(records(connection, after, upto), moved, to_settle)


def _look(record: Record, now: datetime, window: _Window) -> _Looked:
    changes = [*plan(record, now, window.moved.get(record.id, ()))]
    wrong = [*check_record(record, now)]
    if record.id in window.to_settle and not wrong:
        changes.append(_due(str(record.id)))
    left = [finding for finding in wrong if finding.check.repairable]
    unclear = "; ".join(f"{finding.check.slug}: {finding.detail}" for finding in left)
    if record.id in window.to_settle and wrong:
        unclear = unclear or f"{NOT_DUE.slug}: {wrong[0].check.slug} first"
    return _Looked(record.id, changes, unclear, {finding.check.slug: finding.detail for finding in wrong})


def _due(session_id: str) -> Change:
    reason = "its end moves money or credits, and nobody has settled it"
    return Change(NOT_DUE, session_id, {"due": False}, {"due": True}, reason)


def _put_right(
    connection: psycopg.Connection[Any], session_id: UUID, operator: Operator
) -> Iterator[Repaired | NotPossible]:
    past_guards = False
    for _ in range(ATTEMPTS):
        try:
            with connection.transaction():
                changes = _in_transaction(connection, session_id, operator, past_guards=past_guards)
        except _GuardsNeeded:
            past_guards = True
        except psycopg.errors.LockNotAvailable:
            continue
        except (NotRepaired, psycopg.DatabaseError) as failure:
            if not _is_refusal(failure):
                raise
            yield NotPossible(session_id, f"needs a person: {' '.join(str(failure).split())}")
            return
        else:
            yield from (Repaired(session_id, change) for change in changes)
            return
    yield NotPossible(session_id, "others held it all the time; try again")


def _is_refusal(failure: Exception) -> bool:
    """Whether our code, a constraint or a rule of the schema (SQLSTATE class AD) refused it."""
    ours = isinstance(failure, NotRepaired | psycopg.IntegrityError | psycopg.errors.RaiseException)
    return ours or (isinstance(failure, psycopg.Error) and (failure.sqlstate or "").startswith("AD"))


def _in_transaction(
    connection: psycopg.Connection[Any], session_id: UUID, operator: Operator, *, past_guards: bool
) -> list[Change]:
    with _guards_out(connection) if past_guards else _guards_in_place():
        connection.execute(_LOCK, [session_id])
        before = _again(connection, session_id)
        changes = [*before.changes]
        if any(change.past_guards for change in changes) and not past_guards:
            raise _GuardsNeeded
        for change in changes:
            _apply(connection, session_id, change, operator)
        due = [each for each in _again(connection, session_id).changes if each.check is NOT_DUE]
        if due:
            connection.execute(_DUE, [session_id])
        changes += [each for each in due if each not in changes]
        for change in changes:
            _note(connection, change, operator)
    allowed = before.wrong.keys() - {change.check.slug for change in changes}
    for slug, detail in _again(connection, session_id).wrong.items():
        if slug not in allowed:
            raise NotRepaired(f"{slug} would remain: {detail}")
    return changes


@contextmanager
def _guards_out(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Run with the guards of finished sessions disabled; the two tables are locked until the transaction ends."""
    for statement in _GUARDS_OUT:
        connection.execute(statement)
    yield
    for statement in _GUARDS_IN:
        connection.execute(statement)


@contextmanager
def _guards_in_place() -> Iterator[None]:
    yield


def _record(connection: psycopg.Connection[Any], session_id: UUID) -> Record:
    return records(connection, UUID(int=session_id.int - 1), session_id)[session_id]


def _apply(connection: psycopg.Connection[Any], session_id: UUID, change: Change, operator: Operator) -> None:
    facts = {"session_id": session_id, "actor": operator.actor, "event_id": None, "at": None}
    data = {"repair": str(operator.run_id), "previous": change.previous}
    if change.row is not None:
        _write(connection, change.row, {**facts, "data": Jsonb(data)})
    if change.outcome is not None:
        outcome, source = change.outcome, change.previous["status"]
        parameters = {
            "id": session_id,
            "from_status": source,
            "status": outcome.status,
            "reason": outcome.reason,
            "absent": outcome.absent,
            "started_at": outcome.started_at,
            "ended_at": outcome.ended_at,
            "together_seconds": outcome.together_seconds,
        }
        _changed_one(connection.execute(_OUTCOME, parameters))
        if source != outcome.status and not change.is_audited:
            with_reason = {**data, "reason": outcome.reason}
            _quietly(connection, _AUDIT, {**facts, **parameters, "data": Jsonb(with_reason)})
    if change.assignment is not None:
        parameters = {"id": change.assignment.id, "from_status": change.assignment.status, **change.now}
        audited = {**facts, **parameters, "ended_at": change.ended_at, "data": Jsonb(data)}
        _changed_one(connection.execute(_ASSIGNMENT, audited))
        if change.ended_at is None:
            _quietly(connection, _ASSIGNMENT_AUDIT, audited)


def _write(connection: psycopg.Connection[Any], row: MissingRow, facts: dict[str, Any]) -> None:
    """Write a missing audit row at its place in the order of ids."""
    place = place_of(row, _record(connection, facts["session_id"]))
    if place is None:
        raise NotRepaired(f"there is no place before event {row.before}")
    event_id, at = place
    parameters = {
        **facts,
        "event_id": event_id,
        "at": at,
        "from_status": row.source,
        "status": row.target,
        "id": row.assignment.id if row.assignment else None,
    }
    _quietly(connection, _AUDIT if row.assignment is None else _ASSIGNMENT_AUDIT, parameters)


def _quietly(connection: psycopg.Connection[Any], audit: LiteralString, parameters: dict[str, Any]) -> None:
    """Write an audit row without publishing an event."""
    ((event_id,),) = connection.execute(audit, parameters).fetchall()
    connection.execute(_UNPUBLISH, {**parameters, "event_id": event_id})


def _note(connection: psycopg.Connection[Any], change: Change, operator: Operator) -> None:
    parameters = {
        "run_id": operator.run_id,
        "finding": change.check.slug,
        "subject": change.subject,
        "previous": Jsonb(change.previous),
        "now": Jsonb(change.now),
        "reason": change.reason,
        "actor": operator.actor,
    }
    connection.execute(_RECORD, parameters)


def _changed_one(cursor: psycopg.Cursor[Any]) -> None:
    if cursor.rowcount != 1:
        raise NotRepaired("it changed under its lock")


def _again(connection: psycopg.Connection[Any], session_id: UUID) -> _Looked:
    """The findings about a session and the plan for it, read again."""
    with snapshot(connection) as now:
        window = _read(connection, UUID(int=session_id.int - 1), session_id)
        return _look(window.records[session_id], now, window)
