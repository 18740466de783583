"""Escalation and quotes: a mechanic hands a session to a workshop, which quotes; the customer approves or declines.

Escalating and approving both lock the session's row; changing an amount and deciding on it lock the quote's. An
approved quote earns the mechanic who escalated a share of its amount, from the platform's account, once the session is
completed (payments/ledger/escalations.py).
"""

from typing import Annotated, Final, LiteralString
from uuid import UUID

import psycopg
from pydantic import Field, StringConstraints

from autodoctor.db import Database, Refused, Row
from autodoctor.errors import MechanicNotActive, SessionBusy, SessionNotFound, Unprocessable
from autodoctor.ids import new_id
from autodoctor.payments.ledger.escalations import owe_escalation
from autodoctor.quotes.errors import (
    OwnQuote,
    QuoteApproved,
    QuoteChanged,
    QuoteDecided,
    QuoteNotFound,
    QuoteNotGiven,
    SessionNotEscalatable,
)
from autodoctor.quotes.views import Quote, quote
from autodoctor.web.schemas import VISIBLE, RequestBody

MOST_CENTS: Final = 10_000_000
"""As in the schema. It bounds a typing error, since the platform pays a share of the amount."""
ESCALATABLE: Final = frozenset({"live", "completed"})
OPEN: Final = frozenset({"requested", "given"})
ATTEMPTS: Final = 3

type Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), VISIBLE]
type Cents = Annotated[int, Field(ge=1, le=MOST_CENTS)]


class EscalationRequest(RequestBody):
    """Which workshop is asked, and what it should know."""

    workshop_id: Annotated[UUID, Field(strict=False)]
    note: Text | None = None


class AmountRequest(RequestBody):
    """The amount that the workshop asks for the repair."""

    amount_cents: Cents
    description: Text | None = None


class ApprovalRequest(RequestBody):
    """The amount that the customer saw, so that no other is approved; without it the present amount is."""

    amount_cents: Cents | None = None


# Not ON CONFLICT DO NOTHING: the trigger before it would have audited a row that is then not inserted.
_ESCALATE: Final[LiteralString] = """
INSERT INTO quotes (id, session_id, mechanic_id, workshop_id, note, actor, actor_id)
SELECT %(quote_id)s, s.id, m.id, w.id, %(note)s, 'mechanic', %(user_id)s
  FROM mechanics m JOIN sessions s ON s.mechanic_id = m.id CROSS JOIN workshops w
 WHERE m.user_id = %(user_id)s AND m.status = 'active'
   AND s.id = %(session_id)s AND s.status IN ('live', 'completed') AND w.id = %(workshop_id)s
   AND CASE WHEN NOT EXISTS (SELECT FROM quotes q
                              WHERE q.session_id = s.id AND (q.workshop_id = w.id OR q.status = 'approved'))
            THEN count_against('escalations', %(user_id)s) ELSE false END
RETURNING id
"""

_WHY_NOT_ESCALATED: Final[LiteralString] = """
SELECT coalesce(m.status = 'active', false) AS active, s.status, w.id IS NOT NULL AS workshop_known,
       q.id AS quote_id, a.id AS approved_id
  FROM (SELECT) AS one
  LEFT JOIN mechanics m ON m.user_id = %(user_id)s
  LEFT JOIN sessions s ON s.id = %(session_id)s AND s.mechanic_id = m.id
  LEFT JOIN workshops w ON w.id = %(workshop_id)s
  LEFT JOIN quotes q ON q.session_id = s.id AND q.workshop_id = w.id
  LEFT JOIN quotes a ON a.approved_session_id = s.id
"""

_OWN: Final[LiteralString] = """
(q.mechanic_id = m.id OR EXISTS (SELECT FROM intakes i JOIN customers c ON c.id = i.customer_id
                                  WHERE i.id = q.session_id AND c.user_id = %(user_id)s))
"""

_GIVE: Final[LiteralString] = (
    """
UPDATE quotes q
   SET status = 'given', amount_cents = %(amount_cents)s, description = %(description)s, given_by_id = m.id,
       actor = 'mechanic', actor_id = %(user_id)s
  FROM mechanics m
 WHERE q.id = %(quote_id)s AND q.status IN ('requested', 'given')
   AND m.user_id = %(user_id)s AND m.status = 'active' AND m.workshop_id = q.workshop_id
   AND (q.amount_cents, q.description) IS DISTINCT FROM (%(amount_cents)s::integer, %(description)s::text)
   AND NOT """
    + _OWN
    + """
   AND count_against('quote_amounts', %(user_id)s)
"""
)

_WHY_NOT_GIVEN: Final[LiteralString] = (
    """
SELECT coalesce(m.status = 'active', false) AS active, q.status, """
    + _OWN
    + """ AS own,
       (q.amount_cents, q.description) IS NOT DISTINCT FROM (%(amount_cents)s::integer, %(description)s::text) AS same
  FROM (SELECT) AS one
  LEFT JOIN mechanics m ON m.user_id = %(user_id)s
  LEFT JOIN quotes q ON q.id = %(quote_id)s AND q.workshop_id = m.workshop_id
"""
)

_LOCK: Final[LiteralString] = """
SELECT s.id FROM sessions s
 WHERE s.id = (SELECT q.session_id FROM quotes q WHERE q.id = %(quote_id)s)
   AND s.customer_id = (SELECT c.id FROM customers c WHERE c.user_id = %(user_id)s)
   FOR NO KEY UPDATE
"""

_APPROVE: Final[LiteralString] = """
UPDATE quotes SET status = 'approved', actor = 'customer', actor_id = %(user_id)s
 WHERE id = %(quote_id)s AND status = 'given'
   AND (%(amount_cents)s::integer IS NULL OR amount_cents = %(amount_cents)s)
RETURNING session_id
"""

_SUPERSEDE: Final[LiteralString] = """
UPDATE quotes SET status = 'superseded', actor = 'customer', actor_id = %(user_id)s
 WHERE session_id = %(session_id)s AND status IN ('requested', 'given')
"""

_DECLINE: Final[LiteralString] = """
UPDATE quotes q SET status = 'declined', actor = 'customer', actor_id = %(user_id)s
  FROM intakes i JOIN customers c ON c.id = i.customer_id
 WHERE q.id = %(quote_id)s AND q.status IN ('requested', 'given')
   AND i.id = q.session_id AND c.user_id = %(user_id)s
"""

_STATE: Final[LiteralString] = """
SELECT q.status, q.amount_cents
  FROM quotes q JOIN intakes i ON i.id = q.session_id JOIN customers c ON c.id = i.customer_id
 WHERE q.id = %(quote_id)s AND c.user_id = %(user_id)s
"""


def escalate(database: Database, user_id: UUID, session_id: UUID, request: EscalationRequest) -> Quote:
    """Ask a workshop for a quote; asking the same one again returns the same quote, whatever became of it.

    Args:
        user_id: the `sub` of the session's mechanic.
        session_id: a live or completed session.
        request: which workshop is asked.

    Raises:
        MechanicNotActive: no such mechanic, or suspended.
        SessionNotFound: no such session of this mechanic.
        Unprocessable: no such workshop.
        QuoteApproved: the customer has approved another workshop's quote.
        SessionNotEscalatable: the session never went live, or was not completed.
        TooManyRequests: the mechanic asked too often.
        SessionBusy: another request held the session for too long.
    """
    parameters = {**request.model_dump(), "quote_id": new_id(), "session_id": session_id, "user_id": user_id}
    for _ in range(ATTEMPTS):
        try:
            made = database.one(_ESCALATE, parameters)
        except (psycopg.errors.UniqueViolation, Refused):  # a concurrent call won: what it did is read below
            made = None
        quote_id = made["id"] if made else _escalated_before(database, parameters)
        if quote_id is not None:
            return quote(database, user_id, quote_id)
    raise SessionBusy


def _escalated_before(database: Database, parameters: Row) -> UUID | None:
    """The quote that this workshop has for the session already; None if a concurrent change is over by now.

    Raises:
        Problem: why the workshop cannot be asked.
    """
    why = database.one(_WHY_NOT_ESCALATED, parameters)
    if why is None or not why["active"]:
        raise MechanicNotActive
    if why["status"] is None:
        raise SessionNotFound
    if not why["workshop_known"]:
        raise Unprocessable(("/workshopId", "is not a workshop"))
    if why["quote_id"] is None and why["approved_id"] is not None:
        raise QuoteApproved(why["approved_id"])
    if why["quote_id"] is None and why["status"] not in ESCALATABLE:
        raise SessionNotEscalatable(why["status"])
    found: UUID | None = why["quote_id"]
    return found


def give_amount(database: Database, user_id: UUID, quote_id: UUID, given: AmountRequest) -> Quote:
    """Name the amount of a quote, or change it; the same amount again changes nothing.

    Args:
        user_id: the `sub` of a mechanic of the quote's workshop.
        quote_id: which quote.
        given: how much, and for what.

    Raises:
        MechanicNotActive: no such mechanic, or suspended.
        QuoteNotFound: there is no such quote, or it is another workshop's.
        OwnQuote: the mechanic is the customer, or escalated the session and would earn a share of the amount.
        QuoteDecided: it was approved, declined or superseded.
        TooManyRequests: the mechanic has named too many of late.
    """
    parameters = {**given.model_dump(), "quote_id": quote_id, "user_id": user_id}
    if database.execute(_GIVE, parameters) == 0:
        _refuse_amount(database.one(_WHY_NOT_GIVEN, parameters))
    return quote(database, user_id, quote_id)


def _refuse_amount(why: Row | None) -> None:
    """Raise why an amount was not taken, unless it is the present one."""
    if why is None or not why["active"]:
        raise MechanicNotActive
    if why["status"] is None:
        raise QuoteNotFound
    if why["own"]:
        raise OwnQuote
    if not why["same"]:
        raise QuoteDecided(why["status"]) if why["status"] not in OPEN else SessionBusy


def approve(database: Database, user_id: UUID, quote_id: UUID, approval: ApprovalRequest) -> Quote:
    """Approve a quote and supersede the session's others; who escalated earns a share. Repeating it changes nothing.

    Args:
        user_id: the `sub` of the session's customer.
        quote_id: which quote.
        approval: the amount that the customer saw.

    Raises:
        QuoteNotFound: there is no such quote, or the session is another customer's.
        QuoteNotGiven: there is no amount yet.
        QuoteChanged: the amount is no longer the one that they saw.
        QuoteDecided: it was declined or superseded.
    """
    parameters = {"quote_id": quote_id, "user_id": user_id, "amount_cents": approval.amount_cents}
    database.transaction(lambda connection: _approve(connection, parameters))
    return quote(database, user_id, quote_id)


def _approve(connection: psycopg.Connection[Row], parameters: Row) -> None:
    if connection.execute(_LOCK, parameters).fetchone() is None:
        raise QuoteNotFound
    approved = connection.execute(_APPROVE, parameters).fetchone()
    if approved is None:
        _refuse_approval(connection.execute(_STATE, parameters).fetchone(), parameters["amount_cents"])
        return
    connection.execute(_SUPERSEDE, {**parameters, **approved})  # any number of them
    owe_escalation(connection, approved["session_id"])


def _refuse_approval(state: Row | None, seen: int | None) -> None:
    """Raise why a quote was not approved, unless it was approved before."""
    if state is None:
        raise QuoteNotFound
    if state["status"] == "requested":
        raise QuoteNotGiven
    if state["status"] not in ("given", "approved"):
        raise QuoteDecided(state["status"])
    if seen is not None and seen != state["amount_cents"]:
        raise QuoteChanged(state["amount_cents"])
    if state["status"] == "given":
        raise SessionBusy  # the amount was named just now


def decline(database: Database, user_id: UUID, quote_id: UUID) -> Quote:
    """Decline a quote, with or without an amount. Repeating it changes nothing.

    Args:
        user_id: the `sub` of the session's customer.
        quote_id: which quote.

    Raises:
        QuoteNotFound: there is no such quote, or the session is another customer's.
        QuoteDecided: it was approved or superseded.
    """
    parameters = {"quote_id": quote_id, "user_id": user_id}
    if database.execute(_DECLINE, parameters) == 0:
        state = database.one(_STATE, parameters)
        if state is None:
            raise QuoteNotFound
        if state["status"] != "declined":
            raise QuoteDecided(state["status"])
    return quote(database, user_id, quote_id)
