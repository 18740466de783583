"""Reads our books and the copy of Stripe's statement side by side, page by page and subject by subject."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.ids import FIRST
from autodoctor.payments.reconcile.statement import Flow

PAGE: Final = 300

# One row per movement. The sums are over its whole subject, including movements and ledger rows on other pages.
_BESIDE: Final[LiteralString] = """
WITH page AS MATERIALIZED (
  SELECT * FROM stripe_movements m
   WHERE (m.happened_at, m.id) > (%(after)s::timestamptz, %(after_id)s) ORDER BY m.happened_at, m.id LIMIT %(limit)s
)
SELECT p.id, p.type, p.flow, p.source, p.subject, p.amount, p.fee, p.currency, p.livemode, p.happened_at,
       p.payment_intent_id, p.transfer_id, p.payout_id, p.intake_id, p.checkout_id, p.charge_id,
       stated.amount AS at_stripe, stated.sources, back.amount AS gone_back,
       booked.amount AS booked, fee.amount AS fee_booked,
       CASE WHEN checkout.status = 'processing' AND checkout.late_since + late_answer_time() > clock_timestamp()
            THEN 'late' ELSE checkout.status END AS checkout_status, checkout.kind AS checkout_kind,
       payout.state AS payout_state,
       p.claimed OR CASE p.flow
         WHEN 'transfer' THEN payout.id IS NOT NULL
                              OR EXISTS (SELECT FROM mechanic_accounts a WHERE a.stripe_account_id = p.destination)
         WHEN 'reversal' THEN EXISTS (SELECT FROM payouts s WHERE s.stripe_transfer_id = p.transfer_id)
                              OR EXISTS (SELECT FROM stripe_movements t
                                          WHERE t.source = p.transfer_id AND t.flow = 'transfer' AND (t.claimed
                                             OR EXISTS (SELECT FROM payouts s WHERE s.id = t.payout_id)
                                             OR EXISTS (SELECT FROM mechanic_accounts a
                                                         WHERE a.stripe_account_id = t.destination)))
         WHEN 'charge' THEN checkout.id IS NOT NULL
         ELSE checkout.id IS NOT NULL
              OR EXISTS (SELECT FROM stripe_movements c
                          WHERE c.source = p.charge_id AND c.flow = 'charge' AND c.claimed)
       END IS TRUE AS ours,
       greatest(stated.newest, booked.newest) > %(settled)s AS in_flight,
       p.happened_at > %(fees_settled)s AS fee_in_flight,
       coalesce(greatest(stated.newest, booked.newest) >= %(since)s, false) AS wanted
  FROM page p
 CROSS JOIN LATERAL (
   SELECT sum(o.amount)::bigint AS amount, count(DISTINCT o.source) AS sources, max(o.happened_at) AS newest
     FROM stripe_movements o WHERE o.subject = p.subject) AS stated
 CROSS JOIN LATERAL (
   SELECT sum(CASE WHEN t.debit_account = 'stripe' THEN t.amount ELSE -t.amount END)::bigint AS amount,
          max(t.created_at) AS newest
     FROM ledger_transfer t
    WHERE statement_subject(t.key) = p.subject
      AND (t.debit_account = 'stripe' OR t.credit_account = 'stripe')) AS booked
 CROSS JOIN LATERAL (
   SELECT sum(CASE WHEN t.debit_account = 'stripe' THEN t.amount ELSE -t.amount END)::bigint AS amount
     FROM ledger_transfer t
    WHERE statement_subject(t.key) = 'fee:' || p.id
      AND (t.debit_account = 'stripe' OR t.credit_account = 'stripe')) AS fee
  LEFT JOIN LATERAL (
   SELECT c.* FROM checkouts c
    WHERE c.stripe_payment_intent_id = p.payment_intent_id OR c.id = p.checkout_id
    ORDER BY c.id = p.checkout_id DESC NULLS LAST LIMIT 1) AS checkout ON true
  LEFT JOIN payouts payout ON payout.id = p.payout_id
  LEFT JOIN LATERAL (
   SELECT sum(r.amount)::bigint AS amount FROM stripe_movements r
    WHERE r.charge_id = p.source AND p.flow = 'charge' AND checkout.status = 'unfulfillable') AS back ON true
 ORDER BY p.happened_at, p.id
"""

# Rows of the ledger's account `stripe`, debits and credits apart, as the indexes are.
_ROWS_OF: Final[LiteralString] = """
WITH page AS MATERIALIZED (
  SELECT t.id, t.key, t.kind, t.amount, t.created_at, statement_subject(t.key) AS subject
    FROM ledger_transfer t WHERE t.id > %(after)s AND t."""
_BESIDE_STATED: Final[LiteralString] = """ = 'stripe' ORDER BY t.id LIMIT %(limit)s
)
SELECT p.id, p.key, p.kind, p.amount, p.subject,
       p.created_at <= %(settled)s AS settled, p.created_at >= %(since)s AS wanted,
       CASE WHEN p.subject LIKE 'fee:%%' THEN EXISTS (SELECT FROM stripe_movements m WHERE m.id = substr(p.subject, 5))
            ELSE EXISTS (SELECT FROM stripe_movements m WHERE m.subject = p.subject) END AS stated,
       (SELECT CASE WHEN r.failed THEN 'failed' WHEN r.pending THEN 'pending' END FROM stripe_refunds r
         WHERE p.subject = 'refund:' || r.id AND r.id = substr(p.subject, 8)) AS refund
  FROM page p ORDER BY p.id
"""
_DEBITS: Final[LiteralString] = _ROWS_OF + "debit_account" + _BESIDE_STATED
_CREDITS: Final[LiteralString] = _ROWS_OF + "credit_account" + _BESIDE_STATED

_DISPUTES: Final[LiteralString] = """
SELECT t.id, statement_subject(t.key) AS subject, t.created_at
  FROM ledger_transfer t
 WHERE t.debit_account = 'disputed' AND t.kind = 'dispute' AND t.key = statement_subject(t.key) AND t.id > %(after)s
 ORDER BY t.id LIMIT %(limit)s
"""
_DISPUTED: Final[LiteralString] = """
SELECT statement_subject(t.key) AS subject,
       sum(CASE WHEN t.debit_account = 'disputed' THEN t.amount ELSE -t.amount END)::bigint AS amount
  FROM ledger_transfer t
 WHERE (t.debit_account = 'disputed' OR t.credit_account = 'disputed') AND statement_subject(t.key) = ANY (%(subjects)s)
 GROUP BY 1
"""
_PRESENT: Final[LiteralString] = "SELECT clock_timestamp() AS at"


@dataclass(frozen=True, slots=True)
class Pair:
    """A movement of Stripe's, and what our books have on its subject.

    Attributes:
        at_stripe: cents of all movements of the subject, without fees.
        sources: how many objects of Stripe's made these movements.
        gone_back: cents of an unfulfillable payment that were paid back or disputed, as a negative number.
        booked: cents of all ledger rows on the subject; None if there are none.
        fee_booked: the same of this movement's fee.
        checkout_status: of the checkout that was paid, or is paid back; None if we have no such checkout.
        payout_state: of the payout that it names; None if we have no such payout.
        ours: whether our metadata or our books claim it.
        in_flight: whether movement or rows are so recent that the other side may be on its way.
        wanted: whether it is recent enough to be compared.
    """

    id: str
    type: str
    flow: Flow | None
    source: str | None
    subject: str | None
    amount: int
    fee: int
    currency: str
    livemode: bool | None
    happened_at: datetime
    payment_intent_id: str | None
    charge_id: str | None
    transfer_id: str | None
    payout_id: UUID | None
    intake_id: UUID | None
    checkout_id: UUID | None
    at_stripe: int | None
    sources: int
    gone_back: int | None
    booked: int | None
    fee_booked: int | None
    checkout_status: str | None
    checkout_kind: str | None
    payout_state: str | None
    ours: bool
    in_flight: bool | None
    fee_in_flight: bool
    wanted: bool


@dataclass(frozen=True, slots=True)
class Booking:
    """A row of the ledger's account `stripe`.

    Attributes:
        came: cents that came in; negative if they went out.
        stated: whether Stripe's statement has anything on its subject.
        settled: whether it is old enough that the statement should have it.
        refund: pending or failed, of a refund whose money Stripe has not moved, or moved back or never; else None.
    """

    key: str
    kind: str
    subject: str
    came: int
    stated: bool
    settled: bool
    wanted: bool
    refund: Literal["pending", "failed"] | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The period that is compared: from `since` on. Subjects that moved after `settled` are left out."""

    since: datetime
    settled: datetime
    fees_settled: datetime


def present(database: Database) -> datetime:
    """The present, by the database's clock."""
    row = database.one(_PRESENT, ())
    assert row is not None  # noqa: S101 (a SELECT without FROM has a row)
    at: datetime = row["at"]
    return at


def pairs(database: Database, span: Span, start: datetime) -> Iterator[list[Pair]]:
    """Every movement from an instant on, oldest first, a page at a time."""
    after: Row = {"after": start, "after_id": ""}
    while True:
        rows = database.all(_BESIDE, {**_bounds(span), **after, "limit": PAGE})
        if not rows:
            return
        yield [Pair(**row) for row in rows]
        after = {"after": rows[-1]["happened_at"], "after_id": rows[-1]["id"]}


def bookings(database: Database, span: Span) -> Iterator[list[Booking]]:
    """Every row of the ledger that moves money at Stripe, a page at a time."""
    for statement, sign in ((_DEBITS, 1), (_CREDITS, -1)):
        after = FIRST
        while rows := database.all(statement, {**_bounds(span), "after": after, "limit": PAGE}):
            yield [_booking(row, sign) for row in rows]
            after = rows[-1]["id"]


def _booking(row: Row, sign: int) -> Booking:
    return Booking(came=sign * row["amount"], **{name: row[name] for name in _OF_BOOKING})


_OF_BOOKING: Final = ("key", "kind", "subject", "stated", "settled", "wanted", "refund")


def open_disputes(database: Database) -> Iterator[list[Row]]:
    """Disputes that are open in the ledger: subject, amount in cents and created_at, a page at a time."""
    after = FIRST
    while rows := database.all(_DISPUTES, {"after": after, "limit": PAGE}):
        sums = database.all(_DISPUTED, {"subjects": [row["subject"] for row in rows]})
        amounts = {each["subject"]: each["amount"] for each in sums}
        yield [{**row, "amount": amount} for row in rows if (amount := amounts[row["subject"]])]
        after = rows[-1]["id"]


def _bounds(span: Span) -> Row:
    return {"since": span.since, "settled": span.settled, "fees_settled": span.fees_settled}
