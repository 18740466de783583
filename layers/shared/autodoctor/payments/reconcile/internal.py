"""Checks our books by themselves: what every settlement should have come to, and impossible balances.

The amounts are worked out from the intake's price and shares, in SQL and by another method than domain/money.py.
"""

from collections.abc import Iterator
from typing import Final, LiteralString

from autodoctor.db import Database, Row
from autodoctor.ids import FIRST
from autodoctor.payments.reconcile.books import Span
from autodoctor.payments.reconcile.report import Difference

PAGE: Final = 300
MECHANICS: Final = 10
"""Mechanics per page: the whole account of each is added up."""
_TOO_MUCH: Final = "more was taken out than was held"

_SETTLEMENTS: Final[LiteralString] = """
WITH page AS MATERIALIZED (
  SELECT * FROM settlements st
   WHERE st.session_id > %(after)s AND (%(everything)s OR st.decided_at >= %(since)s)
   ORDER BY st.session_id LIMIT %(limit)s
), sold AS (
  SELECT p.session_id, p.outcome, p.decided_at <= %(settled)s AS settled, s.status, s.mechanic_id,
         i.funding, i.price_cents, i.referrer_id,
         s.status = 'completed' AND (i.funding <> 'free' OR i.mechanic_fixed_pay_cents > 0) AS pays,
         CASE WHEN i.funding = 'free' THEN i.mechanic_fixed_pay_cents
              ELSE share_of(i.price_cents, i.mechanic_share_bp) END AS earned,
         CASE WHEN i.funding = 'free' THEN 0 ELSE share_of(i.price_cents, coalesce(i.referral_bp, 0)) END AS referred
    FROM page p JOIN sessions s ON s.id = p.session_id JOIN intakes i ON i.id = p.session_id
)
SELECT o.session_id, o.outcome, o.settled,
       CASE WHEN o.status = 'completed' THEN CASE WHEN o.pays THEN 'pay' ELSE 'nothing' END
            ELSE CASE o.funding WHEN 'card' THEN 'refund' WHEN 'credit' THEN 'return' ELSE 'nothing' END END AS decides,
       (o.pays::integer * o.earned)::bigint AS earns,
       (o.pays::integer * least(o.referred, greatest(o.price_cents - o.earned, 0)))::bigint AS refers,
       CASE WHEN o.status <> 'completed' AND o.funding = 'card' THEN o.price_cents ELSE 0 END::bigint AS goes_back,
       coalesce((SELECT sum(p.amount_cents) FROM payouts p WHERE p.session_id = o.session_id AND p.kind = 'session'
                   AND p.mechanic_id = o.mechanic_id), 0)::bigint AS earned,
       coalesce((SELECT sum(p.amount_cents) FROM payouts p WHERE p.session_id = o.session_id AND p.kind = 'referral'
                   AND p.mechanic_id = o.referrer_id), 0)::bigint AS referred,
       coalesce((SELECT sum(r.amount_cents) FROM refunds r
                  WHERE r.intake_id = o.session_id AND r.kind = 'session'), 0)::bigint AS owed_back,
       (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
         WHERE t.intake_id = o.session_id AND t.kind IN ('earning', 'fixed_pay'))::bigint AS booked_earned,
       (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
         WHERE t.credit_account = 'session:' || o.session_id || ':held')::bigint
       - (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
           WHERE t.debit_account = 'session:' || o.session_id || ':held')::bigint AS held,
       (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
         WHERE t.credit_account = 'session:' || o.session_id || ':credits')::bigint
       - (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
           WHERE t.debit_account = 'session:' || o.session_id || ':credits')::bigint AS credits_held,
       o.outcome <> 'refund' OR EXISTS (SELECT FROM refunds r
         WHERE r.intake_id = o.session_id AND r.state IN ('sent', 'returned') AND r.sent_at <= %(settled)s) AS over
  FROM sold o ORDER BY o.session_id
"""

# Once a payment without a session, or for minutes that were not used, is paid back, nothing may be held for it.
_UNFULFILLED: Final[LiteralString] = """
WITH page AS MATERIALIZED (
  SELECT r.id, r.intake_id, r.state IN ('sent', 'returned') AND r.sent_at <= %(settled)s AS over
    FROM refunds r WHERE r.kind IN ('unfulfillable', 'extension') AND r.id > %(after)s ORDER BY r.id LIMIT %(limit)s)
SELECT p.id, p.intake_id, p.over IS TRUE AS over,
       (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
         WHERE t.credit_account = 'session:' || p.intake_id || ':held')::bigint
       - (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
           WHERE t.debit_account = 'session:' || p.intake_id || ':held')::bigint AS held
  FROM page p ORDER BY p.id
"""

# A mechanic's payable is the part of their payouts that we still have (sql/money/0012_outgoing.sql).
_MECHANICS: Final[LiteralString] = """
WITH page AS MATERIALIZED (SELECT m.id FROM mechanics m WHERE m.id > %(after)s ORDER BY m.id LIMIT %(limit)s)
SELECT p.id, 'mechanic:' || p.id || ':payable' AS account,
       (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
         WHERE t.credit_account = 'mechanic:' || p.id || ':payable')::bigint
       - (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
           WHERE t.debit_account = 'mechanic:' || p.id || ':payable')::bigint AS payable,
       (SELECT coalesce(sum(o.amount_cents - o.withheld_cents - o.netted_cents - o.sent_cents + o.reversed_cents), 0)
          FROM payouts o
         WHERE o.mechanic_id = p.id)::bigint AS with_us
  FROM page p ORDER BY p.id
"""

# Whether a row says that money was sent of which neither ledger nor Stripe has anything. What Stripe alone has is found
# by books.py.
_SENT: Final[LiteralString] = """
WITH page AS MATERIALIZED (
  SELECT p.id, 'payout:' || p.id || ':transfer' AS subject, p.stripe_transfer_id AS stripe_id,
         p.state IN ('sent', 'reversed') AND p.sent_at BETWEEN %(since)s AND %(settled)s AS asked
    FROM payouts p WHERE p.id > %(after)s ORDER BY p.id LIMIT %(limit)s)
SELECT p.id, p.subject, p.stripe_id,
       p.asked IS TRUE AND NOT EXISTS (SELECT FROM ledger_transfer t WHERE t.key = p.subject)
         AND NOT EXISTS (SELECT FROM stripe_movements m WHERE m.subject = p.subject) AS nowhere
  FROM page p ORDER BY p.id
"""
_PAID_BACK: Final[LiteralString] = """
WITH page AS MATERIALIZED (
  SELECT r.id, 'refund:' || r.stripe_refund_id AS subject, r.stripe_refund_id AS stripe_id,
         r.state = 'sent' AND r.stripe_refund_id IS NOT NULL
           AND r.sent_at BETWEEN %(since)s AND %(settled)s AS asked
    FROM refunds r WHERE r.id > %(after)s ORDER BY r.id LIMIT %(limit)s)
SELECT p.id, p.subject, p.stripe_id,
       p.asked IS TRUE AND NOT EXISTS (SELECT FROM ledger_transfer t WHERE statement_subject(t.key) = p.subject
                                  AND (t.debit_account = 'stripe' OR t.credit_account = 'stripe'))
         AND NOT EXISTS (SELECT FROM stripe_movements m WHERE m.subject = p.subject) AS nowhere
  FROM page p ORDER BY p.id
"""
_PAID: Final[LiteralString] = """
WITH page AS MATERIALIZED (
  SELECT c.id, CASE c.kind WHEN 'pack' THEN 'pack:' || c.id || ':sale'
                           ELSE 'session:' || c.intake_id || ':charge' END AS subject,
         c.stripe_payment_intent_id AS stripe_id,
         c.status = 'paid' AND c.created_at BETWEEN %(since)s AND %(settled)s AS asked
    FROM checkouts c WHERE c.id > %(after)s ORDER BY c.id LIMIT %(limit)s)
SELECT p.id, p.subject, p.stripe_id,
       p.asked IS TRUE AND NOT EXISTS (SELECT FROM ledger_transfer t WHERE t.key = p.subject)
         AND NOT EXISTS (SELECT FROM stripe_movements m WHERE m.subject = p.subject) AS nowhere
  FROM page p ORDER BY p.id
"""


def settlements(database: Database, span: Span, *, everything: bool) -> Iterator[tuple[int, list[Difference]]]:
    """Work out every settlement again, a page at a time: how many there are, and which differ.

    Args:
        span: what is compared.
        everything: also settlements from before it.
    """
    after = FIRST
    while True:
        bounds = {"since": span.since, "settled": span.settled, "everything": everything, "after": after, "limit": PAGE}
        rows = database.all(_SETTLEMENTS, bounds)
        if not rows:
            return
        yield len(rows), [each for row in rows if row["settled"] for each in settlement_differences(row)]
        after = rows[-1]["session_id"]


def settlement_differences(row: Row) -> Iterator[Difference]:
    """Where one settlement differs from what it should have been. Pure."""
    subject = f"session:{row['session_id']}"
    checks = (
        ("outcome", row["decides"], row["outcome"]),
        ("payout to the mechanic", row["earns"], row["earned"]),
        ("payout to the referrer", row["refers"], row["referred"]),
        ("refund", row["goes_back"], row["owed_back"]),
        ("earning in the ledger", row["earns"], row["booked_earned"]),
    )
    for name, due, found in checks:
        if due != found:
            yield Difference(kind="settlement_differs", subject=subject, why=f"{name} is {found} instead of {due}")
    if row["held"] < 0 or row["credits_held"] < 0:
        yield Difference(kind="negative_balance", subject=subject, why=_TOO_MUCH)
    elif row["over"] and (row["held"] or row["credits_held"]):
        why = f"{row['held']} cents and {row['credits_held']} credits are still held, though it is settled"
        yield Difference(kind="held_remains", subject=subject, booked=row["held"], why=why)


def unfulfilled(database: Database, span: Span) -> Iterator[list[Difference]]:
    """Check that nothing is held for payments without a session that were paid back, a page at a time."""
    after = FIRST
    while rows := database.all(_UNFULFILLED, {"settled": span.settled, "after": after, "limit": PAGE}):
        yield [each for row in rows if (each := _held(row)) is not None]
        after = rows[-1]["id"]


def _held(row: Row) -> Difference | None:
    subject = f"session:{row['intake_id']}"
    if row["held"] < 0:
        return Difference(kind="negative_balance", subject=subject, booked=row["held"], why=_TOO_MUCH)
    if row["over"] and row["held"]:
        why = f"{row['held']} cents are still held, though everything is paid back"
        return Difference(kind="held_remains", subject=subject, booked=row["held"], why=why)
    return None


def mechanics(database: Database) -> Iterator[list[Difference]]:
    """Check that every mechanic's payable is what we still have of their payouts, a page at a time."""
    after = FIRST
    while rows := database.all(_MECHANICS, {"after": after, "limit": MECHANICS}):
        yield [each for row in rows if (each := _payable(row)) is not None]
        after = rows[-1]["id"]


def _payable(row: Row) -> Difference | None:
    if row["payable"] < 0:
        why = "more was sent than was earned"
        return Difference(kind="negative_balance", subject=row["account"], booked=row["payable"], why=why)
    if row["payable"] != row["with_us"]:
        why = f"we still have {row['with_us']} cents of their payouts"
        return Difference(kind="payable_differs", subject=row["account"], booked=row["payable"], why=why)
    return None


def sent_nowhere(database: Database, span: Span) -> Iterator[list[Difference]]:
    """Find payouts, refunds and checkouts of which neither ledger nor Stripe has anything, a page at a time."""
    for flow, statement in (("transfer", _SENT), ("refund", _PAID_BACK), ("charge", _PAID)):
        after = FIRST
        bounds = {"since": span.since, "settled": span.settled, "limit": PAGE}
        while rows := database.all(statement, {**bounds, "after": after}):
            why = "our row says that the money moved, but neither the ledger nor Stripe has it"
            yield [
                Difference(kind=f"{flow}_missing", subject=row["subject"], stripe_id=row["stripe_id"], why=why)
                for row in rows
                if row["nowhere"]
            ]
            after = rows[-1]["id"]
