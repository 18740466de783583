"""A party's view of sessions: the active one, one in detail with its timeline, and the history."""

from typing import Any, Final, Literal, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.errors import SessionNotFound
from autodoctor.ids import FIRST, LAST
from autodoctor.sessions.end import EndedBy
from autodoctor.sessions.evidence import EVIDENCE, RECENT, TIMELINE, SessionEvidence
from autodoctor.sessions.minutes import MINUTES, SessionMinutes
from autodoctor.sessions.queue_position import QUEUE_POSITION, QueuePosition
from autodoctor.sessions.terms import TERMS, SessionTerms
from autodoctor.settings import session_base_url
from autodoctor.web.paging import id_of, page_of, page_size
from autodoctor.web.schemas import ResponseModel, Utc

type Role = Literal["customer", "mechanic"]


class SessionSummary(ResponseModel):
    """A session as one of its parties sees it."""

    session_id: UUID
    status: str
    session_type: str
    plan: str
    created_at: Utc
    started_at: Utc | None
    scheduled_for: Utc | None
    counterpart_name: str | None
    session_url: str


class ActiveSession(ResponseModel):
    """The active session, if there is one."""

    session: SessionSummary | None


class SessionOutcome(SessionSummary):
    """A session with its outcome."""

    ended_at: Utc | None
    reason: str | None
    duration_seconds: int | None
    ended_by: EndedBy | None


class PastSession(SessionOutcome):
    """A session in a history.

    Attributes:
        mechanic_id: the last mechanic; a customer can ask for them again with `preferredMechanicId`.
        vehicle_summary: year, make and model; empty once erased.
        price_cents: as agreed at intake, whatever was charged in the end.
        credits: as agreed, where it was paid with credits.
    """

    mechanic_id: UUID | None
    vehicle_summary: str
    concern: str
    funding: str
    price_cents: int
    currency: str
    credits: int


class History(ResponseModel):
    """One page of a party's sessions, newest first."""

    sessions: list[PastSession]
    next_cursor: str | None


class Participant(ResponseModel):
    """A party of the session."""

    role: Role
    name: str
    joined_at: Utc | None
    present: bool


class TimelineEvent(ResponseModel):
    """One event of a session's life."""

    at: Utc
    event: str
    actor: str
    assignment_id: UUID | None


class NotesState(ResponseModel):
    """How far the notes are, for the mechanic who writes them.

    Attributes:
        version: of the notes that are stored, 0 for none; the next ones have a greater one.
        saved_at: when they were saved.
        confirmed_at: when the mechanic first said that they are complete.
        closes_at: until when they may be completed; null before the end.
    """

    version: int
    saved_at: Utc | None
    confirmed_at: Utc | None
    closes_at: Utc | None


class SessionDetail(SessionOutcome):
    """A session with everything its parties may know of it.

    Attributes:
        reply_due_at: until when the mechanic who accepted has to write or come; from then on the customer may ask for
            another one. Null where nobody waits for that.
        explanation: what the operator who ended it says of that.
        mechanic_notes: the mechanic's own words; for the customer once they are confirmed, or the summary went out.
        quote_count: how many workshops were asked for a price; their answers are at `/api/sessions/{sessionId}/quotes`.
        notes: for the mechanic and admins; null for the customer, and where no mechanic has it.
    """

    funding: str
    concern: str
    vehicle: dict[str, Any]
    urgent: bool
    assignment_id: UUID
    assignment_status: str
    queued_at: Utc | None
    offer_expires_at: Utc | None
    accepted_at: Utc | None
    reply_due_at: Utc | None
    explanation: str | None
    mechanic_notes: str | None
    terms: SessionTerms
    minutes: SessionMinutes
    notes: NotesState | None
    waiting: QueuePosition | None
    participants: list[Participant]
    timeline: list[TimelineEvent]
    evidence: SessionEvidence
    quote_count: int


_COLUMNS: Final[LiteralString] = """
       s.id AS session_id, s.status, i.session_type, i.plan_code AS plan, s.created_at, s.started_at, s.scheduled_for,
       s.ended_at, s.end_reason AS reason, s.mechanic_id,
       floor(s.together_seconds)::integer AS duration_seconds, s.ended_by
"""

_CUSTOMER_ACTIVE: Final[LiteralString] = (
    "SELECT "
    + _COLUMNS
    + """, m.name AS counterpart_name
  FROM customers c
  JOIN sessions s ON s.customer_id = c.id AND s.ended_at IS NULL
  JOIN intakes i ON i.id = s.id
  LEFT JOIN mechanics m ON m.id = s.mechanic_id
 WHERE c.user_id = %(user_id)s
"""
)

_MECHANIC_ACTIVE: Final[LiteralString] = (
    "SELECT "
    + _COLUMNS
    + """, i.customer_name AS counterpart_name
  FROM mechanics m
  JOIN sessions s ON s.mechanic_id = m.id AND s.ended_at IS NULL
  JOIN intakes i ON i.id = s.id
 WHERE m.user_id = %(user_id)s
"""
)

# Ids of ours are in the order of time. Sessions imported from the old system kept theirs, which are random: they
# come after all of ours, ordered by when they were created. The second half is only read where the first is at its end.
_CUSTOMERS: Final[LiteralString] = """
  FROM intakes i JOIN sessions s ON s.id = i.id
 WHERE i.customer_id = (SELECT c.id FROM customers c WHERE c.user_id = %(user_id)s)
"""
_MECHANICS: Final[LiteralString] = """
  FROM session_participants p
 WHERE p.mechanic_id = (SELECT m.id FROM mechanics m WHERE m.user_id = %(user_id)s) AND p.until IS NULL
"""
_BY_TIME: Final[LiteralString] = """) AS o JOIN intakes x ON x.id = o.id
 WHERE %(moved)s::uuid IS NULL
    OR (x.created_at, x.id) < (SELECT l.created_at, l.id FROM intakes l WHERE l.id = %(moved)s)
 ORDER BY x.created_at DESC, x.id DESC LIMIT %(limit)s + 1) LIMIT %(limit)s + 1)
"""


def _page(theirs: LiteralString, key: LiteralString) -> LiteralString:
    """The ids of a page of somebody's history, `key` being the column whose index has them in order."""
    # Every version but 7, so that the planner expects most ids to be ours and reads the index in order.
    ours = "substring(" + key + "::text, 15, 1) <> ALL ('{0,1,2,3,4,5,6,8,9,a,b,c,d,e,f}')"
    first = (
        "SELECT " + key + " AS id, NULL::timestamptz AS moved_at" + theirs + " AND " + key + " < %(before)s AND " + ours
    )
    moved = "SELECT " + key + " AS id" + theirs + " AND NOT " + ours
    in_order = " ORDER BY " + key + " DESC LIMIT %(limit)s + 1"
    return "WITH page AS ((" + first + in_order + ") UNION ALL (SELECT x.id, x.created_at FROM (" + moved + _BY_TIME


_IN_ORDER: Final[LiteralString] = """
  FROM page JOIN sessions s ON s.id = page.id JOIN intakes i ON i.id = page.id
  LEFT JOIN mechanics m ON m.id = s.mechanic_id
 ORDER BY page.moved_at DESC NULLS FIRST, page.id DESC
"""

_ASKED_FOR: Final[LiteralString] = """,
       concat_ws(' ', i.vehicle ->> 'year', i.vehicle ->> 'make', i.vehicle ->> 'model') AS vehicle_summary,
       i.concern, i.funding, i.price_cents, i.currency, i.credits
"""

_CUSTOMER_HISTORY: Final[LiteralString] = (
    _page(_CUSTOMERS, "i.id") + "SELECT " + _COLUMNS + _ASKED_FOR + ", m.name AS counterpart_name" + _IN_ORDER
)

_MECHANIC_HISTORY: Final[LiteralString] = (
    _page(_MECHANICS, "p.session_id")
    + "SELECT "
    + _COLUMNS
    + _ASKED_FOR
    + ", i.customer_name AS counterpart_name"
    + _IN_ORDER
)

_DETAIL: Final[LiteralString] = (
    RECENT
    + "SELECT "
    + _COLUMNS
    + """, CASE WHEN m.user_id = %(user_id)s THEN i.customer_name ELSE m.name END AS counterpart_name,
       i.funding, i.concern, i.vehicle, i.urgent, s.accepted_at, reply_due_at(s) AS reply_due_at,
       (SELECT x.text FROM end_explanations x WHERE x.session_id = s.id) AS explanation,
       CASE WHEN author.reads OR notes_shown(s.ended_at, n.confirmed_at) THEN nullif(n.text, '') END AS mechanic_notes,
       CASE WHEN author.reads AND m.id IS NOT NULL THEN jsonb_build_object(
         'version', coalesce(n.version, 0), 'savedAt', n.saved_at, 'confirmedAt', n.confirmed_at,
         'closesAt', s.ended_at + notes_time()) END AS notes,
       a.id AS assignment_id, a.status AS assignment_status, a.queued_at, a.offer_expires_at,
       (SELECT count(*) FROM quotes q WHERE q.session_id = s.id) AS quote_count,
       jsonb_build_array(
         jsonb_build_object('role', 'customer', 'name', i.customer_name, 'joinedAt', s.customer_joined_at,
                            'present', s.customer_present AND s.ended_at IS NULL))
       || CASE WHEN m.id IS NULL THEN '[]' ELSE jsonb_build_array(
         jsonb_build_object('role', 'mechanic', 'name', m.name, 'joinedAt', s.mechanic_joined_at,
                            'present', s.mechanic_present AND s.ended_at IS NULL)) END AS participants,
"""
    + TIMELINE
    + " AS timeline, "
    + EVIDENCE
    + " AS evidence, "
    + TERMS
    + " AS terms, "
    + MINUTES
    + " AS minutes, "
    + QUEUE_POSITION
    + """ AS waiting
  FROM sessions s
  JOIN intakes i ON i.id = s.id
  JOIN customers c ON c.id = s.customer_id
  JOIN session_assignments a ON a.id = s.current_assignment_id
  LEFT JOIN mechanics m ON m.id = s.mechanic_id
  LEFT JOIN session_notes n ON n.session_id = s.id AND n.mechanic_id = m.id
 CROSS JOIN LATERAL (SELECT %(any_session)s OR m.user_id IS NOT DISTINCT FROM %(user_id)s AS reads) AS author
 WHERE s.id = %(session_id)s AND (%(any_session)s OR c.user_id = %(user_id)s OR m.user_id = %(user_id)s)
"""
)


def customer_active_session(database: Database, user_id: UUID) -> ActiveSession:
    """The customer's scheduled, pending, waiting or live session."""
    return _active(database.one(_CUSTOMER_ACTIVE, {"user_id": user_id}))


def mechanic_active_session(database: Database, user_id: UUID) -> ActiveSession:
    """The mechanic's waiting or live session."""
    return _active(database.one(_MECHANIC_ACTIVE, {"user_id": user_id}))


def session_detail(database: Database, user_id: UUID, session_id: UUID, *, any_session: bool = False) -> SessionDetail:
    """One session with its participants and its timeline of events.

    Args:
        user_id: who asks.
        any_session: whether it may be a session of others (admins).

    Raises:
        SessionNotFound: no such session of this caller.
    """
    row = database.one(_DETAIL, {"session_id": session_id, "user_id": user_id, "any_session": any_session})
    if row is None:
        raise SessionNotFound
    return SessionDetail.model_validate({**row, "session_url": session_url(row)})


def history(
    database: Database, role: Role, user_id: UUID, limit: str | None = None, cursor: str | None = None
) -> History:
    """A party's sessions, newest first.

    Args:
        role: as customer or as mechanic.
        user_id: the party's `sub`.
        limit: sessions a page, 1 to 100; 20 where absent.
        cursor: `nextCursor` of the page before.

    Raises:
        Unprocessable: limit or cursor is invalid.
    """
    size = page_size(limit)
    statement = _CUSTOMER_HISTORY if role == "customer" else _MECHANIC_HISTORY
    rows = database.all(statement, {"user_id": user_id, "limit": size, **_place(cursor)})
    shown, last = page_of(rows, size, lambda row: PastSession(**row, session_url=session_url(row)))
    return History(sessions=shown, next_cursor=None if last is None else str(last["session_id"]))


def session_url(row: Row) -> str:
    """The address where the parties meet; a diagnostic is held as video."""
    medium = "chat" if row["session_type"] == "chat" else "video"
    return f"{session_base_url()}/{medium}/{row['session_id']}"


def _active(row: Row | None) -> ActiveSession:
    return ActiveSession(session=None if row is None else SessionSummary(**row, session_url=session_url(row)))


def _place(cursor: str | None) -> dict[str, UUID | None]:
    """The id after which a page goes on: among our own sessions, or among the imported ones."""
    if cursor is None:
        return {"before": LAST, "moved": None}
    last = id_of(cursor, LAST)
    is_ours = str(last)[14] == "7"  # UUIDv7, which we make; imported ids may be of any version
    return {"before": last, "moved": None} if is_ours else {"before": FIRST, "moved": last}
