"""GET /api/admin/cases: what waits for an admin's decision about money, and everything about one session's money.

A case is a contest, a session whose evidence came late (autodoctor.admin.settlements), or a share of a quote that an
admin has to release (autodoctor.admin.payouts).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, LiteralString
from uuid import UUID

from pydantic import TypeAdapter

from autodoctor.admin.payouts import AdminPayout, of_session
from autodoctor.contests.contests import Contest, session_contest
from autodoctor.db import Database
from autodoctor.errors import SessionNotFound
from autodoctor.ids import FIRST
from autodoctor.web.paging import cursor_of, page_size, place_of
from autodoctor.web.schemas import ResponseModel, Utc

type CaseKind = Literal["contest", "late_evidence", "escalation"]

MOST_ROWS: Final = 200
"""Rows of the ledger in one answer; a session has about ten."""

_PLACES: Final = TypeAdapter[tuple[datetime, UUID]](tuple[datetime, UUID])
_START: Final = (datetime.fromisoformat("0001-01-01T00:00:00+00:00"), FIRST)


class Case(ResponseModel):
    """Something to decide.

    Attributes:
        since: when it began to wait.
        cents: what is at stake: the price, or the share of a quote.
        answered: whether the mechanic answered a contest.
    """

    session_id: UUID
    kind: CaseKind
    since: Utc
    customer_name: str
    mechanic_name: str | None
    plan: str
    funding: str
    cents: int
    credits: int
    currency: str
    answered: bool


class Cases(ResponseModel):
    """One page of what waits for a decision, oldest first."""

    cases: list[Case]
    next_cursor: str | None


class CasePayment(ResponseModel):
    """The payment of a session by card.

    Attributes:
        status: of the page at Stripe; unfulfillable: paid, and never became a session.
        stripe_url: the payment in Stripe's dashboard, where its refunds and disputes are too.
    """

    status: Literal["open", "processing", "paid", "failed", "expired", "unfulfillable"]
    amount_cents: int
    stripe_session_id: str | None
    stripe_payment_intent_id: str | None
    stripe_url: str | None
    created_at: Utc


class CaseDispute(ResponseModel):
    """A dispute of the payment at the customer's bank.

    Attributes:
        status: as Stripe names it.
        taken_cents: what Stripe has taken from us for it and not given back.
    """

    stripe_dispute_id: str
    status: str
    amount_cents: int
    taken_cents: int
    stripe_url: str
    created_at: Utc
    updated_at: Utc


class CaseRefund(ResponseModel):
    """Money that goes back to the customer's card."""

    kind: Literal["session", "contest", "unfulfillable"]
    amount_cents: int
    state: str
    waits_for: str | None
    last_error: str | None
    created_at: Utc
    sent_at: Utc | None
    stripe_refund_id: str | None


class LateDemand(ResponseModel):
    """What evidence that came after the verdict demands.

    Attributes:
        facts: status, reason and seconds together, as they stand and as they are demanded.
    """

    demanded: Literal["completed", "cancelled"]
    facts: dict[str, Any]
    held_at: Utc
    outcome: Literal["pay", "refund"] | None
    note: str | None
    decided_at: Utc | None


class CaseBooking(ResponseModel):
    """A row of the ledger, in whole cents or credits."""

    at: Utc
    kind: str
    debit_account: str
    credit_account: str
    amount: int
    currency: str


class SessionCase(ResponseModel):
    """Everything about the money of one session.

    Attributes:
        settled: where its money went: pay, refund, return or nothing; null: it is not settled.
        refunded_cents: what went back to the card so far, by us, by hand or by lost disputes.
    """

    session_id: UUID
    funding: str
    price_cents: int
    credits: int
    currency: str
    settled: Literal["pay", "refund", "return", "nothing"] | None
    refunded_cents: int
    open_until: Utc | None
    contest: Contest | None
    late_evidence: LateDemand | None
    payment: CasePayment | None
    disputes: list[CaseDispute]
    payouts: list[AdminPayout]
    refunds: list[CaseRefund]
    ledger: list[CaseBooking]


_CASES: Final[LiteralString] = """
SELECT w.session_id, w.kind, w.since, i.customer_name, m.name AS mechanic_name, i.plan_code AS plan, i.funding,
       coalesce(w.cents, i.price_cents) AS cents, i.credits, i.currency, w.answered
  FROM (
    SELECT session_id, 'contest' AS kind, contested_at AS since, NULL::bigint AS cents, answer IS NOT NULL AS answered
      FROM contests WHERE outcome IS NULL
    UNION ALL
    SELECT session_id, 'late_evidence', held_at, NULL, false FROM settlement_holds WHERE outcome IS NULL
    UNION ALL
    SELECT p.session_id, 'escalation', h.held_at, p.amount_cents, false
      FROM payout_holds h JOIN payouts p ON p.id = h.payout_id
     WHERE h.released_at IS NULL AND h.reason = 'escalation' AND p.state IN ('due', 'held', 'sending', 'failed')
  ) AS w
  JOIN sessions s ON s.id = w.session_id
  JOIN intakes i ON i.id = s.id
  LEFT JOIN mechanics m ON m.id = s.mechanic_id
 WHERE (w.since, w.session_id) > (%(since)s, %(session_id)s)
 ORDER BY w.since, w.session_id LIMIT %(limit)s + 1
"""
_MONEY: Final[LiteralString] = """
SELECT i.id AS session_id, s.id IS NOT NULL AS began, i.funding, i.price_cents, i.credits, i.currency,
       st.outcome AS settled,
       coalesce((SELECT sum(l.cents) FROM losses l
                  WHERE l.payment_intent_id = c.stripe_payment_intent_id AND l.effective), 0)::bigint AS refunded_cents,
       CASE WHEN c.id IS NOT NULL THEN jsonb_build_object(
         'status', c.status, 'amount_cents', c.amount_cents, 'stripe_session_id', c.stripe_session_id,
         'stripe_payment_intent_id', c.stripe_payment_intent_id, 'created_at', c.created_at,
         'stripe_url', stripe_page('payments', c.stripe_payment_intent_id)) END AS payment,
       to_jsonb(h) - '{session_id,decided_by,change_id}'::text[] AS late_evidence
  FROM intakes i
  LEFT JOIN sessions s ON s.id = i.id
  LEFT JOIN settlements st ON st.session_id = i.id
  LEFT JOIN checkouts c ON c.intake_id = i.id
  LEFT JOIN settlement_holds h ON h.session_id = i.id
 WHERE i.id = %(session_id)s
"""
_REFUNDS: Final[LiteralString] = """
SELECT kind, amount_cents, state, waits_for, last_error, created_at, sent_at, stripe_refund_id
  FROM refunds WHERE intake_id = %(session_id)s ORDER BY id
"""
_DISPUTES: Final[LiteralString] = """
SELECT d.id AS stripe_dispute_id, d.status, d.amount_cents, d.withdrawn_cents - d.reinstated_cents AS taken_cents,
       stripe_page('disputes', d.id) AS stripe_url, d.created_at, d.updated_at
  FROM checkouts c JOIN stripe_disputes d ON d.payment_intent_id = c.stripe_payment_intent_id
 WHERE c.intake_id = %(session_id)s ORDER BY d.created_at, d.id
"""
_LEDGER: Final[LiteralString] = """
SELECT created_at AS at, kind, debit_account, credit_account, amount, currency FROM ledger_transfer
 WHERE intake_id = %(session_id)s ORDER BY id LIMIT %(most)s
"""


def cases(database: Database, query: Mapping[str, str]) -> Cases:
    """A page of what waits for a decision.

    Args:
        database: as the application role.
        query: of the URL: limit (1 to 100; 20 if absent) and cursor.

    Raises:
        Unprocessable: one of them is invalid.
    """
    size = page_size(query.get("limit"))
    since, session_id = place_of(query.get("cursor"), _PLACES, _START)
    rows = database.all(_CASES, {"since": since, "session_id": session_id, "limit": size})
    found = [Case.model_validate(row) for row in rows[:size]]
    more = len(rows) > size
    return Cases(cases=found, next_cursor=cursor_of((found[-1].since, found[-1].session_id), _PLACES) if more else None)


def session_case(database: Database, admin_id: UUID, session_id: UUID) -> SessionCase:
    """The money of a session, and what was or is to be decided about it.

    Args:
        database: as the application role.
        admin_id: the admin's `sub`.
        session_id: the session, or a paid intake that never became one.

    Raises:
        SessionNotFound: there is none with this id.
    """
    values = {"session_id": session_id, "most": MOST_ROWS}
    row = database.one(_MONEY, values)
    if row is None:
        raise SessionNotFound
    contested = session_contest(database, admin_id, session_id, any_session=True) if row["began"] else None
    return SessionCase.model_validate(
        {
            **row,
            "open_until": contested and contested.open_until,
            "contest": contested and contested.contest,
            "payouts": of_session(database, session_id),
            "disputes": database.all(_DISPUTES, values),
            "refunds": database.all(_REFUNDS, values),
            "ledger": database.all(_LEDGER, values),
        }
    )
