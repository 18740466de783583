"""Extensions: each ran only if it was paid for, began where those before it ended, and was settled as it was used.

Of a session and its window, like everything else that belongs to it.
"""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import psycopg

from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.now import Query, findings_of

MINUTES: Final = Check(
    "extension_minutes", Section.OUTCOMES, "minutes that were added to a talk are not those that were agreed and paid"
)
SETTLED: Final = Check("extension_settled", Section.MONEY, "an extension was not settled as it was used, once", 9)
CHECKS: Final = (MINUTES, SETTLED)

_QUERIES: Final[tuple[Query, ...]] = (
    (
        MINUTES,
        """
SELECT x.session_id, format('extension %%s is %%s, %%s minutes after %%s, paid %%s times', x.id, x.status, x.minutes,
                            x.starts_after, paid.times)
  FROM session_extensions x JOIN sessions s ON s.id = x.session_id JOIN intakes o ON o.id = x.session_id
  LEFT JOIN intakes i ON i.id = x.intake_id
  CROSS JOIN LATERAL (
    SELECT count(*) AS times FROM ledger_transfer t
     WHERE t.key = 'session:' || x.id || CASE x.pay_with WHEN 'card' THEN ':charge' ELSE ':credit_hold' END) AS paid
  CROSS JOIN LATERAL (
    SELECT o.included_minutes + coalesce(sum(e.minutes), 0) AS minutes FROM session_extensions e
     WHERE e.session_id = x.session_id AND e.status = 'running' AND e.began_at < x.began_at) AS before
 WHERE x.session_id > %(after)s AND x.session_id <= %(upto)s
   AND (x.status = 'running' AND (paid.times <> 1 OR x.starts_after IS DISTINCT FROM before.minutes)
        OR x.status <> 'running' AND x.pay_with = 'credit' AND paid.times > 0
        OR x.status IN ('asked', 'agreed') AND s.ended_at IS NOT NULL
        OR x.intake_id IS NOT NULL AND (i.customer_id, i.funding, i.price_cents, i.credits, i.mechanic_share_bp)
             IS DISTINCT FROM (s.customer_id, x.pay_with, x.price_cents, x.credits, o.mechanic_share_bp))
""",
    ),
    (
        SETTLED,
        """
SELECT x.session_id, format('extension %%s is settled as %%s, not as %%s: payouts %%s, refunds %%s, %%s cents and %%s'
                            ' credits held',
                            x.id, e.outcome, wanted.outcome, paid.cents, back.cents, held.cents, held.credits)
  FROM session_extensions x JOIN sessions s ON s.id = x.session_id
  LEFT JOIN intakes i ON i.id = x.intake_id
  LEFT JOIN settlements st ON st.session_id = x.session_id
  LEFT JOIN settlement_holds h ON h.session_id = x.session_id
  LEFT JOIN extension_settlements e ON e.extension_id = x.id
  CROSS JOIN LATERAL (
    SELECT CASE
      WHEN x.status <> 'running' OR st.outcome IS NULL THEN NULL
      WHEN coalesce(h.outcome, CASE s.status WHEN 'completed' THEN 'pay' END) = 'pay'
           AND s.ended_at >= s.started_at + make_interval(mins => x.starts_after, secs => s.min_billable_seconds)
        THEN 'pay'
      ELSE CASE x.pay_with WHEN 'card' THEN 'refund' ELSE 'return' END END AS outcome) AS wanted
  CROSS JOIN LATERAL (SELECT array_agg(p.amount_cents) AS cents FROM payouts p WHERE p.extension_id = x.id) AS paid
  CROSS JOIN LATERAL (SELECT array_agg(r.amount_cents) AS cents FROM refunds r
                       WHERE r.intake_id = x.id AND r.kind = 'extension') AS back
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(CASE WHEN t.credit_account = 'session:' || x.id || ':held' THEN t.amount
                             WHEN t.debit_account = 'session:' || x.id || ':held' THEN -t.amount END), 0) AS cents,
           coalesce(sum(CASE WHEN t.credit_account = 'session:' || x.id || ':credits' THEN t.amount
                             WHEN t.debit_account = 'session:' || x.id || ':credits' THEN -t.amount END), 0) AS credits
      FROM ledger_transfer t WHERE t.intake_id = x.id) AS held
 WHERE x.session_id > %(after)s AND x.session_id <= %(upto)s
   AND (e.outcome IS DISTINCT FROM wanted.outcome
        OR paid.cents IS DISTINCT FROM (
             SELECT ARRAY[earned.cents]
               FROM (SELECT share_of(x.price_cents, i.mechanic_share_bp)::bigint AS cents) AS earned
              WHERE wanted.outcome = 'pay' AND earned.cents > 0)
        OR back.cents IS DISTINCT FROM CASE WHEN wanted.outcome = 'refund' THEN ARRAY[x.price_cents::bigint] END
        OR wanted.outcome = 'pay' AND held.cents <> 0 OR held.cents < 0
        OR held.credits <> CASE WHEN x.status = 'running' AND x.pay_with = 'credit' AND wanted.outcome IS NULL
                                THEN x.credits ELSE 0 END)
""",
    ),
)


def check(connection: psycopg.Connection[Any], after: UUID, upto: UUID) -> Iterator[Finding]:
    """What is wrong with the extensions of sessions with `after` < id <= `upto`."""
    yield from findings_of(connection, _QUERIES, after=after, upto=upto)
