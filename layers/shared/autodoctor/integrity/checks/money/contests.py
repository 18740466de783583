"""Contests: what goes back is the decision, divided among what was paid.

What moved of each part is `contest_differs`, among the money of its intake.
"""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import psycopg

from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.now import Query, findings_of

DIVIDED: Final = Check(
    "contest_divided", Section.MONEY, "the parts of a decided contest are not what goes back, each within its price", 9
)
CHECKS: Final = (DIVIDED,)

# Not by contested_prices(), which divides them too.
_QUERY: Final[Query] = (
    DIVIDED,
    """
SELECT k.session_id, format('%%s: %%s cents and %%s credits, in parts %%s and %%s, paid %%s and %%s, all within: %%s',
                            k.outcome, k.refund_cents, k.refund_credits, parts.cents, parts.credits, paid.cents,
                            paid.credits, parts.are_within)
  FROM contests k
  CROSS JOIN LATERAL (
    SELECT sum(d.cents) AS cents, sum(d.credits) AS credits,
           coalesce(bool_and(coalesce(x.session_id, i.id) = k.session_id
                             AND CASE i.funding WHEN 'card' THEN d.cents <= i.price_cents
                                                WHEN 'credit' THEN d.credits <= i.credits END), true) AS are_within
      FROM contest_parts d JOIN intakes i ON i.id = d.intake_id LEFT JOIN session_extensions x ON x.id = i.id
     WHERE d.session_id = k.session_id) AS parts
  CROSS JOIN LATERAL (
    SELECT sum(i.price_cents) FILTER (WHERE i.funding = 'card') AS cents,
           sum(i.credits) FILTER (WHERE i.funding = 'credit') AS credits
      FROM intakes i
     WHERE i.id IN (SELECT s.session_id FROM settlements s WHERE s.session_id = k.session_id AND s.outcome = 'pay'
                    UNION ALL
                    SELECT e.extension_id
                      FROM session_extensions x JOIN extension_settlements e ON e.extension_id = x.id
                     WHERE x.session_id = k.session_id AND e.outcome = 'pay')) AS paid
 WHERE k.session_id > %(after)s AND k.session_id <= %(upto)s
   AND (parts.cents IS DISTINCT FROM k.refund_cents OR parts.credits IS DISTINCT FROM k.refund_credits
        OR parts.are_within IS NOT TRUE
        OR (k.outcome = 'all') IS DISTINCT FROM CASE WHEN k.outcome IS NOT NULL THEN
             k.outcome <> 'keep'
             AND (k.refund_cents, k.refund_credits) IS NOT DISTINCT FROM (paid.cents, paid.credits) END)
""",
)


def check(connection: psycopg.Connection[Any], after: UUID, upto: UUID) -> Iterator[Finding]:
    """What is wrong with the contests of sessions with `after` < id <= `upto`."""
    yield from findings_of(connection, (_QUERY,), after=after, upto=upto)
