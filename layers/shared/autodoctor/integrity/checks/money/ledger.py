"""Payments, the ledger and its accounts (SPEC.md#invariants, 10 and 11), in windows of each table's key."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row

from autodoctor.ids import LAST
from autodoctor.integrity.checks import times
from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.money import flows, netting, origin, packs, receipts
from autodoctor.integrity.checks.now import Query, findings_of

_IN_LEDGER = Section.LEDGER
ROW: Final = Check("ledger_row", _IN_LEDGER, "it moves nothing, within one account, or between currencies", 10)
WHOSE: Final = Check(
    "ledger_whose", _IN_LEDGER, "an account of a session, mechanic or customer that it is not about", 10
)
BALANCE: Final = Check("credits_unlike_ledger", _IN_LEDGER, "a customer's credits are not what the ledger says", 10)
NO_BALANCE: Final = Check("credits_unknown", _IN_LEDGER, "credits were booked for a customer who has no balance", 10)
PAYABLE: Final = Check(
    "payable_differs", _IN_LEDGER, "a mechanic's account is not what they are owed and were not sent", 10
)
SENT: Final = Check("sent_unlike_ledger", _IN_LEDGER, "a payout says it was sent, the ledger says otherwise", 10)
FULFILLED: Final = Check(
    "payment_without_effect", Section.INBOX, "a payment was taken and gave nothing, or not booked", 11
)
TWICE: Final = Check("effect_twice", Section.INBOX, "one payment took effect twice, or without being paid", 11)
KEPT: Final = Check(
    "late_payment_kept", Section.INBOX, "money came late, and was neither used nor given back when that was due", 11
)
CHECKS: Final = (ROW, WHOSE, BALANCE, NO_BALANCE, PAYABLE, SENT, FULFILLED, TWICE, KEPT)


@dataclass(frozen=True, slots=True)
class Walk:
    """A table that is checked in the order of its key.

    Attributes:
        name: the name of the walk in progress and results.
        keys: the statement for the next %(size)s keys after %(after)s.
        queries: the statements that find what is wrong up to %(upto)s.
        heavy: the factor by which its windows are smaller: one mechanic stands for many rows of the ledger.
    """

    name: str
    keys: LiteralString
    queries: tuple[Query, ...]
    heavy: int = 1

    def window(self, connection: psycopg.Connection[Any], after: UUID, size: int) -> tuple[int, UUID]:
        """The number of rows in the next window, and its last key; LAST when nothing comes after it."""
        size = max(1, size // self.heavy)
        with connection.cursor(row_factory=tuple_row) as cursor:
            keys = cursor.execute(self.keys, {"after": after, "size": size}).fetchall()
        return len(keys), keys[-1][0] if len(keys) == size else LAST

    def check(self, connection: psycopg.Connection[Any], after: UUID, upto: UUID) -> Iterator[Finding]:
        """What is wrong in a window."""
        yield from findings_of(connection, self.queries, after=after, upto=upto)


_CHECKOUTS: Final[tuple[Query, ...]] = (
    (
        FULFILLED,
        """
SELECT c.id, format('%%s, %%s of %%s cents', c.kind, c.status, c.amount_cents) FROM checkouts c
 WHERE c.id > %(after)s AND c.id <= %(upto)s AND NOT CASE
   WHEN c.status = 'paid' AND c.kind = 'intake' THEN EXISTS (SELECT FROM sessions s WHERE s.id = c.intake_id)
     AND EXISTS (SELECT FROM ledger_transfer t WHERE t.key = 'session:' || c.intake_id || ':charge'
                    AND t.amount = c.amount_cents)
   WHEN c.status = 'paid' AND c.kind = 'extension' THEN
     EXISTS (SELECT FROM session_extensions x WHERE x.id = c.intake_id AND x.status = 'running')
     AND EXISTS (SELECT FROM ledger_transfer t WHERE t.key = 'session:' || c.intake_id || ':charge'
                    AND t.amount = c.amount_cents)
   WHEN c.status = 'paid' THEN
     EXISTS (SELECT FROM ledger_transfer t WHERE t.key = 'pack:' || c.id || ':sale' AND t.amount = c.amount_cents)
     AND EXISTS (SELECT FROM ledger_transfer t WHERE t.key = 'pack:' || c.id || ':credits' AND t.amount = c.credits)
   ELSE true END
""",
    ),
    (
        TWICE,
        """
SELECT c.id, format('%%s, %%s, payment %%s', c.kind, c.status, c.stripe_payment_intent_id) FROM checkouts c
 WHERE c.id > %(after)s AND c.id <= %(upto)s AND (
   EXISTS (SELECT FROM checkouts o
            WHERE o.stripe_payment_intent_id = c.stripe_payment_intent_id AND o.id <> c.id)
   OR c.status NOT IN ('paid', 'unfulfillable') AND EXISTS (
     SELECT FROM ledger_transfer t
      WHERE t.key IN ('session:' || c.intake_id || ':charge', 'pack:' || c.id || ':sale',
                      'pack:' || c.id || ':credits')))
""",
    ),
    (
        KEPT,
        """
SELECT c.id, format('since %%s, answer: %%s', c.late_since, coalesce(c.late_answer, 'none')) FROM checkouts c
 WHERE c.id > %(after)s AND c.id <= %(upto)s
   AND c.status = 'processing' AND c.late_since + late_answer_time() + interval '1 hour' < clock_timestamp()
""",
    ),
    origin.OF_CHECKOUTS,
    packs.OF_CHECKOUTS,
    times.OF_CHECKOUTS,
)

_LEDGER: Final[tuple[Query, ...]] = (
    (
        ROW,
        """
SELECT id, format('%%s: %%s %%s from %%s to %%s', kind, amount, currency, split_part(debit_account, ':', 1),
                  split_part(credit_account, ':', 1))
  FROM ledger_transfer
 WHERE id > %(after)s AND id <= %(upto)s AND (amount > 0 AND debit_account <> credit_account
   AND account_currency(debit_account) = currency AND account_currency(credit_account) = currency) IS NOT TRUE
""",
    ),
    (
        WHOSE,
        """
SELECT t.id, format('%%s: %%s', t.kind, a.account)
  FROM ledger_transfer t CROSS JOIN LATERAL (VALUES (t.debit_account), (t.credit_account)) AS a (account)
 WHERE t.id > %(after)s AND t.id <= %(upto)s AND CASE
   WHEN account_currency(a.account) IS NULL THEN false -- said above
   WHEN a.account LIKE 'session:%%' THEN split_part(a.account, ':', 2) IS DISTINCT FROM t.intake_id::text
   WHEN a.account LIKE 'mechanic:%%'
     THEN NOT EXISTS (SELECT FROM mechanics m WHERE m.id = split_part(a.account, ':', 2)::uuid)
   ELSE false END
""",
    ),
    (
        NO_BALANCE,
        """
SELECT DISTINCT split_part(a.account, ':', 2), 'credits were booked'
  FROM ledger_transfer t CROSS JOIN LATERAL (VALUES (t.debit_account), (t.credit_account)) AS a (account)
 WHERE t.id > %(after)s AND t.id <= %(upto)s AND t.currency = 'credit'
   AND a.account LIKE 'customer:%%:credits' AND account_currency(a.account) IS NOT NULL
   AND NOT EXISTS (SELECT FROM credit_balances b WHERE b.user_id = split_part(a.account, ':', 2)::uuid)
""",
    ),
    origin.OF_LEDGER,
    flows.OF_LEDGER,
    packs.OF_LEDGER,
    receipts.OF_LEDGER,
    netting.OF_LEDGER,
    times.OF_LEDGER,
)

_CUSTOMERS: Final[tuple[Query, ...]] = (
    (
        BALANCE,
        """
SELECT b.user_id, format('%%s credits, the ledger says %%s', b.balance, l.amount)
  FROM credit_balances b
  CROSS JOIN LATERAL (
    SELECT coalesce((SELECT sum(amount) FROM ledger_transfer
                      WHERE credit_account = 'customer:' || b.user_id || ':credits'), 0)
         - coalesce((SELECT sum(amount) FROM ledger_transfer
                      WHERE debit_account = 'customer:' || b.user_id || ':credits'), 0) AS amount) AS l
 WHERE b.user_id > %(after)s AND b.user_id <= %(upto)s AND (b.balance <> l.amount OR b.balance < 0)
""",
    ),
)

_MECHANICS: Final[tuple[Query, ...]] = (
    (
        PAYABLE,
        """
SELECT m.id, format('%%s cents, owed and not sent are %%s', l.amount, p.owed)
  FROM mechanics m
  CROSS JOIN LATERAL (
    SELECT coalesce((SELECT sum(amount) FROM ledger_transfer
                      WHERE credit_account = 'mechanic:' || m.id || ':payable'), 0)
         - coalesce((SELECT sum(amount) FROM ledger_transfer
                      WHERE debit_account = 'mechanic:' || m.id || ':payable'), 0) AS amount) AS l
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount_cents - withheld_cents - netted_cents - sent_cents + reversed_cents), 0) AS owed
      FROM payouts WHERE mechanic_id = m.id) AS p
 WHERE m.id > %(after)s AND m.id <= %(upto)s AND l.amount <> p.owed
""",
    ),
    times.OF_MECHANICS,
)

_PAYOUTS: Final[tuple[Query, ...]] = (
    (
        SENT,
        """
SELECT p.session_id, format('payout %%s is %%s: %%s cents sent, %%s taken back, booked %%s',
                            p.id, p.state, p.sent_cents, p.reversed_cents, t.amount)
  FROM payouts p
  CROSS JOIN LATERAL (SELECT coalesce(sum(amount), 0) AS amount FROM ledger_transfer
                       WHERE key = 'payout:' || p.id || ':transfer') AS t
 WHERE p.id > %(after)s AND p.id <= %(upto)s
   AND (t.amount <> p.sent_cents OR (p.state IN ('sent', 'reversed')) <> (p.stripe_transfer_id IS NOT NULL)
        OR (p.state IN ('sent', 'reversed')) <> (p.sent_at IS NOT NULL)
        OR (p.sent_cents > 0) <> (p.state IN ('sent', 'reversed'))
        OR p.reversed_cents > p.sent_cents)
""",
    ),
    origin.OF_PAYOUTS,
    netting.OF_PAYOUTS,
)

WALKS: Final = (
    Walk("checkouts", "SELECT id FROM checkouts WHERE id > %(after)s ORDER BY id LIMIT %(size)s", _CHECKOUTS),
    Walk("ledger", "SELECT id FROM ledger_transfer WHERE id > %(after)s ORDER BY id LIMIT %(size)s", _LEDGER),
    Walk("receipts", "SELECT id FROM receipts WHERE id > %(after)s ORDER BY id LIMIT %(size)s", receipts.OF_RECEIPTS),
    Walk("payouts", "SELECT id FROM payouts WHERE id > %(after)s ORDER BY id LIMIT %(size)s", _PAYOUTS),
    Walk(
        "refunds",
        "SELECT id FROM refunds WHERE id > %(after)s ORDER BY id LIMIT %(size)s",
        (origin.OF_REFUNDS,),
    ),
    Walk(
        "customers",
        "SELECT user_id FROM credit_balances WHERE user_id > %(after)s ORDER BY user_id LIMIT %(size)s",
        _CUSTOMERS,
    ),
    Walk("mechanics", "SELECT id FROM mechanics WHERE id > %(after)s ORDER BY id LIMIT %(size)s", _MECHANICS, heavy=50),
)
