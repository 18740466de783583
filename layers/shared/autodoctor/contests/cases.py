"""GET /api/admin/cases: what waits for an admin's decision about money, and everything about one session's money.

A case is a contest, a session whose evidence came late (autodoctor.admin.settlements), a share of a quote that an admin
has to release (autodoctor.admin.payouts), or a dispute that nobody has answered (autodoctor.disputes.cases).
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

type CaseKind = Literal["contest", "late_evidence", "escalation", "dispute"]

MOST_ROWS: Final = 200
"""Rows of the ledger in one answer; a session has about ten."""

_PLACES: Final = TypeAdapter[tuple[datetime, UUID]](tuple[datetime, UUID])
_START: Final = (datetime.fromisoformat("0001-01-01T00:00:00+00:00"), FIRST)


class Case(ResponseModel):
    """Something to decide.

    Attributes:
        session_id: null for the dispute of a payment that no session came of, such as for credits.
        evidence_id: of a dispute, by which it is read and sent.
        since: when it began to wait.
        due_by: until when a dispute can be answered.
        customer_name: null where no request gave one.
        plan: its code; for a dispute without a session, what was bought.
        cents: what is at stake: the price, or the share of a quote.
        answered: whether the mechanic answered a contest, or Stripe has the evidence of a dispute.
    """

    session_id: UUID | None
    evidence_id: UUID | None
    kind: CaseKind
    since: Utc
    due_by: Utc | None
    customer_name: str | None
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
        evidence_id: of our answer to it; null: there is none yet.
    """

    stripe_dispute_id: str
    status: str
    amount_cents: int
    taken_cents: int
    evidence_id: UUID | None
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
SELECT w.session_id, w.evidence_id, w.kind, w.since, w.due_by, coalesce(i.customer_name, cu.name) AS customer_name,
       m.name AS mechanic_name, coalesce(i.plan_code, c.title) AS plan, coalesce(i.funding, 'card') AS funding,
       coalesce(w.cents, i.price_cents) AS cents, coalesce(i.credits, 0) AS credits,
       coalesce(i.currency, c.currency) AS currency, w.answered, w.id
  FROM (
    SELECT session_id AS id, session_id, NULL::uuid AS evidence_id, NULL::uuid AS checkout_id, 'contest' AS kind,
           contested_at AS since, NULL::timestamptz AS due_by, NULL::bigint AS cents, answer IS NOT NULL AS answered
      FROM contests WHERE outcome IS NULL
    UNION ALL
    SELECT session_id, session_id, NULL, NULL, 'late_evidence', held_at, NULL, NULL, false
      FROM settlement_holds WHERE outcome IS NULL
    UNION ALL
    SELECT p.session_id, p.session_id, NULL, NULL, 'escalation', h.held_at, NULL, p.amount_cents, false
      FROM payout_holds h JOIN payouts p ON p.id = h.payout_id
     WHERE h.released_at IS NULL AND h.reason = 'escalation' AND p.state IN ('due', 'held', 'sending', 'failed')
    UNION ALL
    SELECT e.id, (SELECT s.id FROM sessions s LEFT JOIN session_extensions x ON x.intake_id = k.intake_id
                   WHERE s.id = coalesce(x.session_id, k.intake_id)), e.id,
           e.checkout_id, 'dispute', e.created_at, e.due_by, k.amount_cents, e.state = 'staged'
      FROM dispute_evidence e JOIN checkouts k ON k.id = e.checkout_id
     WHERE e.state IN ('due', 'sending', 'staged', 'failed') AND (NOT e.sends OR e.state = 'failed')
  ) AS w
  LEFT JOIN sessions s ON s.id = w.session_id
  LEFT JOIN intakes i ON i.id = s.id
  LEFT JOIN checkouts c ON c.id = w.checkout_id
  LEFT JOIN customers cu ON cu.user_id = c.user_id
  LEFT JOIN mechanics m ON m.id = s.mechanic_id
 WHERE (w.since, w.id) > (%(since)s, %(id)s)
 ORDER BY w.since, w.id LIMIT %(limit)s + 1
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
       stripe_page('disputes', d.id) AS stripe_url, d.created_at, d.updated_at, e.id AS evidence_id
  FROM checkouts c JOIN stripe_disputes d ON d.payment_intent_id = c.stripe_payment_intent_id
  LEFT JOIN dispute_evidence e ON e.dispute_id = d.id
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
    since, last_id = place_of(query.get("cursor"), _PLACES, _START)
    rows = database.all(_CASES, {"since": since, "id": last_id, "limit": size})
    found = [Case.model_validate(row) for row in rows[:size]]
    last = rows[size - 1] if len(rows) > size else None
    return Cases(cases=found, next_cursor=cursor_of((last["since"], last["id"]), _PLACES) if last is not None else None)


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
