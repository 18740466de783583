"""Every row of the ledger moves what its kind moves, between the accounts that payments/ledger/accounts.py says.

A key alone says where a row belongs: whoever may insert one could otherwise give themselves credits under the key of
somebody's refund.
"""

from typing import Final

from autodoctor.integrity.checks.base import Check, Section
from autodoctor.integrity.checks.now import Query

FLOW: Final = Check("ledger_flow", Section.LEDGER, "a row of the ledger moves what its kind does not move", 10)
CHECKS: Final = (FLOW,)

# Each as DEBIT>CREDIT, an account of somebody or something without its id. A correction of credits is a withdrawal,
# backwards.
OF_LEDGER: Final[Query] = (
    FLOW,
    """
SELECT t.id, format('%%s: %%s %%s, %%s', t.kind, t.amount, t.currency, moved.flow)
  FROM ledger_transfer t
  CROSS JOIN LATERAL (
    SELECT regexp_replace(t.debit_account, ':[^:]*:', ':') || '>' || regexp_replace(t.credit_account, ':[^:]*:', ':')
             AS flow) AS moved
 WHERE t.id > %(after)s AND t.id <= %(upto)s AND (CASE t.kind
   WHEN 'charge' THEN moved.flow = 'stripe>session:held'
   WHEN 'fee' THEN moved.flow IN ('stripe_fees>stripe', 'stripe>stripe_fees')
   WHEN 'pack_sale' THEN moved.flow = 'stripe>credit_sales'
   WHEN 'pack_refund' THEN moved.flow = 'credit_sales>stripe'
   WHEN 'credit_issue' THEN moved.flow = 'credits_issued>customer:credits'
   WHEN 'credit_grant' THEN moved.flow = 'credits_issued>customer:credits'
   WHEN 'credit_hold' THEN moved.flow = 'customer:credits>session:credits'
   WHEN 'credit_spend' THEN moved.flow = 'session:credits>credits_spent'
   WHEN 'credit_return' THEN moved.flow = 'session:credits>customer:credits'
   WHEN 'credit_withdrawal' THEN moved.flow = 'customer:credits>credits_issued'
   WHEN 'earning' THEN moved.flow IN ('session:held>mechanic:payable', 'credit_sales>mechanic:payable')
   WHEN 'platform_share' THEN moved.flow IN ('session:held>platform_revenue', 'credit_sales>platform_revenue')
   WHEN 'fixed_pay' THEN moved.flow = 'free_sessions>mechanic:payable'
   WHEN 'referral' THEN moved.flow = 'platform_revenue>mechanic:payable'
   WHEN 'escalation' THEN moved.flow = 'platform_revenue>mechanic:payable'
   WHEN 'transfer' THEN moved.flow = 'mechanic:payable>stripe'
   WHEN 'netting' THEN moved.flow = 'mechanic:payable>mechanic:receivable'
   WHEN 'reversal' THEN moved.flow = 'stripe>mechanic:payable'
   WHEN 'refund' THEN moved.flow IN (
     'session:held>stripe', 'platform_revenue>stripe', 'mechanic:payable>stripe',
     'platform_revenue>session:held', 'mechanic:payable>session:held')
   WHEN 'dispute' THEN moved.flow = 'disputed>stripe'
   WHEN 'dispute_won' THEN moved.flow IN ('stripe>disputed', 'disputed>platform_revenue')
   WHEN 'dispute_lost' THEN moved.flow IN (
     'session:held>disputed', 'platform_revenue>disputed', 'mechanic:payable>disputed', 'credit_sales>disputed',
     'platform_revenue>session:held', 'mechanic:payable>session:held')
   WHEN 'receivable' THEN moved.flow IN (
     'mechanic:payable>mechanic:receivable', 'mechanic:receivable>stripe', 'mechanic:receivable>disputed',
     'mechanic:receivable>session:held', 'customer:receivable>credit_sales', 'credit_sales>customer:receivable')
   WHEN 'contest' THEN moved.flow IN (
     'credits_spent>customer:credits', 'platform_revenue>credit_sales', 'mechanic:payable>credit_sales',
     'mechanic:receivable>credit_sales')
   WHEN 'correction' THEN CASE t.currency WHEN 'usd' THEN moved.flow IN (
       'stripe>session:held', 'stripe>platform_revenue', 'stripe>mechanic:payable', 'stripe>mechanic:receivable',
       'stripe>credit_sales', 'stripe>stripe_fees',
       'disputed>session:held', 'disputed>platform_revenue', 'disputed>mechanic:payable',
       'disputed>mechanic:receivable', 'disputed>credit_sales',
       'session:held>stripe', 'platform_revenue>stripe', 'mechanic:receivable>stripe', 'stripe_fees>stripe',
       'credit_sales>customer:receivable', 'customer:receivable>credit_sales', 'platform_revenue>mechanic:receivable')
     ELSE EXISTS (SELECT FROM ledger_transfer w
                   WHERE w.key = regexp_replace(t.key, ':undone$', '') AND w.kind = 'credit_withdrawal'
                     AND (w.debit_account, w.credit_account, w.amount)
                         = (t.credit_account, t.debit_account, t.amount)) END
   END) IS NOT TRUE
""",
)
