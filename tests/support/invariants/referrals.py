"""Invariant 9 for referrals and quotes: each earns once, and nothing else earns.

Part of the checker in sessions.py, and computed in another way than in the code under test.
"""

from typing import Final, LiteralString

REFERRED_AND_ESCALATED: Final[LiteralString] = """
WITH half_even AS (
  SELECT i.id, i.referrer_id, i.price_cents, st.outcome,
         (SELECT CASE WHEN x - floor(x) = 0.5 THEN 2 * round(x / 2) ELSE round(x) END
            FROM (SELECT i.price_cents * i.mechanic_share_bp / 10000.0 AS x) AS share) AS earned,
         (SELECT CASE WHEN x - floor(x) = 0.5 THEN 2 * round(x / 2) ELSE round(x) END
            FROM (SELECT i.price_cents * coalesce(i.referral_bp, 0) / 10000.0 AS x) AS share) AS referral
    FROM intakes i LEFT JOIN settlements st ON st.session_id = i.id
), referral AS (
  SELECT h.*, CASE WHEN h.outcome = 'pay' THEN least(h.referral, h.price_cents - h.earned) ELSE 0 END AS due,
         (SELECT coalesce(sum(p.amount_cents), 0) FROM payouts p
           WHERE p.session_id = h.id AND p.kind = 'referral' AND p.mechanic_id = h.referrer_id) AS owed,
         (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
           WHERE t.intake_id = h.id AND t.kind = 'referral' AND t.debit_account = 'platform_revenue'
             AND t.credit_account = 'mechanic:' || h.referrer_id || ':payable') AS booked,
         (SELECT count(*) FROM payouts p WHERE p.session_id = h.id AND p.kind = 'referral') AS payouts
    FROM half_even h
), escalation AS (
  SELECT q.id, q.session_id, q.status,
         CASE WHEN q.status = 'approved' AND s.status = 'completed'
               AND NOT EXISTS (SELECT FROM settlements_due d WHERE d.session_id = s.id) THEN
           (SELECT CASE WHEN x - floor(x) = 0.5 THEN 2 * round(x / 2) ELSE round(x) END
              FROM (SELECT q.amount_cents::bigint * q.escalation_bp / 10000.0 AS x) AS share) ELSE 0 END AS due,
         (SELECT coalesce(sum(p.amount_cents), 0) FROM payouts p
           WHERE p.session_id = q.session_id AND p.kind = 'escalation' AND p.mechanic_id = q.mechanic_id) AS owed,
         (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
           WHERE t.intake_id = q.session_id AND t.kind = 'escalation' AND t.debit_account = 'platform_revenue'
             AND t.credit_account = 'mechanic:' || q.mechanic_id || ':payable') AS booked,
         (SELECT e.to_status || coalesce(e.amount_cents::text, '') FROM quote_events e
           WHERE e.quote_id = q.id ORDER BY e.id DESC LIMIT 1)
           IS DISTINCT FROM q.status || coalesce(q.amount_cents::text, '') AS untold,
         s.mechanic_id <> q.mechanic_id AS anothers,
         q.status IN ('requested', 'given') AND EXISTS (
           SELECT FROM quotes a WHERE a.session_id = q.session_id AND a.status = 'approved') AS left_open
    FROM quotes q JOIN sessions s ON s.id = q.session_id
)
SELECT format('session %%s owes its referrer %%s in %%s payouts and booked %%s, it is %%s',
              id, owed, payouts, booked, due)
  FROM referral WHERE (owed, booked, payouts) <> (due, due, (due > 0)::integer)
UNION ALL
SELECT format('intake %%s was referred by %%s, its customer by %%s', i.id, i.referrer_id, c.referrer_id)
  FROM intakes i JOIN customers c ON c.id = i.customer_id
 WHERE i.referrer_id IS NOT NULL AND i.referrer_id IS DISTINCT FROM c.referrer_id
UNION ALL
SELECT format('mechanic %%s referred themselves', m.id)
  FROM customers c JOIN mechanics m ON m.id = c.referrer_id AND m.user_id = c.user_id
UNION ALL
SELECT format('quote %%s (%%s) earned %%s, is owed %%s and booked %%s', id, status, due, owed, booked)
  FROM escalation WHERE status = 'approved' AND (owed, booked) <> (due, due)
   AND NOT (owed = booked AND EXISTS (SELECT FROM settlements_due d WHERE d.session_id = escalation.session_id))
UNION ALL
SELECT format('session %%s owes %%s escalations, and has %%s approved quotes', p.session_id, count(*), (
         SELECT count(*) FROM quotes q WHERE q.session_id = p.session_id AND q.status = 'approved'))
  FROM payouts p WHERE p.kind = 'escalation'
 GROUP BY p.session_id
HAVING count(*) > 1 OR NOT EXISTS (SELECT FROM quotes q WHERE q.session_id = p.session_id AND q.status = 'approved')
UNION ALL
SELECT format('quote %%s (%%s): not as audited: %%s; of another''s session: %%s; open beside an approved one: %%s',
              id, status, untold, anothers, left_open)
  FROM escalation WHERE untold OR anothers OR left_open
"""
