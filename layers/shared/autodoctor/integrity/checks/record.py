"""The record of one session as the database holds it, read a window of sessions at a time, each table once.

One statement per table and window, in the order of its key: no statement per session, no temporary table, no cursor
that outlives its statement (RDS Proxy pins a connection that declares one), and no more in memory than a window.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import class_row, tuple_row

from autodoctor.domain.ending import EvidenceClass, Party, Source
from autodoctor.ids import LAST


@dataclass(frozen=True, slots=True)
class Intake:
    """A row of `intakes`, with columns of its customer and its plan."""

    id: UUID
    customer_id: UUID
    funding: str
    session_type: str
    price_cents: int
    currency: str
    credits: int
    mechanic_share_bp: int
    mechanic_fixed_pay_cents: int
    max_minutes: int
    evidence: EvidenceClass
    urgent: bool
    scheduled_for: datetime | None
    created_at: datetime
    customer_user_id: UUID | None
    plan_allows_type: bool | None
    is_described: bool


@dataclass(frozen=True, slots=True)
class Session:
    """A row of `sessions`, with the user of its mechanic, and how many messages both wrote, and its settlement."""

    id: UUID
    customer_id: UUID
    current_assignment_id: UUID
    created_at: datetime
    scheduled_for: datetime | None
    customer_present: bool
    mechanic_present: bool
    status: str
    mechanic_id: UUID | None
    accepted_at: datetime | None
    released_at: datetime | None
    parted_at: datetime | None
    customer_joined_at: datetime | None
    mechanic_joined_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    absent: str | None
    ended_by: str | None
    together_seconds: Decimal | None
    min_billable_seconds: int | None
    min_messages_each: int | None
    late_minutes: int | None
    settled_at: datetime | None
    is_held: bool
    customer_words: int
    mechanic_words: int
    mechanic_user_id: UUID | None


@dataclass(frozen=True, slots=True)
class Assignment:
    """A row of `session_assignments`."""

    id: UUID
    session_id: UUID
    attempt: int
    urgent: bool
    status: str
    mechanic_id: UUID | None
    available_at: datetime
    queued_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """A row of `session_events`; `repaired`, where a run of repair wrote it, which then stands in `repairs`."""

    session_id: UUID
    id: int
    occurred_at: datetime
    actor_id: UUID | None
    actor: str
    from_status: str | None
    to_status: str
    repaired: bool


@dataclass(frozen=True, slots=True)
class AssignmentEventRow:
    """A row of `session_assignment_events`; `repaired` as in Event."""

    session_id: UUID
    id: int
    occurred_at: datetime
    assignment_id: UUID
    actor_id: UUID | None
    actor: str
    from_status: str | None
    to_status: str
    repaired: bool


@dataclass(frozen=True, slots=True)
class PresenceRow:
    """A row of `session_presence`."""

    session_id: UUID
    id: int
    role: Party
    mechanic_id: UUID | None
    source: Source
    since: datetime
    until: datetime | None
    recorded_at: datetime
    closed_at: datetime | None
    replaced_at: datetime | None = None
    witness: str | None = None

    def is_known(self, at: datetime) -> bool:
        """Whether it stood as evidence then."""
        return self.recorded_at <= at and (self.replaced_at is None or self.replaced_at > at)


@dataclass(frozen=True, slots=True)
class MediaEventRow:
    """A row of `media_events`."""

    session_id: UUID
    meeting: str
    attendee: str
    kind: str
    occurred_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class MeetingRow:
    """A row of `session_meetings`; `both_at` is when the second party asked to be let in."""

    session_id: UUID
    attempt: int
    meeting_id: str | None
    both_at: datetime | None


@dataclass(frozen=True, slots=True)
class ParticipantRow:
    """A row of `session_participants`."""

    session_id: UUID
    role: str
    since: datetime
    until: datetime | None
    customer_id: UUID | None
    mechanic_id: UUID | None


@dataclass(frozen=True, slots=True)
class Waiver:
    """A row of `waivers`."""

    session_id: UUID
    signed_at: datetime


@dataclass(slots=True)
class Record:
    """All rows of one session, also when its session or its intake is missing."""

    id: UUID
    intake: Intake | None = None
    session: Session | None = None
    waiver: Waiver | None = None
    assignments: list[Assignment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    presence: list[PresenceRow] = field(default_factory=list)
    meetings: list[MeetingRow] = field(default_factory=list)
    said: list[MediaEventRow] = field(default_factory=list)
    assignment_events: list[AssignmentEventRow] = field(default_factory=list)
    participants: list[ParticipantRow] = field(default_factory=list)

    @property
    def standing(self) -> list[PresenceRow]:
        """The evidence of presence that was not replaced."""
        return [each for each in self.presence if each.replaced_at is None]

    @property
    def transitions(self) -> list[Event]:
        """The audit trail of the session's status, oldest first."""
        return self.events

    @property
    def everything(self) -> list[Event | AssignmentEventRow]:
        """All audit rows."""
        return [*self.events, *self.assignment_events]

    @property
    def current(self) -> Assignment | None:
        """The assignment that the session names as its current one, where it is its own."""
        wanted = self.session and self.session.current_assignment_id
        return next((each for each in self.assignments if each.id == wanted), None)


_INTAKES: Final[LiteralString] = """
SELECT i.id, i.customer_id, i.funding, i.session_type, i.price_cents, i.currency, i.credits, i.mechanic_share_bp,
       i.mechanic_fixed_pay_cents, i.max_minutes, i.evidence, i.urgent, i.scheduled_for, i.created_at,
       c.user_id AS customer_user_id, i.session_type = ANY (p.session_types) AS plan_allows_type,
       jsonb_typeof(i.vehicle) = 'object' AND (c.erased_at IS NOT NULL
         OR EXISTS (SELECT FROM session_extensions x WHERE x.intake_id = i.id) OR i.vehicle ?& '{year,make,model}'
         AND i.concern <> '' AND i.customer_name <> '') AS is_described
  FROM intakes i LEFT JOIN customers c ON c.id = i.customer_id LEFT JOIN plans p ON p.code = i.plan_code
 WHERE i.id > %(after)s AND i.id <= %(upto)s
"""
_SESSIONS: Final[LiteralString] = """
SELECT s.id, s.customer_id, s.current_assignment_id, s.created_at, s.scheduled_for, s.released_at, s.customer_present,
       s.mechanic_present, s.status, s.mechanic_id, s.accepted_at, s.customer_joined_at, s.mechanic_joined_at,
       s.started_at, s.parted_at, s.ended_at, s.end_reason, s.absent, s.ended_by, s.together_seconds,
       s.min_billable_seconds, s.min_messages_each, s.late_minutes, m.user_id AS mechanic_user_id,
       st.decided_at AS settled_at, h.session_id IS NOT NULL AS is_held,
       coalesce(r.customer_written, 0) AS customer_words, coalesce(r.mechanic_written, 0) AS mechanic_words
  FROM sessions s LEFT JOIN mechanics m ON m.id = s.mechanic_id LEFT JOIN rooms r ON r.session_id = s.id
       LEFT JOIN settlements st ON st.session_id = s.id LEFT JOIN settlement_holds h ON h.session_id = s.id
 WHERE s.id > %(after)s AND s.id <= %(upto)s
"""
_ASSIGNMENTS: Final[LiteralString] = """
SELECT id, session_id, attempt, urgent, status, mechanic_id, available_at, queued_at, ended_at
  FROM session_assignments WHERE session_id > %(after)s AND session_id <= %(upto)s ORDER BY session_id, attempt
"""
_EVENTS: Final[LiteralString] = """
SELECT session_id, id, occurred_at, actor_id, actor, from_status, to_status,
       coalesce(data ? 'repair', false)
         AND EXISTS (SELECT FROM repairs r WHERE r.run_id::text = data ->> 'repair') AS repaired
  FROM session_events WHERE session_id > %(after)s AND session_id <= %(upto)s ORDER BY session_id, id
"""
_ASSIGNMENT_EVENTS: Final[LiteralString] = """
SELECT session_id, id, occurred_at, assignment_id, actor_id, actor, from_status, to_status,
       coalesce(data ? 'repair', false)
         AND EXISTS (SELECT FROM repairs r WHERE r.run_id::text = data ->> 'repair') AS repaired
  FROM session_assignment_events WHERE session_id > %(after)s AND session_id <= %(upto)s ORDER BY session_id, id
"""
_PRESENCE: Final[LiteralString] = """
SELECT session_id, id, role, mechanic_id, source, since, until, recorded_at, closed_at,
       replaced_at, witness FROM session_presence
 WHERE session_id > %(after)s AND session_id <= %(upto)s ORDER BY session_id, id
"""
_MEETINGS: Final[LiteralString] = """
SELECT session_id, attempt, meeting_id,
       CASE WHEN num_nonnulls(customer_at, mechanic_at) = 2 THEN greatest(customer_at, mechanic_at) END AS both_at
  FROM session_meetings WHERE session_id > %(after)s AND session_id <= %(upto)s ORDER BY session_id, attempt, number
"""
_SAID: Final[LiteralString] = """
SELECT session_id, meeting, attendee, kind, occurred_at, received_at FROM media_events
 WHERE session_id > %(after)s AND session_id <= %(upto)s ORDER BY session_id
"""
_PARTICIPANTS: Final[LiteralString] = """
SELECT session_id, role, since, until, customer_id, mechanic_id FROM session_participants
 WHERE session_id > %(after)s AND session_id <= %(upto)s ORDER BY session_id, role, since
"""
_WAIVERS: Final[LiteralString] = """
SELECT session_id, signed_at FROM waivers WHERE session_id > %(after)s AND session_id <= %(upto)s
"""
_LISTS: Final[tuple[tuple[type[Any], LiteralString, str], ...]] = (
    (Assignment, _ASSIGNMENTS, "assignments"),
    (Event, _EVENTS, "events"),
    (PresenceRow, _PRESENCE, "presence"),
    (MeetingRow, _MEETINGS, "meetings"),
    (MediaEventRow, _SAID, "said"),
    (AssignmentEventRow, _ASSIGNMENT_EVENTS, "assignment_events"),
    (ParticipantRow, _PARTICIPANTS, "participants"),
)
"""The rows of which a session may have several: each statement, and the list of `Record` that they go to."""
_WINDOW_END: Final[LiteralString] = "SELECT id FROM intakes WHERE id > %s ORDER BY id OFFSET %s LIMIT 1"


def window_end(connection: psycopg.Connection[Any], after: UUID, size: int) -> UUID:
    """The last id of the next `size` intakes; LAST where there are no more than those."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(_WINDOW_END, [after, size - 1]).fetchone()
    return row[0] if row else LAST


def records(connection: psycopg.Connection[Any], after: UUID, upto: UUID) -> dict[UUID, Record]:
    """The records of all sessions and intakes with `after` < id <= `upto`, from whichever table has the id.

    Args:
        connection: in a transaction with one snapshot, so that the rows of a session belong together.
        after: not included.
        upto: included.
    """
    found: dict[UUID, Record] = _Records()
    window = {"after": after, "upto": upto}
    for intake in rows(connection, Intake, _INTAKES, window):
        found[intake.id].intake = intake
    for session in rows(connection, Session, _SESSIONS, window):
        found[session.id].session = session
    for waiver in rows(connection, Waiver, _WAIVERS, window):
        found[waiver.session_id].waiver = waiver
    for row_type, statement, name in _LISTS:
        for row in rows(connection, row_type, statement, window):
            getattr(found[row.session_id], name).append(row)
    return found


def rows[T](
    connection: psycopg.Connection[Any], kind: type[T], query: LiteralString, parameters: dict[str, Any]
) -> Iterator[T]:
    """The rows of a query as values of `kind`, whose fields are its columns."""
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        yield from cursor.execute(query, parameters)


class _Records(dict[UUID, Record]):
    """Makes the record of an id when it is first asked for."""

    def __missing__(self, key: UUID) -> Record:
        record = self[key] = Record(key)
        return record
