"""What customers' receipts say, less their credit notes, is what the books say of their payments; no number is missing.

Worked out from the payments and the facts of their losses, in another way than the ledger's trigger does.
"""

from typing import Final, LiteralString

RECEIPTS: Final[LiteralString] = """
WITH said AS (
  SELECT *, CASE kind WHEN 'credit_note' THEN -amount ELSE amount END AS signed FROM receipts
), paid AS (
  SELECT c.id, t.amount - coalesce((
           SELECT sum(CASE l.kind WHEN 'refund' THEN l.cents ELSE l.booked_cents END) FROM losses l
            WHERE l.payment_intent_id = c.stripe_payment_intent_id AND l.booked IN ('held', 'split')), 0) AS kept
    FROM checkouts c
    JOIN ledger_transfer t ON t.key IN ('session:' || c.intake_id || ':charge', 'pack:' || c.id || ':sale')
)
SELECT format('payment %%s keeps %%s cents, its documents say %%s', paid.id, paid.kept, said.cents)
  FROM paid CROSS JOIN LATERAL (
    SELECT coalesce(sum(signed), 0) AS cents FROM said WHERE said.checkout_id = paid.id) AS said
 WHERE paid.kept <> said.cents
UNION ALL
SELECT format('session %%s costs %%s credits, its documents say %%s', i.id, i.credits, said.credits)
  FROM intakes i JOIN sessions s ON s.id = i.id LEFT JOIN settlements st ON st.session_id = i.id
 CROSS JOIN LATERAL (
    SELECT coalesce(sum(signed), 0) AS credits FROM said WHERE said.intake_id = i.id AND said.currency = 'credit'
  ) AS said
 WHERE i.funding = 'credit'
   AND said.credits <> CASE WHEN st.outcome = 'return' THEN 0 ELSE i.credits - coalesce((
         SELECT d.credits FROM contest_parts d WHERE d.intake_id = i.id), 0) END
UNION ALL
SELECT format('of %%s there are %%s documents, and the last number is %%s', r.year, count(*), max(r.sequence))
  FROM receipts r LEFT JOIN receipt_numbers n ON n.year = r.year
 GROUP BY r.year, n.last HAVING count(*) <> max(r.sequence) OR max(r.sequence) IS DISTINCT FROM n.last
"""
