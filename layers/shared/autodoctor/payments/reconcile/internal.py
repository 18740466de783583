"""Our books beside themselves: what every settlement should have come to, and balances that cannot be.

The amounts are worked out in SQL, in another way than domain/money.py does, from what the intake was sold for.
"""

from collections.abc import Iterator
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.payments.reconcile.books import Span
from autodoctor.payments.reconcile.report import Difference

PAGE: Final = 300
_FIRST_ID: Final = UUID(int=0)

_SETTLEMENTS: Final[LiteralString] = """
WITH page AS MATERIALIZED (
  SELECT * FROM settlements st
   WHERE st.session_id > %(after)s AND (%(newest)s OR st.decided_at >= %(since)s) ORDER BY st.session_id LIMIT %(limit)s
), sold AS (
  SELECT p.session_id, p.outcome, p.decided_at <= %(settled)s AS settled, s.status, s.mechanic_id,
         i.funding, i.price_cents, i.referrer_id,
         s.status = 'completed' AND (i.funding <> 'free' OR i.mechanic_fixed_pay_cents > 0) AS pays,
         CASE WHEN i.funding = 'free' THEN i.mechanic_fixed_pay_cents
              WHEN share.x - floor(share.x) = 0.5 THEN 2 * round(share.x / 2) ELSE round(share.x) END AS earned,
         CASE WHEN i.funding = 'free' THEN 0
              WHEN part.x - floor(part.x) = 0.5 THEN 2 * round(part.x / 2) ELSE round(part.x) END AS referred
    FROM page p JOIN sessions s ON s.id = p.session_id JOIN intakes i ON i.id = p.session_id
   CROSS JOIN LATERAL (SELECT i.price_cents * i.mechanic_share_bp / 10000.0 AS x) AS share
   CROSS JOIN LATERAL (SELECT i.price_cents * coalesce(i.referral_bp, 0) / 10000.0 AS x) AS part
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

# A mechanic's payable is what of their payouts is still with us (sql/0016_disputes.sql).
_MECHANICS: Final[LiteralString] = """
WITH page AS MATERIALIZED (SELECT m.id FROM mechanics m WHERE m.id > %(after)s ORDER BY m.id LIMIT %(limit)s)
SELECT p.id, 'mechanic:' || p.id || ':payable' AS account,
       (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
         WHERE t.credit_account = 'mechanic:' || p.id || ':payable')::bigint
       - (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
           WHERE t.debit_account = 'mechanic:' || p.id || ':payable')::bigint AS payable,
       (SELECT coalesce(sum(o.amount_cents - o.withheld_cents - o.sent_cents + o.reversed_cents), 0) FROM payouts o
         WHERE o.mechanic_id = p.id)::bigint AS with_us
  FROM page p ORDER BY p.id
"""

# What was sent by its own row, and stands neither in the ledger nor at Stripe; where Stripe has it, it is seen there.
_SENT: Final[LiteralString] = """
SELECT p.id, 'payout:' || p.id || ':transfer' AS subject, p.sent_cents AS cents, p.stripe_transfer_id AS stripe_id
  FROM payouts p
 WHERE p.id > %(after)s AND p.state IN ('sent', 'reversed') AND p.sent_at <= %(settled)s AND p.sent_at >= %(since)s
   AND NOT EXISTS (SELECT FROM ledger_transfer t WHERE t.key = 'payout:' || p.id || ':transfer')
   AND NOT EXISTS (SELECT FROM stripe_movements m WHERE m.subject = 'payout:' || p.id || ':transfer')
 ORDER BY p.id LIMIT %(limit)s
"""
_PAID_BACK: Final[LiteralString] = """
SELECT r.id, 'refund:' || r.stripe_refund_id AS subject, r.amount_cents AS cents, r.stripe_refund_id AS stripe_id
  FROM refunds r
 WHERE r.id > %(after)s AND r.state = 'sent' AND r.stripe_refund_id IS NOT NULL
   AND r.sent_at <= %(settled)s AND r.sent_at >= %(since)s
   AND NOT EXISTS (SELECT FROM ledger_transfer t WHERE statement_subject(t.key) = 'refund:' || r.stripe_refund_id
                      AND (t.debit_account = 'stripe' OR t.credit_account = 'stripe'))
   AND NOT EXISTS (SELECT FROM stripe_movements m WHERE m.subject = 'refund:' || r.stripe_refund_id)
 ORDER BY r.id LIMIT %(limit)s
"""
_PAID: Final[LiteralString] = """
WITH paid AS (
  SELECT c.id, CASE c.kind WHEN 'intake' THEN 'session:' || c.intake_id || ':charge'
                           ELSE 'pack:' || c.id || ':sale' END AS subject,
         c.amount_cents AS cents, c.stripe_payment_intent_id AS stripe_id
    FROM checkouts c
   WHERE c.id > %(after)s AND c.status = 'paid' AND c.created_at <= %(settled)s AND c.created_at >= %(since)s)
SELECT * FROM paid p
 WHERE NOT EXISTS (SELECT FROM ledger_transfer t WHERE t.key = p.subject)
   AND NOT EXISTS (SELECT FROM stripe_movements m WHERE m.subject = p.subject)
 ORDER BY p.id LIMIT %(limit)s
"""


def settlements(database: Database, span: Span, *, everything: bool) -> Iterator[tuple[int, list[Difference]]]:
    """Every decision about a session's money, worked out again: how many, and what differs, a page at a time.

    Args:
        database: where.
        span: what is compared.
        everything: also what was decided before it.
    """
    after = _FIRST_ID
    while True:
        bounds = {"since": span.since, "settled": span.settled, "newest": everything, "after": after, "limit": PAGE}
        rows = database.all(_SETTLEMENTS, bounds)
        if not rows:
            return
        yield len(rows), [each for row in rows if row["settled"] for each in settlement_differences(row)]
        after = rows[-1]["session_id"]


def settlement_differences(row: Row) -> Iterator[Difference]:
    """What one decision did otherwise than it should have. Pure."""
    subject = f"session:{row['session_id']}"
    checks = (
        ("outcome", row["decides"], row["outcome"]),
        ("payout to who held it", row["earns"], row["earned"]),
        ("payout to who referred", row["refers"], row["referred"]),
        ("refund", row["goes_back"], row["owed_back"]),
        ("earning in the ledger", row["earns"], row["booked_earned"]),
    )
    for name, due, found in checks:
        if due != found:
            yield Difference(kind="settlement_differs", subject=subject, why=f"{name} is {found} in place of {due}")
    if row["held"] < 0 or row["credits_held"] < 0:
        yield Difference(kind="negative_balance", subject=subject, why="more was taken of what was held than there was")
    elif row["over"] and (row["held"] or row["credits_held"]):
        why = f"{row['held']} cents and {row['credits_held']} credits are held, though it is settled"
        yield Difference(kind="held_remains", subject=subject, booked=row["held"], why=why)


def mechanics(database: Database) -> Iterator[list[Difference]]:
    """Every mechanic's payable, which is what of their payouts is still with us, a page at a time."""
    after = _FIRST_ID
    while rows := database.all(_MECHANICS, {"after": after, "limit": PAGE}):
        yield [each for row in rows if (each := _payable(row)) is not None]
        after = rows[-1]["id"]


def _payable(row: Row) -> Difference | None:
    if row["payable"] < 0:
        why = "more was sent than was earned"
        return Difference(kind="negative_balance", subject=row["account"], booked=row["payable"], why=why)
    if row["payable"] != row["with_us"]:
        why = f"of their payouts {row['with_us']} cents are still with us"
        return Difference(kind="payable_differs", subject=row["account"], booked=row["payable"], why=why)
    return None


def sent_nowhere(database: Database, span: Span) -> Iterator[list[Difference]]:
    """Payouts, refunds and checkouts that say money moved, which neither ledger nor Stripe has, a page at a time."""
    for flow, statement in (("transfer", _SENT), ("refund", _PAID_BACK), ("charge", _PAID)):
        after = _FIRST_ID
        bounds = {"since": span.since, "settled": span.settled, "limit": PAGE}
        while rows := database.all(statement, {**bounds, "after": after}):
            why = "our row says that it moved; neither the ledger nor Stripe has it"
            yield [
                Difference(kind=f"{flow}_missing", subject=row["subject"], stripe_id=row["stripe_id"], why=why)
                for row in rows
            ]
            after = rows[-1]["id"]
