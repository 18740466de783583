"""Disputes: each is answered from the record, in time and once, and no answer keeps what was erased.

Each statement reads the disputes that wait for an answer, or the answers that are not over, by partial index; only the
one about sending twice reads all answers.
"""

from typing import Final

from autodoctor.integrity.checks.base import Check, Section
from autodoctor.integrity.checks.now import Query

NOT_STAGED: Final = Check(
    "evidence_not_staged", Section.MONEY, "a dispute waits for an answer, and Stripe has had no evidence for an hour"
)
NOT_SENT: Final = Check(
    "evidence_not_sent", Section.MONEY, "evidence that nobody has sent a day before its time, for a person to decide"
)
SENT_TWICE: Final = Check("evidence_sent_twice", Section.MONEY, "the bank got evidence of a dispute more than once")
KEPT: Final = Check("evidence_keeps_erased", Section.MONEY, "evidence that still has what its customer had erased")
CHECKS: Final = (NOT_STAGED, NOT_SENT, SENT_TWICE, KEPT)

QUERIES: Final[tuple[Query, ...]] = (
    (
        NOT_STAGED,
        """
SELECT d.id, format('it is %s since %s, its evidence %s', d.status, d.created_at, coalesce(e.state, 'missing'))
  FROM stripe_disputes d JOIN checkouts c ON c.stripe_payment_intent_id = d.payment_intent_id
  LEFT JOIN dispute_evidence e ON e.dispute_id = d.id
 WHERE d.status IN ('needs_response', 'warning_needs_response') AND d.created_at < now() - interval '1 hour'
   AND (e.id IS NULL OR e.state = 'failed'
        OR e.state IN ('due', 'sending') AND (e.next_attempt_at < now() - interval '1 hour') IS NOT FALSE)
""",
    ),
    (
        NOT_SENT,
        """
SELECT e.dispute_id, format('due by %s', e.due_by)
  FROM dispute_evidence e JOIN stripe_disputes d ON d.id = e.dispute_id
 WHERE e.state = 'staged' AND e.due_by < now() + interval '23 hours'
   AND d.status IN ('needs_response', 'warning_needs_response')
""",
    ),
    (
        SENT_TWICE,
        """
SELECT dispute_id, format('%s times', submission_count) FROM dispute_evidence WHERE submission_count > 1
""",
    ),
    (
        KEPT,
        """
SELECT e.dispute_id, format('erased at %s', u.erased_at)
  FROM customers u JOIN checkouts c ON c.user_id = u.user_id JOIN dispute_evidence e ON e.checkout_id = c.id
 WHERE u.erased_at IS NOT NULL AND (
   e.texts ?| '{customer_name,customer_email_address}'
   OR EXISTS (SELECT FROM dispute_documents p WHERE p.evidence_id = e.id AND p.field <> 'receipt'))
""",
    ),
)
