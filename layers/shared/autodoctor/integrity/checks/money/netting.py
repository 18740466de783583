"""What is withheld from payouts for what a mechanic owes: agreed to, booked, not more than is owed, and given back."""

from typing import Final

from autodoctor.integrity.checks.base import Check, Section
from autodoctor.integrity.checks.now import Query

_IN_LEDGER = Section.LEDGER
NETTED: Final = Check(
    "netting_differs", _IN_LEDGER, "what a payout was netted by, or returns, is not in the ledger", 10
)
AGREED: Final = Check(
    "netting_not_agreed", _IN_LEDGER, "netted without the mechanic's consent, or more than was owed", 10
)
CHECKS: Final = (NETTED, AGREED)

OF_PAYOUTS: Final[Query] = (
    NETTED,
    """
SELECT p.session_id, format('payout %%s: %%s cents netted, booked %%s; the session returns %%s of %%s and %%s reversed',
                            p.id, p.netted_cents, netted.cents, returned.cents, returned.booked, returned.taken)
  FROM payouts p
  CROSS JOIN LATERAL (SELECT coalesce(sum(t.amount), 0) AS cents FROM ledger_transfer t
                       WHERE t.kind = 'netting' AND split_part(t.key, ':', 2) = p.id::text
                         AND t.debit_account = 'mechanic:' || p.mechanic_id || ':payable') AS netted
  CROSS JOIN LATERAL (
    SELECT (SELECT coalesce(sum(o.amount_cents), 0) FROM payouts o
             WHERE o.session_id = p.session_id AND o.kind = 'returned') AS cents,
           (SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
             WHERE (t.intake_id = p.session_id
                    OR t.intake_id IN (SELECT x.id FROM session_extensions x WHERE x.session_id = p.session_id))
               AND t.kind = 'correction' AND t.key LIKE '%%:undone:netting') AS booked,
           (SELECT coalesce(sum(o.reversed_cents), 0) FROM payouts o
             WHERE o.session_id = p.session_id AND o.mechanic_id = p.mechanic_id) AS taken
     WHERE p.kind IN ('session', 'returned')) AS returned
 WHERE p.id > %(after)s AND p.id <= %(upto)s
   AND (p.netted_cents <> netted.cents
        OR NOT returned.cents BETWEEN returned.booked AND returned.booked + returned.taken)
""",
)
OF_LEDGER: Final[Query] = (
    AGREED,
    """
SELECT t.id, format('%%s cents of session %%s from %%s', t.amount, t.intake_id, t.debit_account)
  FROM ledger_transfer t
 WHERE t.id > %(after)s AND t.id <= %(upto)s AND t.kind = 'netting'
   AND (NOT EXISTS (SELECT FROM netting_consents c
                     WHERE 'mechanic:' || c.mechanic_id || ':payable' = t.debit_account
                       AND t.created_at BETWEEN c.agreed_at AND coalesce(c.withdrawn_at, 'infinity'))
        OR mechanic_owes(split_part(t.debit_account, ':', 2)::uuid, t.intake_id) < 0)
""",
)
