"""GET /api/admin/sessions: the list behind each number that operators see.

Lists over a period read the audit trail's indexes, newest first; lists of open sessions are short, oldest first.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, LiteralString
from uuid import UUID

from pydantic import AwareDatetime, TypeAdapter

from autodoctor.db import Database, Row
from autodoctor.domain.lifecycle import ACTIVE_SESSION, TERMINAL, SessionStatus
from autodoctor.errors import Unprocessable
from autodoctor.ids import FIRST, LAST
from autodoctor.monitoring.alerts import SESSION_ALERTS
from autodoctor.monitoring.window import Window, counted, window
from autodoctor.web.paging import cursor_of, page_size, place_of
from autodoctor.web.schemas import ResponseModel, Utc

LONGEST: Final = timedelta(days=31)
DEFAULT: Final = timedelta(hours=24)

_BEGUN: Final[LiteralString] = """
  SELECT e.session_id, e.occurred_at AS at, NULL::text AS severity FROM session_events e
   WHERE e.from_status IS NULL
"""
_OVER: Final[LiteralString] = """
  SELECT x.session_id, x.decided_at AS at, NULL::text AS severity
    FROM sessions_ended_between(%(since)s, %(until)s) AS x WHERE x.status = ANY (%(values)s)
"""
_OVER_FOR: Final[LiteralString] = """
  SELECT x.session_id, x.decided_at AS at, NULL::text AS severity
    FROM sessions_ended_between(%(since)s, %(until)s) AS x WHERE x.end_reason = ANY (%(values)s)
"""
_OPEN: Final[LiteralString] = """
  SELECT s.id AS session_id, coalesce(s.released_at, s.created_at) AS at, NULL::text AS severity FROM sessions s
   WHERE s.ended_at IS NULL AND s.status = ANY (%(values)s)
"""
_QUEUED: Final[LiteralString] = """
  SELECT a.session_id, a.queued_at AS at, NULL::text AS severity FROM session_assignments a
   WHERE a.status IN ('queued', 'offered') AND a.available_at <= now() AND a.status = ANY (%(values)s)
"""
_ALERTED: Final[LiteralString] = """
  SELECT r.session_id, r.since AS at, r.severity FROM sessions_needing_review r WHERE r.alert = ANY (%(values)s)
"""
_OFFERED: Final[LiteralString] = """
  SELECT e.session_id, e.occurred_at AS at, NULL::text AS severity FROM session_assignment_events e
   WHERE e.from_status = 'offered' AND e.to_status IN ('accepted', 'declined', 'expired')
     AND e.to_status = ANY (%(values)s)
"""
_PAYOUTS: Final[LiteralString] = """
  SELECT p.session_id, p.created_at AS at, NULL::text AS severity FROM payouts p
   WHERE p.state IN ('due', 'held', 'sending', 'failed') AND p.state = ANY (%(values)s)
"""
_REFUNDS: Final[LiteralString] = """
  SELECT coalesce(x.session_id, r.intake_id) AS session_id, r.created_at AS at, NULL::text AS severity
    FROM refunds r LEFT JOIN session_extensions x ON x.intake_id = r.intake_id
   WHERE r.state IN ('due', 'held', 'sending', 'failed') AND r.state = ANY (%(values)s)
"""
_NOT_TAKEN_BACK: Final[LiteralString] = """
  SELECT p.session_id, min(r.created_at) AS at, NULL::text AS severity
    FROM payout_reversals r JOIN payouts p ON p.id = r.payout_id WHERE r.state = 'failed' GROUP BY p.session_id
"""
_OWED: Final[LiteralString] = """
  SELECT coalesce(x.session_id, o.session_id) AS session_id, o.since AS at, NULL::text AS severity
    FROM receivables o LEFT JOIN session_extensions x ON x.intake_id = o.session_id
"""
_UNSETTLED: Final[LiteralString] = """
  SELECT d.session_id, d.ended_at AS at, NULL::text AS severity FROM settlements_due d
"""
_NEWEST_FIRST: Final[tuple[LiteralString, LiteralString]] = (
    " AND (f.at, f.session_id) < (%(at)s, %(id)s) ORDER BY f.at DESC, f.session_id DESC",
    " ORDER BY p.at DESC, p.session_id DESC",
)
_OLDEST_FIRST: Final[tuple[LiteralString, LiteralString]] = (
    " AND (f.at, f.session_id) > (%(at)s, %(id)s) ORDER BY f.at, f.session_id",
    " ORDER BY p.at, p.session_id",
)
SHOWN: Final[LiteralString] = """
SELECT p.session_id, p.at, p.severity, coalesce(s.status, 'unfulfillable') AS status, s.end_reason, i.session_type,
       i.plan_code AS plan, i.funding, i.price_cents, i.credits, i.urgent, i.customer_name, i.workshop_id,
       s.mechanic_id, m.name AS mechanic_name, coalesce(s.created_at, i.created_at) AS created_at, s.started_at,
       s.ended_at, a.status AS assignment_status, a.queued_at, a.attempt AS attempts
  FROM page p
       CROSS JOIN LATERAL (SELECT * FROM intakes r WHERE r.id = p.session_id LIMIT 1) AS i
       LEFT JOIN LATERAL (SELECT * FROM sessions r WHERE r.id = p.session_id LIMIT 1) AS s ON true
       LEFT JOIN LATERAL (SELECT * FROM session_assignments r WHERE r.id = s.current_assignment_id LIMIT 1) AS a ON true
  LEFT JOIN mechanics m ON m.id = s.mechanic_id
"""


@dataclass(frozen=True, slots=True)
class _Source:
    """A statement that finds sessions, the values it looks for, and whether it is of a time or of what is open."""

    query: LiteralString
    values: tuple[str, ...]
    by_time: bool


_WAITING: Final = ("due", "held", "sending")
_TERMINAL: Final = tuple(status for status in SessionStatus if status in TERMINAL)
_ACTIVE: Final = tuple(status for status in SessionStatus if status in ACTIVE_SESSION)
FILTERS: Final[dict[str, dict[str, _Source]]] = {
    "status": {
        **{status: _Source(_OVER, (status,), by_time=True) for status in _TERMINAL},
        "ended": _Source(_OVER, _TERMINAL, by_time=True),
        **{status: _Source(_OPEN, (status,), by_time=False) for status in _ACTIVE},
        "active": _Source(_OPEN, _ACTIVE, by_time=False),
        **{status: _Source(_QUEUED, (status,), by_time=False) for status in ("queued", "offered")},
    },
    "reason": {
        reason: _Source(_OVER_FOR, (reason,), by_time=True)
        for reason in ("billable", "too_short", "no_talk", "no_show", "withdrawn", "expired")
    },
    "alert": {alert: _Source(_ALERTED, (alert,), by_time=False) for alert in SESSION_ALERTS},
    "offer": {
        "accepted": _Source(_OFFERED, ("accepted",), by_time=True),
        "declined": _Source(_OFFERED, ("declined",), by_time=True),
        "lapsed": _Source(_OFFERED, ("expired",), by_time=True),
    },
    "money": {
        "payouts_failed": _Source(_PAYOUTS, ("failed",), by_time=False),
        "payouts_waiting": _Source(_PAYOUTS, _WAITING, by_time=False),
        "refunds_failed": _Source(_REFUNDS, ("failed",), by_time=False),
        "refunds_waiting": _Source(_REFUNDS, _WAITING, by_time=False),
        "reversals_failed": _Source(_NOT_TAKEN_BACK, (), by_time=False),
        "receivables": _Source(_OWED, (), by_time=False),
        "settlements_waiting": _Source(_UNSETTLED, (), by_time=False),
    },
}

_PLACE: Final = TypeAdapter[tuple[datetime, UUID]](tuple[AwareDatetime, UUID])
_EVER: Final = Window(datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


class FoundSession(ResponseModel):
    """One session of the list.

    Attributes:
        at: what the list is ordered by: when it was created, ended, queued, alerted or owed.
        severity: of the alert, where the list is one of an alert.
        status: unfulfillable: it was paid, and never became a session.
        created_at: of the session, as its own page says; where there is none, of the intake.
    """

    session_id: UUID
    at: Utc
    severity: str | None
    status: str
    end_reason: str | None
    session_type: str
    plan: str
    funding: str
    price_cents: int
    credits: int
    urgent: bool
    customer_name: str
    workshop_id: UUID | None
    mechanic_id: UUID | None
    mechanic_name: str | None
    created_at: Utc
    started_at: Utc | None
    ended_at: Utc | None
    assignment_status: str | None
    queued_at: Utc | None
    attempts: int | None


class FoundSessions(ResponseModel):
    """One page of a list."""

    sessions: list[FoundSession]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for, as it came: at most one of status, reason, alert, offer and money."""

    status: str | None = None
    reason: str | None = None
    alert: str | None = None
    offer: str | None = None
    money: str | None = None
    since: str | None = None
    until: str | None = None
    limit: str | None = None
    cursor: str | None = None


def search(database: Database, query: Query) -> FoundSessions:
    """One page of sessions.

    Without a filter those that were created, with a filter on status or reason those that ended (or are open),
    that have an alert, an answered offer, or stuck money. What happened in a time is of the last 24 hours unless
    `from` and `to` say otherwise; what is open is all of it.

    Raises:
        Unprocessable: a filter, a time, limit or cursor is not one of ours, or two filters at once.
    """
    source, size = _source(query), page_size(query.limit)
    bounds = (
        window(query.since, query.until, longest=LONGEST, default=DEFAULT)
        if source.by_time or query.since or query.until
        else _EVER
    )
    at, last = place_of(query.cursor, _PLACE, (_EVER.until, LAST) if source.by_time else (_EVER.since, FIRST))
    rows = counted(
        database,
        _statement(source),
        {
            "since": bounds.since,
            "until": bounds.until,
            "values": list(source.values),
            "at": at,
            "id": last,
            "limit": size,
        },
    )
    shown = rows[:size]
    return FoundSessions(
        sessions=[FoundSession(**row) for row in shown],
        next_cursor=_cursor(shown[-1]) if len(rows) > size else None,
    )


def _statement(source: _Source) -> LiteralString:
    beyond, order = _NEWEST_FIRST if source.by_time else _OLDEST_FIRST
    found: LiteralString = "WITH page AS MATERIALIZED (SELECT f.* FROM (" + source.query + ") AS f"
    bounded: LiteralString = " WHERE f.at >= %(since)s AND f.at < %(until)s" + beyond + " LIMIT %(limit)s + 1)"
    return found + bounded + SHOWN + order


def _source(query: Query) -> _Source:
    given = [name for name in FILTERS if getattr(query, name) is not None]
    if not given:
        return _Source(_BEGUN, (), by_time=True)
    if len(given) > 1:
        raise Unprocessable((f"/{given[1]}", f"cannot be combined with {given[0]}"))
    known, value = FILTERS[given[0]], getattr(query, given[0])
    if value not in known:
        raise Unprocessable((f"/{given[0]}", f"must be one of {', '.join(known)}"))
    return known[value]


def _cursor(row: Row) -> str:
    return cursor_of((row["at"], row["session_id"]), _PLACE)
