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
        cents: what is at stake: what was paid, or the share of a quote.
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
    """The payment by card of a session, or of more minutes.

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


class CaseExtension(ResponseModel):
    """Minutes that were added to the session, and what was paid for them.

    Attributes:
        settled: pay: they were used; refund or return: it goes back; null: they did not run, or are not settled.
        refunded_cents: what went back to the card so far.
        refund_cents: what goes back of it after a contest, in cents; `refund_credits` the same in credits.
    """

    extension_id: UUID
    minutes: int
    status: str
    funding: str
    price_cents: int
    credits: int
    settled: Literal["pay", "refund", "return"] | None
    refunded_cents: int
    refund_cents: int | None
    refund_credits: int | None
    payment: CasePayment | None


class CaseDispute(ResponseModel):
    """A dispute of the payment at the customer's bank.

    Attributes:
        extension_id: whose payment it is; null: the session's own.
        status: as Stripe names it.
        taken_cents: what Stripe has taken from us for it and not given back.
        evidence_id: of our answer to it; null: there is none yet.
    """

    stripe_dispute_id: str
    extension_id: UUID | None
    status: str
    amount_cents: int
    taken_cents: int
    evidence_id: UUID | None
    stripe_url: str
    created_at: Utc
    updated_at: Utc


class CaseRefund(ResponseModel):
    """Money that goes back to the customer's card; `extension_id` as of a dispute."""

    kind: Literal["session", "contest", "unfulfillable", "extension"]
    extension_id: UUID | None
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
        funding: of its own price, as all that follows until `payment`; what is of its extensions stands with them.
        settled: where its money went: pay, refund, return or nothing; null: it is not settled.
        refunded_cents: what went back to the card so far, by us, by hand or by lost disputes.
        refund_cents: what of its own price goes back after a contest, in cents; `refund_credits` the same in credits.
        contestable_cents: what a contest is about of payments by card: its own price, and those of extensions that
            were used; `contestable_credits` the same of what was paid with credits. Null: nothing was paid so.
        disputes: of its payment and those of its extensions, like refunds and ledger.
    """

    session_id: UUID
    funding: str
    price_cents: int
    credits: int
    currency: str
    settled: Literal["pay", "refund", "return", "nothing"] | None
    refunded_cents: int
    refund_cents: int | None
    refund_credits: int | None
    contestable_cents: int | None
    contestable_credits: int | None
    extensions: list[CaseExtension]
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
    (SELECT session_id AS id, session_id, NULL::uuid AS evidence_id, NULL::uuid AS checkout_id, 'contest' AS kind,
            contested_at AS since, NULL::timestamptz AS due_by,
            (SELECT sum(p.price_cents) FROM contested_prices(session_id) AS p) AS cents, answer IS NOT NULL AS answered
       FROM contests WHERE outcome IS NULL AND (contested_at, session_id) > (%(since)s, %(id)s)
      ORDER BY contested_at, session_id LIMIT %(limit)s + 1)
    UNION ALL
    (SELECT session_id, session_id, NULL, NULL, 'late_evidence', held_at, NULL, NULL, false
       FROM settlement_holds WHERE outcome IS NULL AND (held_at, session_id) > (%(since)s, %(id)s)
      ORDER BY held_at, session_id LIMIT %(limit)s + 1)
    UNION ALL
    (SELECT p.session_id, p.session_id, NULL, NULL, 'escalation', h.held_at, NULL, p.amount_cents, false
       FROM payout_holds h JOIN payouts p ON p.id = h.payout_id
      WHERE h.released_at IS NULL AND h.reason = 'escalation' AND p.state IN ('due', 'held', 'sending', 'failed')
        AND h.held_at >= %(since)s AND (h.held_at, p.session_id) > (%(since)s, %(id)s)
      ORDER BY h.held_at, p.session_id LIMIT %(limit)s + 1)
    UNION ALL
    (SELECT e.id, (SELECT s.id FROM sessions s WHERE s.id = coalesce(
                      (SELECT x.session_id FROM session_extensions x WHERE x.intake_id = k.intake_id), k.intake_id)),
            e.id, e.checkout_id, 'dispute', e.created_at, e.due_by, k.amount_cents, e.state = 'staged'
       FROM dispute_evidence e JOIN checkouts k ON k.id = e.checkout_id
      WHERE e.state IN ('due', 'sending', 'staged', 'failed') AND (NOT e.sends OR e.state = 'failed')
        AND (e.created_at, e.id) > (%(since)s, %(id)s)
      ORDER BY e.created_at, e.id LIMIT %(limit)s + 1)
  ) AS w
  LEFT JOIN sessions s ON s.id = w.session_id
  LEFT JOIN intakes i ON i.id = s.id
  LEFT JOIN checkouts c ON c.id = w.checkout_id
  LEFT JOIN customers cu ON cu.user_id = c.user_id
  LEFT JOIN mechanics m ON m.id = s.mechanic_id
 ORDER BY w.since, w.id LIMIT %(limit)s + 1
"""
_OF_INTAKE: Final[LiteralString] = """
       coalesce((SELECT sum(l.cents) FROM losses l
                  WHERE l.payment_intent_id = c.stripe_payment_intent_id AND l.effective), 0)::bigint AS refunded_cents,
       d.cents AS refund_cents, d.credits AS refund_credits,
       CASE WHEN c.id IS NOT NULL THEN jsonb_build_object(
         'status', c.status, 'amount_cents', c.amount_cents, 'stripe_session_id', c.stripe_session_id,
         'stripe_payment_intent_id', c.stripe_payment_intent_id, 'created_at', c.created_at,
         'stripe_url', stripe_page('payments', c.stripe_payment_intent_id)) END AS payment
"""
_MONEY: Final[LiteralString] = (
    """
SELECT i.id AS session_id, s.id IS NOT NULL AS began, i.funding, i.price_cents, i.credits, i.currency,
       st.outcome AS settled, p.contestable_cents, p.contestable_credits,
       to_jsonb(h) - '{session_id,decided_by,change_id}'::text[] AS late_evidence,
"""
    + _OF_INTAKE
    + """
  FROM intakes i
  LEFT JOIN sessions s ON s.id = i.id
  LEFT JOIN settlements st ON st.session_id = i.id
  LEFT JOIN checkouts c ON c.intake_id = i.id
  LEFT JOIN contest_parts d ON d.intake_id = i.id
  LEFT JOIN settlement_holds h ON h.session_id = i.id
 CROSS JOIN LATERAL (
   SELECT (sum(price_cents) FILTER (WHERE funding = 'card'))::bigint AS contestable_cents,
          (sum(credits) FILTER (WHERE funding = 'credit'))::bigint AS contestable_credits
     FROM contested_prices(i.id)) AS p
 WHERE i.id = %(session_id)s
"""
)
_EXTENSIONS: Final[LiteralString] = (
    """
SELECT x.id AS extension_id, x.minutes, x.status, x.pay_with AS funding, x.price_cents, x.credits, e.outcome AS settled,
"""
    + _OF_INTAKE
    + """
  FROM session_extensions x
  LEFT JOIN extension_settlements e ON e.extension_id = x.id
  LEFT JOIN checkouts c ON c.intake_id = x.intake_id
  LEFT JOIN contest_parts d ON d.intake_id = x.intake_id
 WHERE x.session_id = %(session_id)s AND x.intake_id IS NOT NULL ORDER BY x.id
"""
)
_PAID: Final[LiteralString] = """
WITH paid AS (
  SELECT %(session_id)s::uuid AS intake_id, NULL::uuid AS extension_id
  UNION ALL SELECT x.intake_id, x.id FROM session_extensions x WHERE x.session_id = %(session_id)s
)
"""
_REFUNDS: Final[LiteralString] = (
    _PAID
    + """
SELECT r.kind, p.extension_id, r.amount_cents, r.state, r.waits_for, r.last_error, r.created_at, r.sent_at,
       r.stripe_refund_id
  FROM paid p JOIN refunds r ON r.intake_id = p.intake_id ORDER BY r.id
"""
)
_DISPUTES: Final[LiteralString] = (
    _PAID
    + """
SELECT d.id AS stripe_dispute_id, p.extension_id, d.status, d.amount_cents,
       d.withdrawn_cents - d.reinstated_cents AS taken_cents, stripe_page('disputes', d.id) AS stripe_url, d.created_at,
       d.updated_at, e.id AS evidence_id
  FROM paid p JOIN checkouts c ON c.intake_id = p.intake_id
  JOIN stripe_disputes d ON d.payment_intent_id = c.stripe_payment_intent_id
  LEFT JOIN dispute_evidence e ON e.dispute_id = d.id
 ORDER BY d.created_at, d.id
"""
)
_LEDGER: Final[LiteralString] = (
    _PAID
    + """
SELECT t.created_at AS at, t.kind, t.debit_account, t.credit_account, t.amount, t.currency
  FROM paid p JOIN ledger_transfer t ON t.intake_id = p.intake_id ORDER BY t.id LIMIT %(most)s
"""
)


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
            "extensions": database.all(_EXTENSIONS, values),
            "payouts": of_session(database, session_id),
            "disputes": database.all(_DISPUTES, values),
            "refunds": database.all(_REFUNDS, values),
            "ledger": database.all(_LEDGER, values),
        }
    )
