"""Every row of the ledger has an origin, and every refund and loss has its rows.

The families of keys, and what each flow books, are those of payments/ledger/accounts.py. What Stripe has is `autodoctor
reconcile`'s to compare; where it corrected what a loss had booked, the loss is left to it.
"""

from typing import Final

from autodoctor.integrity.checks.base import Check, Section
from autodoctor.integrity.checks.now import Query

_IN_LEDGER = Section.LEDGER
ORIGIN: Final = Check("ledger_origin", _IN_LEDGER, "a row of the ledger that nothing we have can have booked", 10)
REFUNDED: Final = Check("refunded_unlike_ledger", _IN_LEDGER, "a refund says it was sent, the books say otherwise", 10)
LOSS: Final = Check("loss_unlike_ledger", _IN_LEDGER, "a refund or dispute says what is booked of it, and is not", 10)
REVERSED: Final = Check(
    "reversed_unlike_ledger", _IN_LEDGER, "what was taken back of a payout is not what is booked", 10
)
CHECKS: Final = (ORIGIN, REFUNDED, LOSS, REVERSED)

OF_LEDGER: Final[Query] = (
    ORIGIN,
    r"""
SELECT t.id, format('%%s: %%s', t.kind, t.key)
  FROM ledger_transfer t
 WHERE t.id > %(after)s AND t.id <= %(upto)s AND (CASE split_part(t.key, ':', 1)
   WHEN 'session' THEN t.key = 'session:' || t.intake_id || ':' || t.kind AND CASE t.kind
     WHEN 'charge' THEN EXISTS (SELECT FROM checkouts c
                                 WHERE c.intake_id = t.intake_id AND c.status IN ('paid', 'unfulfillable'))
     WHEN 'credit_hold' THEN EXISTS (SELECT FROM sessions s WHERE s.id = t.intake_id)
       OR EXISTS (SELECT FROM session_extensions x WHERE x.id = t.intake_id AND x.status = 'running')
     WHEN 'escalation' THEN EXISTS (SELECT FROM quotes q JOIN sessions s ON s.id = q.session_id
                                     WHERE q.approved_session_id = t.intake_id AND s.status = 'completed')
     ELSE EXISTS (SELECT FROM settlements s WHERE s.session_id = t.intake_id
                     AND s.outcome = CASE t.kind WHEN 'credit_return' THEN 'return' ELSE 'pay' END)
       OR EXISTS (SELECT FROM extension_settlements e WHERE e.extension_id = t.intake_id
                     AND e.outcome = CASE t.kind WHEN 'credit_return' THEN 'return' ELSE 'pay' END) END
   WHEN 'pack' THEN EXISTS (
     SELECT FROM checkouts c
      WHERE c.id = substring(t.key FROM '^pack:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):')::uuid
        AND c.kind = 'pack' AND c.status = 'paid'
        AND (t.key, t.kind) IN (('pack:' || c.id || ':sale', 'pack_sale'),
                                ('pack:' || c.id || ':credits', 'credit_issue')))
   WHEN 'payout' THEN EXISTS (
     SELECT FROM payouts p
      WHERE p.id = substring(t.key FROM '^payout:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):')::uuid
        AND CASE t.kind WHEN 'transfer' THEN t.key LIKE '%%:transfer' AND p.intake_id = t.intake_id
                                          AND p.sent_cents > 0
                        WHEN 'netting' THEN t.key LIKE '%%:netting:%%' AND p.netted_cents > 0 END)
   WHEN 'reversal' THEN EXISTS (SELECT FROM payouts p WHERE p.intake_id = t.intake_id AND p.reversed_cents > 0)
     AND CASE t.kind WHEN 'reversal' THEN t.key ~ '^reversal:[^:]+$'
                     WHEN 'receivable' THEN t.key ~ '^reversal:[^:]+:owed$' AND EXISTS (
                       SELECT FROM ledger_transfer r WHERE r.key = 'reversal:' || split_part(t.key, ':', 2)) END
   WHEN 'refund' THEN EXISTS (SELECT FROM stripe_refunds r WHERE r.id = split_part(t.key, ':', 2))
     AND t.kind IN ('refund', 'pack_refund', 'receivable', 'credit_withdrawal', 'correction')
     AND t.key ~ ('^refund:[^:]+(:[0-9]+)?'
                  || '(:(excess|platform|mechanic|receivable|credits|repaid:[0-9a-f-]{36}(:credits)?))?'
                  || '(:undone(:(excess|platform|mechanic|receivable|netting))?)?$')
   WHEN 'dispute' THEN EXISTS (SELECT FROM stripe_disputes d WHERE d.id = split_part(t.key, ':', 2))
     AND t.kind IN ('dispute', 'dispute_won', 'dispute_lost', 'receivable', 'credit_withdrawal', 'correction')
     AND t.key ~ ('^dispute:[^:]+(:won|:(won|withdrawn|rest):[0-9]+|:lost(:[0-9]+)?'
                  || '(:(held|excess|platform|mechanic|receivable|sale|credits|repaid:[0-9a-f-]{36}(:credits)?))?'
                  || '(:undone(:(excess|platform|mechanic|receivable|netting))?)?)?$')
   WHEN 'contest' THEN t.kind = 'contest' AND EXISTS (
     SELECT FROM contest_parts k WHERE k.intake_id = t.intake_id AND k.credits IS NOT NULL
        AND t.key ~ ('^contest:' || k.intake_id || ':(credits|platform|mechanic|receivable)$'))
   WHEN 'fee' THEN t.kind = 'fee' AND t.key ~ '^fee:[^:]+$'
     AND (t.intake_id IS NULL OR EXISTS (SELECT FROM checkouts c WHERE c.intake_id = t.intake_id))
   WHEN 'grant' THEN t.kind = 'credit_grant'
   WHEN 'correction' THEN t.kind = 'correction'
   END) IS NOT TRUE
""",
)

OF_CHECKOUTS: Final[Query] = (
    LOSS,
    """
SELECT l.id, format('%%s of %%s cents, booked: %%s, the ledger has %%s', l.kind, l.cents, l.booked, booked.cents)
  FROM checkouts c JOIN losses l ON l.payment_intent_id = c.stripe_payment_intent_id
  CROSS JOIN LATERAL (
    SELECT l.base, CASE l.kind WHEN 'refund' THEN 'stripe' ELSE 'disputed' END AS gone_to) AS k
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(CASE k.gone_to WHEN t.credit_account THEN t.amount
                                       WHEN t.debit_account THEN -t.amount ELSE 0 END), 0) AS cents
      FROM ledger_transfer t
     WHERE t.key = ANY (ARRAY[ -- by its key alone: half the ledger is of account 'stripe'
       k.base, k.base || ':held', k.base || ':excess', k.base || ':undone:excess',
       k.base || ':platform', k.base || ':mechanic', k.base || ':receivable',
       k.base || ':sale', k.base || ':sale:undone', k.base || ':undone', k.base || ':undone:platform',
       k.base || ':undone:mechanic', k.base || ':undone:receivable', k.base || ':undone:netting'])) AS booked
 WHERE c.id > %(after)s AND c.id <= %(upto)s
   AND booked.cents <> CASE WHEN l.booked IN ('held', 'split') THEN l.booked_cents ELSE 0 END
   AND NOT EXISTS (SELECT FROM ledger_transfer t WHERE t.key = 'correction:' || l.kind || ':' || l.id || ':1')
""",
)

OF_REFUNDS: Final[Query] = (
    REFUNDED,
    """
SELECT r.intake_id, format('refund %%s is %%s: %%s of %%s cents went back', r.id, r.state, gone.cents, r.amount_cents)
  FROM refunds r LEFT JOIN checkouts c ON c.intake_id = r.intake_id
  CROSS JOIN LATERAL (SELECT coalesce(sum(l.cents), 0) AS cents FROM losses l
                       WHERE l.payment_intent_id = c.stripe_payment_intent_id AND l.effective) AS gone
 WHERE r.id > %(after)s AND r.id <= %(upto)s
   AND (r.state IN ('sent', 'returned') AND gone.cents < r.amount_cents
        OR (r.state = 'sent') <> (r.stripe_refund_id IS NOT NULL)
        OR (r.state IN ('sent', 'returned')) <> (r.sent_at IS NOT NULL))
""",
)

OF_PAYOUTS: Final[Query] = (
    REVERSED,
    """
SELECT p.session_id, format('payout %%s is %%s, its mechanic''s of the session: %%s cents taken back, booked %%s',
                            p.id, p.state, taken.cents, booked.cents)
  FROM payouts p
  CROSS JOIN LATERAL (SELECT sum(o.reversed_cents) AS cents FROM payouts o
                       WHERE o.intake_id = p.intake_id AND o.mechanic_id = p.mechanic_id) AS taken
  CROSS JOIN LATERAL (SELECT coalesce(sum(t.amount), 0) AS cents FROM ledger_transfer t
                       WHERE t.intake_id = p.intake_id AND t.kind = 'reversal'
                         AND t.credit_account = 'mechanic:' || p.mechanic_id || ':payable') AS booked
 WHERE p.id > %(after)s AND p.id <= %(upto)s
   AND (taken.cents <> booked.cents
        OR EXISTS (SELECT FROM payout_reversals r WHERE r.payout_id = p.id
                      AND ((r.state = 'done') <> (r.done_at IS NOT NULL)
                           OR r.state = 'done' AND p.reversed_cents = 0
                           OR r.stripe_reversal_id IS NOT NULL AND NOT EXISTS (
                                SELECT FROM ledger_transfer t WHERE t.key = 'reversal:' || r.stripe_reversal_id)))
        OR p.kind IN ('session', 'extension') AND EXISTS (
             SELECT FROM checkouts c JOIN losses l ON l.payment_intent_id = c.stripe_payment_intent_id
               JOIN ledger_transfer t ON t.key = l.base || ':receivable'
              WHERE c.intake_id = p.intake_id AND l.kind = 'dispute' AND l.booked = 'split' AND NOT EXISTS (
                SELECT FROM payout_reversals r WHERE r.payout_id = p.id AND r.dispute_id = l.id
                                                 AND r.booking = l.bookings AND r.amount_cents = t.amount)))
""",
)
