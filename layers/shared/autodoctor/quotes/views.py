"""How quotes are shown to their parties: the customer, the mechanic who escalated, the workshop; and to admins."""

from typing import Any, Final, Literal, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.errors import MechanicNotActive, SessionNotFound, Unprocessable
from autodoctor.ids import LAST
from autodoctor.quotes.errors import QuoteNotFound
from autodoctor.sessions.queue import vehicle_summary
from autodoctor.web.paging import fitting, id_of, page_of, page_size
from autodoctor.web.schemas import ResponseModel, Utc

type QuoteStatus = Literal["requested", "given", "approved", "declined", "superseded"]


class QuoteStep(ResponseModel):
    """One step in the history of a quote: who did what, and when."""

    at: Utc
    status: QuoteStatus
    actor: str
    amount_cents: int | None


class Quote(ResponseModel):
    """A quote as each of its parties sees it.

    Attributes:
        mechanic_id: who escalated.
        note: the mechanic's, for the workshop.
        vehicle: as the customer described it; empty if their data was erased.
        concern: in the customer's words.
        amount_cents: in cents of the currency; null until the workshop names it.
        description: what the amount is for.
        decided_at: when it was approved, declined, or superseded by the approval of another quote.
        timeline: its history, oldest first; the last hundred steps.
    """

    quote_id: UUID
    session_id: UUID
    status: QuoteStatus
    workshop_id: UUID
    workshop_name: str
    mechanic_id: UUID
    mechanic_name: str
    note: str | None
    vehicle: dict[str, Any]
    vehicle_summary: str
    concern: str
    amount_cents: int | None
    currency: str
    description: str | None
    requested_at: Utc
    given_at: Utc | None
    decided_at: Utc | None
    timeline: list[QuoteStep]


class MechanicQuote(Quote):
    """A quote in a mechanic's list.

    Attributes:
        asked_of_caller: whether the caller may name its amount: they work for the workshop, and the session is neither
            their own nor one that they escalated.
    """

    asked_of_caller: bool


class SessionQuotes(ResponseModel):
    """The quotes of one session, oldest first: a hundred at most, fewer where their texts are long."""

    quotes: list[Quote]


class Quotes(ResponseModel):
    """One page of a mechanic's quotes, newest first."""

    quotes: list[MechanicQuote]
    next_cursor: str | None


_COLUMNS: Final[LiteralString] = """
SELECT q.id AS quote_id, q.session_id, q.status, q.workshop_id, w.name AS workshop_name,
       q.mechanic_id, m.name AS mechanic_name, q.note, i.vehicle, i.concern,
       q.amount_cents, q.currency, q.description, q.requested_at, q.given_at, q.decided_at,
       (SELECT jsonb_agg(jsonb_build_object('at', e.occurred_at, 'status', e.to_status,
                                            'actor', split_part(e.actor, ':', 1), 'amountCents', e.amount_cents)
                         ORDER BY e.id)
          FROM (SELECT n.* FROM quote_events n WHERE n.quote_id = q.id ORDER BY n.id DESC LIMIT 100) AS e) AS timeline
"""

_QUOTES: Final[LiteralString] = """
  FROM quotes q
  JOIN workshops w ON w.id = q.workshop_id
  JOIN mechanics m ON m.id = q.mechanic_id
  JOIN intakes i ON i.id = q.session_id
"""

_SHOWN: Final[LiteralString] = _COLUMNS + _QUOTES

# The workshop's mechanics as of now; the customer and the mechanic who escalated, even if suspended or erased.
_ONE: Final[LiteralString] = (
    _SHOWN
    + """
  JOIN customers c ON c.id = i.customer_id
 WHERE q.id = %(quote_id)s
   AND (%(any_quote)s OR c.user_id = %(user_id)s OR m.user_id = %(user_id)s
        OR EXISTS (SELECT FROM mechanics x
                    WHERE x.user_id = %(user_id)s AND x.workshop_id = q.workshop_id AND x.status = 'active'))
"""
)

_OF_SESSION: Final[LiteralString] = _SHOWN + " WHERE q.session_id = %(session_id)s ORDER BY q.id LIMIT 100"

_PARTY: Final[LiteralString] = """
SELECT FROM sessions s JOIN customers c ON c.id = s.customer_id LEFT JOIN mechanics m ON m.id = s.mechanic_id
 WHERE s.id = %(session_id)s AND (%(any_session)s OR c.user_id = %(user_id)s OR m.user_id = %(user_id)s)
"""

_ME: Final[LiteralString] = """
SELECT id AS mechanic_id, workshop_id FROM mechanics WHERE user_id = %(user_id)s AND status = 'active'
"""

_ASKED_OF_CALLER: Final[LiteralString] = """
     , coalesce(q.workshop_id = %(workshop_id)s, false) AND q.mechanic_id <> %(mechanic_id)s
       AND NOT EXISTS (SELECT FROM customers c WHERE c.id = i.customer_id AND c.user_id = %(user_id)s)
       AS asked_of_caller
"""

_OF_MECHANIC: Final[LiteralString] = (
    _COLUMNS
    + _ASKED_OF_CALLER
    + _QUOTES
    + """
  JOIN ((SELECT a.id FROM quotes a WHERE a.workshop_id = %(workshop_id)s AND a.id < %(before)s
            AND (%(status)s::text IS NULL OR a.status = %(status)s) ORDER BY a.id DESC LIMIT %(limit)s + 1)
        UNION
        (SELECT b.id FROM quotes b WHERE b.mechanic_id = %(mechanic_id)s AND b.id < %(before)s
            AND (%(status)s::text IS NULL OR b.status = %(status)s) ORDER BY b.id DESC LIMIT %(limit)s + 1)
        ORDER BY id DESC LIMIT %(limit)s + 1) AS page ON page.id = q.id
 ORDER BY q.id DESC
"""
)

_STATUSES: Final = frozenset({"requested", "given", "approved", "declined", "superseded"})


def quote(database: Database, user_id: UUID, quote_id: UUID, *, any_quote: bool = False) -> Quote:
    """One quote.

    Args:
        user_id: who asks.
        quote_id: which quote.
        any_quote: whether the caller may see every quote (admins).

    Raises:
        QuoteNotFound: there is no such quote that this caller may see.
    """
    row = database.one(_ONE, {"quote_id": quote_id, "user_id": user_id, "any_quote": any_quote})
    if row is None:
        raise QuoteNotFound
    return _shown(row)


def session_quotes(database: Database, user_id: UUID, session_id: UUID, *, any_session: bool = False) -> SessionQuotes:
    """The quotes of a session, for its parties.

    Args:
        user_id: who asks.
        session_id: which session.
        any_session: whether the caller may see every session (admins).

    Raises:
        SessionNotFound: there is no such session that this caller may see.
    """
    parameters = {"session_id": session_id, "user_id": user_id, "any_session": any_session}
    if database.one(_PARTY, parameters) is None:
        raise SessionNotFound
    return SessionQuotes(quotes=fitting(_shown(row) for row in database.all(_OF_SESSION, parameters)))


def mechanic_quotes(
    database: Database, user_id: UUID, status: str | None = None, limit: str | None = None, cursor: str | None = None
) -> Quotes:
    """The quotes that this mechanic's workshop was asked for, and those that they asked for by escalating.

    Args:
        user_id: the mechanic's `sub`.
        status: only quotes in this status.
        limit: quotes a page, 1 to 100; 20 where absent.
        cursor: `nextCursor` of the page before.

    Raises:
        MechanicNotActive: no such mechanic, or suspended.
        Unprocessable: status, limit or cursor is not one of ours.
    """
    size = page_size(limit)
    if status is not None and status not in _STATUSES:
        raise Unprocessable(("/status", f"must be one of {', '.join(sorted(_STATUSES))}"))
    me = database.one(_ME, {"user_id": user_id})
    if me is None:
        raise MechanicNotActive
    rows = database.all(
        _OF_MECHANIC, {**me, "user_id": user_id, "status": status, "limit": size, "before": id_of(cursor, LAST)}
    )
    shown, last = page_of(rows, size, lambda row: MechanicQuote(**row, vehicle_summary=_vehicle(row)))
    return Quotes(quotes=shown, next_cursor=None if last is None else str(last["quote_id"]))


def _shown(row: Row) -> Quote:
    return Quote(**row, vehicle_summary=_vehicle(row))


def _vehicle(row: Row) -> str:
    return vehicle_summary(row["vehicle"])
