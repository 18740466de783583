"""A refund or lost dispute of a pack takes as many credits of its customer as it is for, and what is missing is owed.

The rules are those of payments/losses/booking.py and payments/ledger/credit_debts.py. A key alone names the loss:
whoever may insert a row could otherwise take somebody's credits, or forgive a debt, under the key of a real refund.
"""

from typing import Final

from autodoctor.integrity.checks.base import Check, Section
from autodoctor.integrity.checks.now import Query

LOST: Final = Check(
    "credits_unlike_loss", Section.LEDGER, "a pack paid back took credits or left a debt that it is not for", 10
)
CHECKS: Final = (LOST,)

OF_LEDGER: Final[Query] = (
    LOST,
    """
SELECT t.id, format('%%s: %%s, of another customer', t.kind, t.key)
  FROM ledger_transfer t
 WHERE t.id > %(after)s AND t.id <= %(upto)s
   AND split_part(t.key, ':', 1) IN ('refund', 'dispute')
   AND 'customer' IN (split_part(t.debit_account, ':', 1), split_part(t.credit_account, ':', 1))
   AND NOT EXISTS (
     SELECT FROM losses l JOIN checkouts c ON c.stripe_payment_intent_id = l.payment_intent_id
      WHERE l.kind = split_part(t.key, ':', 1) AND l.id = split_part(t.key, ':', 2) AND c.kind = 'pack'
        AND c.user_id::text IN (split_part(t.debit_account, ':', 2), split_part(t.credit_account, ':', 2)))
""",
)

# `first`: what was withdrawn when the loss was booked. What is owed is the price of the credits that are still missing;
# each time that some come back, its rounding may be a cent.
OF_CHECKOUTS: Final[Query] = (
    LOST,
    """
SELECT l.id, format('%%s of %%s credits, booked: %%s; %%s withdrawn, %%s cents owed',
                    l.kind, l.part, l.booked, gone.credits, debt.cents)
  FROM checkouts c JOIN losses l ON l.payment_intent_id = c.stripe_payment_intent_id
  CROSS JOIN LATERAL (
    SELECT 'customer:' || c.user_id || ':credits' AS spendable, 'customer:' || c.user_id || ':receivable' AS owed,
           l.kind || ':' || l.id || ':' AS keys) AS k
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(CASE WHEN t.debit_account = k.spendable THEN t.amount ELSE -t.amount END), 0) AS credits,
           coalesce(sum(t.amount) FILTER (WHERE t.key = l.base || ':credits'), 0) AS first,
           count(*) FILTER (WHERE starts_with(t.key, l.base || ':repaid:')) AS times
      FROM ledger_transfer t
     WHERE (t.debit_account = k.spendable OR t.credit_account = k.spendable) AND starts_with(t.key, k.keys)) AS gone
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(CASE WHEN t.debit_account = k.owed THEN t.amount ELSE -t.amount END), 0) AS cents,
           coalesce(sum(t.amount) FILTER (WHERE t.key = l.base || ':receivable'), 0) AS first
      FROM ledger_transfer t
     WHERE (t.debit_account = k.owed OR t.credit_account = k.owed) AND starts_with(t.key, k.keys)) AS debt
 WHERE c.id > %(after)s AND c.id <= %(upto)s AND c.kind = 'pack'
   AND NOT CASE WHEN l.booked = 'split' THEN
     gone.credits BETWEEN 0 AND l.part AND debt.cents >= 0
     AND debt.first = least(l.booked_cents, share_of(c.amount_cents, (l.part - gone.first)::bigint, c.credits))
     AND abs(debt.cents * (l.part - gone.first) - debt.first * (l.part - gone.credits))
         <= gone.times * (l.part - gone.first)
   ELSE gone.credits = 0 AND debt.cents = 0 END
   AND NOT EXISTS (SELECT FROM ledger_transfer t WHERE t.key = 'correction:' || l.kind || ':' || l.id || ':1')
""",
)
