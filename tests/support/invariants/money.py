"""Invariants 9 and 10 within our own books: every ended session is settled once and correctly, the ledger adds up.

Part of the checker in sessions.py. Stripe's books are compared elsewhere.
"""

from typing import Final, LiteralString

SETTLED_ONCE: Final[LiteralString] = """
WITH ended AS (
  SELECT s.id, s.status, s.mechanic_id, i.funding, i.price_cents, i.credits,
         s.ended_at IS NOT NULL AS over, i.funding <> 'free' OR i.mechanic_fixed_pay_cents > 0 AS at_stake,
         st.outcome, d.session_id IS NOT NULL AS is_due,
         -- half to even, worked out in another way than domain.money does
         CASE WHEN s.status <> 'completed' THEN 0
              WHEN i.funding = 'free' THEN i.mechanic_fixed_pay_cents
              ELSE (SELECT CASE WHEN x - floor(x) = 0.5 THEN 2 * round(x / 2) ELSE round(x) END
                      FROM (SELECT i.price_cents * i.mechanic_share_bp / 10000.0 AS x) AS share) END AS earned,
         (SELECT count(*) FROM payouts p WHERE p.session_id = s.id AND p.kind = 'session') AS payouts,
         (SELECT sum(p.amount_cents) FROM payouts p
           WHERE p.session_id = s.id AND p.kind = 'session' AND p.mechanic_id = s.mechanic_id) AS owed,
         (SELECT count(*) FROM refunds r WHERE r.intake_id = s.id AND r.kind = 'session') AS refunds,
         (SELECT count(*) FROM ledger_transfer t WHERE t.intake_id = s.id AND t.kind = 'credit_hold') AS holds,
         (SELECT count(*) FROM ledger_transfer t WHERE t.intake_id = s.id AND t.kind = 'credit_spend') AS spends,
         (SELECT count(*) FROM ledger_transfer t WHERE t.intake_id = s.id AND t.kind = 'credit_return') AS returns
    FROM sessions s JOIN intakes i ON i.id = s.id
    LEFT JOIN settlements st ON st.session_id = s.id
    LEFT JOIN settlements_due d ON d.session_id = s.id
)
SELECT format('session %%s (%%s, %%s) is settled as %%s', id, status, funding, outcome)
  FROM ended
 WHERE outcome IS NOT NULL AND (NOT over OR outcome <> CASE
         WHEN status = 'completed' THEN CASE WHEN at_stake THEN 'pay' ELSE 'nothing' END
         ELSE CASE funding WHEN 'card' THEN 'refund' WHEN 'credit' THEN 'return' ELSE 'nothing' END END)
UNION ALL
SELECT format('session %%s (%%s, %%s) is %%s and %%s', id, status, funding,
              CASE WHEN outcome IS NULL THEN 'not settled' ELSE 'settled' END,
              CASE WHEN is_due THEN 'due' ELSE 'not due' END)
  FROM ended WHERE is_due <> (over AND at_stake AND outcome IS NULL)
UNION ALL
SELECT format('session %%s (%%s, %%s) has %%s payouts, %%s in all, it earned %%s',
              id, status, funding, payouts, owed, earned)
  FROM ended
 WHERE payouts <> (outcome IS NOT NULL AND earned > 0)::integer
    OR coalesce(owed, 0) <> CASE WHEN outcome IS NOT NULL THEN earned ELSE 0 END
UNION ALL
SELECT format('session %%s (%%s, %%s) has %%s refunds', id, status, funding, refunds)
  FROM ended WHERE refunds <> (outcome IS NOT NULL AND funding = 'card' AND status <> 'completed')::integer
UNION ALL
SELECT format('session %%s (%%s, %%s): credits held %%s times, spent %%s times, returned %%s times',
              id, status, funding, holds, spends, returns)
  FROM ended
 WHERE holds <> (funding = 'credit')::integer
    OR spends <> (funding = 'credit' AND outcome IS NOT NULL AND status = 'completed')::integer
    OR returns <> (funding = 'credit' AND outcome IS NOT NULL AND status <> 'completed')::integer
UNION ALL
SELECT format('intake %%s is refunded %%s times and pays %%s times',
              r.intake_id, count(DISTINCT r.id), count(DISTINCT p.id))
  FROM refunds r JOIN payouts p ON p.session_id = r.intake_id AND p.kind <> 'escalation'
 WHERE r.kind <> 'contest' GROUP BY r.intake_id
"""

LEDGER_ADDS_UP: Final[LiteralString] = """
WITH balance AS (
  SELECT account, currency, sum(amount) AS amount
    FROM (SELECT credit_account AS account, currency, amount FROM ledger_transfer
          UNION ALL SELECT debit_account, currency, -amount FROM ledger_transfer) AS side
   GROUP BY account, currency
)
SELECT format('ledger row %%s moves %%s %%s from %%s to %%s', id, amount, currency, debit_account, credit_account)
  FROM ledger_transfer
 WHERE amount <= 0 OR debit_account = credit_account
    OR (account_currency(debit_account) = currency AND account_currency(credit_account) = currency) IS NOT TRUE
UNION ALL
SELECT format('customer %%s has %%s credits, the ledger says %%s', coalesce(b.user_id, l.user_id), b.balance, l.amount)
  FROM credit_balances b
  FULL JOIN (SELECT split_part(account, ':', 2)::uuid AS user_id, amount
               FROM balance WHERE account LIKE 'customer:%%:credits') AS l ON l.user_id = b.user_id
 WHERE b.balance IS DISTINCT FROM l.amount OR b.balance < 0
UNION ALL
SELECT format('%%s holds %%s %%s', account, amount, currency)
  FROM balance WHERE account LIKE 'session:%%' AND amount < 0
UNION ALL
SELECT format('%%s holds %%s credits, its session is %%s', b.account, b.amount,
              coalesce(st.outcome, e.outcome, 'not settled'))
  FROM balance b
  LEFT JOIN settlements st ON st.session_id = split_part(b.account, ':', 2)::uuid
  LEFT JOIN extension_settlements e ON e.extension_id = split_part(b.account, ':', 2)::uuid
 WHERE b.account LIKE 'session:%%:credits' AND (b.amount > 0) <> (coalesce(st.outcome, e.outcome) IS NULL)
UNION ALL
SELECT format('%%s is %%s, what of its payouts is still here is %%s', account.name, coalesce(b.amount, 0), account.owed)
  FROM (SELECT 'mechanic:' || m.id || ':payable' AS name,
               coalesce(sum(p.amount_cents - p.withheld_cents - p.netted_cents - p.sent_cents + p.reversed_cents), 0)
                 AS owed
          FROM mechanics m LEFT JOIN payouts p ON p.mechanic_id = m.id GROUP BY m.id) AS account
  LEFT JOIN balance b ON b.account = account.name
 WHERE coalesce(b.amount, 0) <> account.owed
"""
