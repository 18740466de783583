"""Proves on live data what is always true (SPEC.md#invariants, and more), and says where it is not.

One pass in the order of the keys: sessions with everything that belongs to them in windows of a thousand (one
statement per table and window), then checkouts, the ledger, and the accounts of customers and mechanics, each in
windows too. Nothing is written, not even a temporary table, and every window is a snapshot of its own: it runs
against a replica, holds vacuum back for one window at most, holds no more in memory than one, and can
stop anywhere and go on there. What concerns rows of several windows (nobody has two active sessions, an account's
balance) is one statement that sees all of them.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import tuple_row

from autodoctor.deadline import SecondsLeft
from autodoctor.ids import FIRST, LAST
from autodoctor.integrity.checks import evidence, files, metadata, rooms, times, told, trail
from autodoctor.integrity.checks import now as checks_now
from autodoctor.integrity.checks import outcome as checks_outcome
from autodoctor.integrity.checks import schema as checks_schema
from autodoctor.integrity.checks import session as checks_session
from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.money import (
    contests,
    disputes,
    extensions,
    flows,
    ledger,
    netting,
    origin,
    packs,
    receipts,
    settlements,
)
from autodoctor.integrity.checks.record import Record, records, window_end

ALL_CHECKS: Final[tuple[Check, ...]] = (
    *checks_schema.CHECKS,
    *checks_session.CHECKS,
    *trail.CHECKS,
    *checks_outcome.CHECKS,
    *evidence.CHECKS,
    *times.CHECKS,
    *settlements.CHECKS,
    *extensions.CHECKS,
    *contests.CHECKS,
    *ledger.CHECKS,
    *origin.CHECKS,
    *flows.CHECKS,
    *packs.CHECKS,
    *receipts.CHECKS,
    *netting.CHECKS,
    *metadata.CHECKS,
    *rooms.CHECKS,
    *files.CHECKS,
    *disputes.CHECKS,
    *checks_now.CHECKS,
    *told.CHECKS,
)
WINDOW: Final = 1000
"""Sessions, ledger rows or people looked at together."""
SAMPLES: Final = 5
_ATTEMPTS: Final = 5

_NOW: Final[LiteralString] = "SELECT clock_timestamp()"
_ROWS: Final[LiteralString] = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'sessions'::regclass"
_ACCEPTED: Final[LiteralString] = "SELECT finding, subject FROM repairs WHERE now ? 'accepted'"
_RECENT: Final[LiteralString] = """
SELECT count(*), count(*) FILTER (WHERE status = 'completed'),
       count(*) FILTER (WHERE status IN ('cancelled', 'expired')),
       count(*) FILTER (WHERE ended_at IS NULL)
  FROM sessions
 WHERE id >= (lpad(to_hex(floor(extract(epoch FROM now() - interval '24 hours') * 1000)::bigint), 12, '0')
              || repeat('0', 20))::uuid
   AND created_at >= now() - interval '24 hours' -- the ids of moved sessions are random
"""
# What reading meets where the schema is not this release's.
_UNREADABLE: Final = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InsufficientPrivilege,  # of a table whose owner is another
)

type Progress = Callable[[str, int, int | None], None]
"""Takes what is being read, how much of it was, and of how much, where that is known."""


@dataclass(slots=True)
class CheckTally:
    """The number of findings of one kind, and the first few."""

    check: Check
    count: int = 0
    samples: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stopped: the walk, and the last key."""

    walk: str
    after: UUID


@dataclass(slots=True)
class Outcome:
    """What a run found.

    Attributes:
        began_at: by the database's clock.
        seconds: how long it took.
        examined: how many sessions, checkouts, ledger rows, customers with credits and mechanics were looked at.
        recent: sessions created in the last 24 hours: all, completed, cancelled or expired, active.
        tallies: by slug of the check, what was found.
        looked_at: the slugs of the checks that were made, of all there is or of what time allowed.
        accepted: what a person has looked at and accepted (`autodoctor repair --accept`), by check and subject.
        left_out: how often something was found that is accepted.
        unreadable: what of the schema is missing or another's, so that the rest could not be looked at.
        stopped_at: where time ran out; None where everything was looked at.
        late_evidence: sessions of which some became known after the verdict, and how many stretches.
    """

    began_at: datetime
    seconds: float = 0.0
    examined: dict[str, int] = field(default_factory=dict)
    recent: dict[str, int] = field(default_factory=dict)
    tallies: dict[str, CheckTally] = field(default_factory=dict)
    looked_at: set[str] = field(default_factory=set)
    accepted: frozenset[tuple[str, str]] = frozenset()
    left_out: int = 0
    unreadable: str | None = None
    stopped_at: Place | None = None
    late_evidence: list[tuple[str, int]] = field(default_factory=list)

    @property
    def findings(self) -> int:
        """How many things are wrong."""
        return sum(tally.count for tally in self.tallies.values())

    def add(self, findings: Iterable[Finding]) -> None:
        """Count findings and keep the first few of each kind."""
        for finding in findings:
            if (finding.check.slug, finding.subject) in self.accepted:
                self.left_out += 1
                continue
            tally = self.tallies.setdefault(finding.check.slug, CheckTally(finding.check))
            tally.count += 1
            if len(tally.samples) < SAMPLES:
                tally.samples.append(finding)

    def made(self, checks: Iterable[Check]) -> None:
        """Note that these checks were made."""
        self.looked_at.update(check.slug for check in checks)

    def of(self, section: Section) -> list[CheckTally]:
        """What was found in a section."""
        return [tally for tally in self.tallies.values() if tally.check.section is section]


def reader(url: str, application: str) -> psycopg.Connection[Any]:
    """A connection whose transactions are read only and see one snapshot; of a replica or of the primary.

    Args:
        url: of any role that may read.
        application: its name in pg_stat_activity.
    """
    connection = psycopg.connect(
        url, autocommit=True, prepare_threshold=None, application_name=application, connect_timeout=10
    )
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def verify(
    connection: psycopg.Connection[Any],
    *,
    start: Place | None = None,
    seconds_left: SecondsLeft = lambda: float("inf"),
    progress: Progress = lambda _what, _done, _total: None,
    window: int = WINDOW,
) -> Outcome:
    """Look at everything, or at what time allows.

    Args:
        connection: as `reader` makes it; inside an open transaction all windows see that one's snapshot.
        start: where the run before stopped; what is going on now is looked at in every run.
        seconds_left: how many seconds this run may still take.
        progress: called after every window.
        window: how many rows are looked at together.

    Returns:
        What was found, and where it stopped.
    """
    began = time.monotonic()
    with snapshot(connection) as now:
        outcome = Outcome(now)
        outcome.add(checks_schema.check(connection))
        outcome.made(checks_schema.CHECKS)
    try:
        with snapshot(connection):
            outcome.accepted, outcome.recent = _accepted(connection), _recent(connection)
            outcome.add(checks_now.check(connection))
            outcome.made(checks_now.CHECKS)
            outcome.add(checks_now.findings_of(connection, disputes.QUERIES))
            outcome.made(disputes.CHECKS)
            outcome.add(files.check_now(connection))
            outcome.made(files.NOW)
            outcome.add(told.check(connection))
            outcome.made(told.CHECKS)
            total = _estimate(connection)
        _walks(connection, outcome, start, seconds_left, progress, total, window)
    except _UNREADABLE as unreadable:
        if not outcome.of(Section.SCHEMA):
            raise
        outcome.unreadable = str(unreadable.diag.message_primary)
    outcome.seconds = time.monotonic() - began
    return outcome


@contextmanager
def snapshot(connection: psycopg.Connection[Any]) -> Iterator[datetime]:
    """One transaction; gives the instant by the database's clock."""
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        ((now,),) = cursor.execute(_NOW).fetchall()
        yield now


def check_record(record: Record, now: datetime) -> Iterator[Finding]:
    """All findings about one session.

    Args:
        record: everything that belongs to it.
        now: by the database's clock.
    """
    yield from checks_session.check(record)
    yield from trail.check(record)
    yield from checks_outcome.check(record)
    yield from evidence.check(record)
    yield from times.check(record, now)
    yield from metadata.check(record)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A checked window: the number of rows, the last key, the findings, and sessions with late evidence."""

    rows: int
    upto: UUID
    findings: list[Finding]
    late: list[tuple[str, int]] = field(default_factory=list)


type _Look = Callable[[psycopg.Connection[Any], UUID, int, datetime], _Seen]


def _sessions(connection: psycopg.Connection[Any], after: UUID, size: int, now: datetime) -> _Seen:
    upto = window_end(connection, after, size)
    found = records(connection, after, upto)
    findings = [finding for record in found.values() for finding in check_record(record, now)]
    findings += settlements.check(connection, after, upto)
    findings += extensions.check(connection, after, upto)
    findings += contests.check(connection, after, upto)
    findings += rooms.check(connection, after, upto)
    findings += files.check(connection, after, upto)
    # an intake that became no session is looked at, and counts with its checkout
    late = [(str(record.id), len(rows)) for record in found.values() if (rows := checks_outcome.late_evidence(record))]
    return _Seen(sum(record.session is not None for record in found.values()), upto, findings, late)


def _by_key(walk: ledger.Walk) -> _Look:
    def look(connection: psycopg.Connection[Any], after: UUID, size: int, _now: datetime) -> _Seen:
        rows, upto = walk.window(connection, after, size)
        return _Seen(rows, upto, list(walk.check(connection, after, upto)))

    return look


_WALKS: Final[dict[str, _Look]] = {
    "sessions": _sessions,
    **{walk.name: _by_key(walk) for walk in ledger.WALKS},
}
MADE_BY: Final[dict[str, tuple[Check, ...]]] = {
    "sessions": (
        *checks_session.CHECKS,
        *trail.CHECKS,
        *checks_outcome.CHECKS,
        *evidence.CHECKS,
        *times.CHECKS,
        *settlements.CHECKS,
        *extensions.CHECKS,
        *contests.CHECKS,
        *metadata.CHECKS,
        *rooms.CHECKS,
        *files.OF_SESSIONS,
    ),
    **{walk.name: tuple(check for check, _ in walk.queries) for walk in ledger.WALKS},
}
"""Which checks each walk makes."""


def _walks(  # noqa: PLR0913, PLR0917 - what a run is made of
    connection: psycopg.Connection[Any],
    outcome: Outcome,
    start: Place | None,
    seconds_left: SecondsLeft,
    progress: Progress,
    total: int | None,
    window: int,
) -> None:
    """Go through all walks from where the run before stopped."""
    for walk in _WALKS:
        if start is not None and start.walk != walk:
            continue
        after = start.after if start else FIRST
        start = None
        rows = total if walk == "sessions" else None
        outcome.stopped_at = _walk(connection, outcome, walk, after, seconds_left, progress, rows, window)
        if outcome.stopped_at is not None:
            return


def _walk(  # noqa: PLR0913, PLR0917 - what a run is made of
    connection: psycopg.Connection[Any],
    outcome: Outcome,
    name: str,
    after: UUID,
    seconds_left: SecondsLeft,
    progress: Progress,
    total: int | None,
    size: int,
) -> Place | None:
    """Go through a walk's windows; returns where time ran out."""
    look = _WALKS[name]
    slowest = 0.0
    while after != LAST:
        if seconds_left() < 2 * slowest:
            return Place(name, after)
        began = time.monotonic()
        seen = _retried(connection, look, after, size)
        outcome.add(seen.findings)
        outcome.late_evidence += seen.late
        outcome.made(MADE_BY[name])
        outcome.examined[name] = outcome.examined.get(name, 0) + seen.rows
        after = seen.upto
        slowest = max(slowest, time.monotonic() - began)
        progress(name, outcome.examined[name], total)
        if seconds_left() <= 0 and after != LAST:
            return Place(name, after)
    return None


def _retried(connection: psycopg.Connection[Any], look: _Look, after: UUID, size: int) -> _Seen:
    """Look at a window; again, where a replica cancelled it for what it had to replay."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with snapshot(connection) as now:
                return look(connection, after, size, now)
        except psycopg.errors.SerializationFailure:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError


def _accepted(connection: psycopg.Connection[Any]) -> frozenset[tuple[str, str]]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        return frozenset((finding, subject) for finding, subject in cursor.execute(_ACCEPTED))


def _recent(connection: psycopg.Connection[Any]) -> dict[str, int]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        (counts,) = cursor.execute(_RECENT).fetchall()
    return dict(zip(("created", "completed", "notCompleted", "active"), counts, strict=True))


def _estimate(connection: psycopg.Connection[Any]) -> int | None:
    """The number of sessions, as estimated by the last ANALYZE."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        (rows,) = cursor.execute(_ROWS).fetchall()[0]
    return rows or None
