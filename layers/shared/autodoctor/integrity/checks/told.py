"""Whether all were told what SPEC.md's notifications promise: each event of theirs left a row of `mail_deliveries`.

The consumer leaves one for every event and person, whether a mail goes out or not. So what the record says happened is
counted by person and kind, over the last two days (the run is daily) but the last quarter of an hour, and there must
be as many deliveries since. What has no record of its own is not counted: that a mechanic was set away, that a bank
sent a refund back (operators see each), and notes that were added to a summary.
"""

from collections.abc import Iterator
from typing import Any, Final, LiteralString

import psycopg

from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.now import findings_of

NOT_TOLD: Final = Check(
    "not_told", Section.NOTIFICATIONS, "somebody was not told of what happened: the event or its consumer was lost"
)

# By the keys that begin with their time, and the indexes of begun and ended sessions.
_NOT_TOLD: Final[LiteralString] = """
WITH span AS (
  SELECT since, now() - interval '15 minutes' AS until,
         (lpad(to_hex(floor(extract(epoch FROM since) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid AS since_id,
         (lpad(to_hex(floor(extract(epoch FROM since - interval '20 days') * 1000)::bigint), 12, '0')
          || repeat('0', 20))::uuid AS since_page
    FROM (SELECT now() - interval '2 days' AS since) AS days
), near AS MATERIALIZED (
  SELECT e.session_id FROM span, session_events e
   WHERE e.from_status IS NULL AND e.occurred_at >= since
  UNION
  SELECT e.session_id FROM span, session_events e
   WHERE e.to_status IN ('completed', 'cancelled', 'expired')
     AND (e.from_status IN ('completed', 'cancelled', 'expired')) IS NOT TRUE AND e.occurred_at >= since
  UNION
  SELECT id FROM sessions WHERE ended_at IS NULL
), moved AS (
  SELECT e.session_id, e.occurred_at AS at, e.from_status AS was, e.to_status AS became, c.user_id AS customer,
         split_part(e.actor, ':', 1) AS who,
         CASE WHEN e.from_status IN ('waiting', 'live') THEN (
           SELECT m.user_id FROM session_assignment_events y
             JOIN session_assignments a ON a.id = y.assignment_id JOIN mechanics m ON m.id = a.mechanic_id
            WHERE y.session_id = e.session_id AND y.id < e.id AND y.to_status = 'accepted'
            ORDER BY y.id DESC LIMIT 1) END AS mechanic
    FROM span, near JOIN session_events e USING (session_id)
    JOIN sessions s ON s.id = e.session_id JOIN customers c ON c.id = s.customer_id
   WHERE e.occurred_at BETWEEN since AND until
     AND (e.from_status IN ('completed', 'cancelled', 'expired')) IS NOT TRUE
     AND e.actor <> 'system:import-legacy' AND (e.data ? 'repair') IS NOT TRUE -- neither is an event
     AND NOT EXISTS ( -- nor is what a repair took back: it was marked so, and did not happen
       SELECT FROM session_events r
        WHERE r.session_id = e.session_id AND r.id > e.id AND r.data ? 'repair' AND r.from_status = e.to_status)
), foremen AS MATERIALIZED (
  -- of a workshop's mechanics the first whom no admin touched meanwhile: who was suspended then was not told
  SELECT DISTINCT ON (m.workshop_id) m.workshop_id, m.user_id
    FROM mechanics m
   WHERE m.workshop_id IS NOT NULL AND m.status = 'active'
     AND m.id::text NOT IN (SELECT a.subject FROM span, admin_changes a WHERE a.id >= since_id)
   ORDER BY m.workshop_id, m.id
), owed (user_id, kind, at) AS (
  SELECT customer, CASE WHEN was IS NULL THEN 'request_received' WHEN became = 'waiting' THEN 'mechanic_assigned'
                        WHEN became IN ('cancelled', 'expired') THEN 'session_cancelled'
                        WHEN was = 'waiting' AND became = 'pending' AND who <> 'customer' THEN 'back_in_queue' END, at
    FROM moved
  UNION ALL
  SELECT mechanic, CASE WHEN was = 'waiting' AND became = 'pending' AND who <> 'mechanic' THEN 'session_taken_back'
                        WHEN became IN ('completed', 'cancelled') AND who IN ('admin', 'operator')
                        THEN 'session_closed' END, at
    FROM moved
  UNION ALL
  SELECT c.user_id, CASE s.status WHEN 'completed' THEN 'session_completed' ELSE 'notes_added' END, t.told_at
    FROM near JOIN session_summaries t USING (session_id)
    JOIN sessions s ON s.id = t.session_id JOIN customers c ON c.id = s.customer_id
  UNION ALL
  SELECT c.user_id, 'first_reply_late', l.told_at
    FROM near JOIN session_assignments a USING (session_id) JOIN late_replies l ON l.assignment_id = a.id
    JOIN sessions s ON s.id = a.session_id JOIN customers c ON c.id = s.customer_id
  UNION ALL
  SELECT m.user_id, 'suspended', m.suspended_at FROM mechanics m WHERE m.erased_at IS NULL
  UNION ALL
  SELECT m.user_id, 'payout_sent', t.created_at
    FROM span, ledger_transfer t JOIN payouts p ON p.id = split_part(t.key, ':', 2)::uuid
    JOIN mechanics m ON m.id = p.mechanic_id
   WHERE t.id >= since_id AND t.kind = 'transfer'
  UNION ALL
  SELECT m.user_id, 'payout_failed', p.next_attempt_at
    FROM payouts p JOIN mechanics m ON m.id = p.mechanic_id WHERE p.state = 'failed'
  UNION ALL
  SELECT r.user_id, CASE r.kind || ' ' || r.cause WHEN 'receipt session' THEN 'payment_received'
                                                  WHEN 'receipt credits' THEN 'credits_bought'
                                                  WHEN 'credit_note refund' THEN 'refund_sent' END, r.issued_at
    FROM span, receipts r WHERE r.id >= since_id AND r.checkout_id IS NOT NULL
  UNION ALL
  SELECT c.user_id, 'payment_unfulfillable', r.created_at
    FROM span, refunds r JOIN checkouts c ON c.intake_id = r.intake_id
   WHERE r.id >= since_id AND c.status = 'unfulfillable'
  UNION ALL
  SELECT c.user_id, 'payment_failed', c.checked_at
    FROM span, checkouts c WHERE c.id >= since_page AND c.status = 'failed' AND c.processing_since IS NOT NULL
  UNION ALL
  SELECT c.user_id, 'payment_late', c.late_since FROM checkouts c WHERE c.status = 'processing'
  UNION ALL
  SELECT CASE e.to_status WHEN 'given' THEN c.user_id WHEN 'approved' THEN m.user_id END, 'quote_' || e.to_status,
         e.occurred_at
    FROM span, quote_events e JOIN quotes q ON q.id = e.quote_id JOIN mechanics m ON m.id = q.mechanic_id
    JOIN sessions s ON s.id = q.session_id JOIN customers c ON c.id = s.customer_id
   WHERE e.quote_id >= since_page
  UNION ALL
  SELECT f.user_id, 'quote_requested', q.requested_at
    FROM span, quotes q JOIN foremen f USING (workshop_id)
    JOIN sessions s ON s.id = q.session_id JOIN customers c ON c.id = s.customer_id
   WHERE q.id >= since_page AND q.requested_at >= since AND f.user_id <> c.user_id
  UNION ALL
  SELECT m.user_id, 'contest_opened', k.contested_at
    FROM contests k JOIN sessions s ON s.id = k.session_id JOIN mechanics m ON m.id = s.mechanic_id
  UNION ALL
  SELECT unnest(ARRAY[m.user_id, c.user_id]), 'contest_decided', k.decided_at
    FROM contests k JOIN sessions s ON s.id = k.session_id JOIN mechanics m ON m.id = s.mechanic_id
    JOIN customers c ON c.id = s.customer_id
), due AS (
  SELECT user_id, kind, count(*) AS times, max(at) AS last FROM owed, span
   WHERE at BETWEEN since AND until AND user_id IS NOT NULL AND kind IS NOT NULL
   GROUP BY user_id, kind
), had AS (
  SELECT user_id, CASE kind WHEN 'confirm_address' THEN 'request_received' ELSE kind END AS kind, count(*) AS times
    FROM span, mail_deliveries WHERE claimed_at >= since GROUP BY 1, 2
)
SELECT due.user_id, format('%s: happened %s times, last at %s, told %s times',
                           due.kind, due.times, due.last, coalesce(had.times, 0))
  FROM due LEFT JOIN had USING (user_id, kind) WHERE due.times > coalesce(had.times, 0) ORDER BY due.last LIMIT 1000
"""

CHECKS: Final = (NOT_TOLD,)


def check(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """Check what was told of the last two days.

    Args:
        connection: in a transaction with one snapshot.
    """
    yield from findings_of(connection, ((NOT_TOLD, _NOT_TOLD),))
