"""The statements that find whom an event concerns, and what a text may mention of it."""

from typing import Final, LiteralString

_WISHES: Final[LiteralString] = """
       coalesce(l.locale, 'en') AS locale, coalesce(w.email, true) AS wants_mail,
       coalesce(w.in_app, true) AS wants_in_app,
       (SELECT b.reason FROM mail_suppressions b WHERE b.address_hash = address_hash(u.email)) AS blocked,
       EXISTS (SELECT FROM confirmed_addresses f WHERE f.user_id = u.user_id AND f.address_hash = address_hash(u.email))
         OR EXISTS (SELECT FROM mechanics x WHERE x.user_id = u.user_id AND x.email = u.email) -- an admin entered it
         AS confirmed
"""
_JOIN_WHO_PAID: Final[LiteralString] = """
  LEFT JOIN intakes i ON i.id = c.intake_id
  LEFT JOIN customers k ON k.user_id = c.user_id
 CROSS JOIN LATERAL (SELECT c.user_id, k.email, k.name, k.erased_at) AS u
"""
_JOIN_WISHES: Final[LiteralString] = """
  LEFT JOIN notification_locales l ON l.user_id = u.user_id
  LEFT JOIN notification_preferences w ON w.user_id = u.user_id AND w.kind = %(kind)s
"""
CUSTOMER: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, u.erased_at IS NOT NULL AS erased, m.name AS mechanic, s.id AS session_id,
       i.session_type, i.concern, i.vehicle, i.scheduled_for, i.funding, i.price_cents, i.currency, i.credits,
       s.started_at, s.ended_at, n.text AS notes,
       floor(s.together_seconds)::integer AS duration_seconds,
       a.status = 'pending_waiver' AS needs_waiver, ended_by_operator(s.id) AS by_operator,
       (SELECT x.text FROM end_explanations x WHERE x.session_id = s.id) AS explanation,
       CASE %(kind)s WHEN 'request_received' THEN s.ended_at IS NOT NULL
                     WHEN 'mechanic_assigned' THEN s.ended_at IS NOT NULL
                                                   OR s.mechanic_id IS DISTINCT FROM %(mechanic_id)s
                     WHEN 'first_reply_late' THEN s.mechanic_id IS DISTINCT FROM %(mechanic_id)s
                                                  OR reply_due_at(s) IS NULL
                     WHEN 'back_in_queue' THEN s.status <> 'pending'
                     ELSE false END AS superseded,
"""
    + _WISHES
    + """
  FROM sessions s
  JOIN intakes i ON i.id = s.id
  JOIN customers u ON u.id = s.customer_id
  JOIN session_assignments a ON a.id = s.current_assignment_id
  LEFT JOIN mechanics m ON m.id = %(mechanic_id)s
  LEFT JOIN session_notes n ON n.session_id = s.id AND n.mechanic_id = m.id
"""
    + _JOIN_WISHES
    + " WHERE s.id = %(session_id)s"
)
# The newest messages of the parties; what an erasure has emptied is left out.
HOLDER: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, false AS erased, i.session_type, false AS superseded,
       (SELECT x.text FROM end_explanations x WHERE x.session_id = i.id) AS explanation,
"""
    + _WISHES
    + """
  FROM mechanics u
  JOIN intakes i ON i.id = %(session_id)s
"""
    + _JOIN_WISHES
    + " WHERE u.id = %(mechanic_id)s"
)
SUSPENDED: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, false AS erased, u.suspension_reason, u.suspended_at,
       u.status <> 'suspended' AS superseded,
"""
    + _WISHES
    + " FROM mechanics u"
    + _JOIN_WISHES
    + " WHERE u.id = %(mechanic_id)s"
)
MECHANIC: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, false AS erased, s.id AS session_id, i.session_type, s.ended_at,
       coalesce((SELECT p.kind FROM payouts p WHERE p.id = %(payout_id)s::text::uuid), 'session') AS earned_for,
       %(kind)s = 'payout_failed' AND EXISTS (
         SELECT FROM notifications n WHERE n.user_id = u.user_id AND n.session_id = s.id AND n.kind = 'payout_sent'
            AND n.data ->> 'payoutId' = %(payout_id)s AND n.created_at > %(occurred_at)s) AS superseded,
"""
    + _WISHES
    + """
  FROM mechanics u
  JOIN sessions s ON s.id = %(session_id)s
  JOIN intakes i ON i.id = s.id
"""
    + _JOIN_WISHES
    + " WHERE u.id = %(mechanic_id)s"
)

# A customer who buys credits before any intake has no stored address.
PAYER: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, u.erased_at IS NOT NULL AS erased, c.kind AS checkout_kind, i.session_type,
       CASE %(kind)s WHEN 'payment_failed' THEN c.status <> 'failed'
                     WHEN 'payment_late' THEN c.status <> 'processing' OR c.late_answer IS NOT NULL
                     WHEN 'refund_failed' THEN NOT EXISTS (SELECT FROM refunds r
                                                            WHERE r.intake_id = c.intake_id AND r.state = 'failed')
                     ELSE false END AS superseded,
       EXISTS (SELECT FROM refunds r WHERE r.intake_id = c.intake_id) AS refunded,
"""
    + _WISHES
    + """
  FROM checkouts c
"""
    + _JOIN_WHO_PAID
    + _JOIN_WISHES
    + " WHERE c.id = %(checkout_id)s"
)

BUYER: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, u.erased_at IS NOT NULL AS erased, i.session_type, c.kind AS checkout_kind,
       r.title AS bought_title, nullif(r.tax, 0) AS tax_cents, c.credits,
       -- what could not be used says so itself, and the refund comes with a credit note
       %(kind)s = 'payment_received' AND c.status = 'unfulfillable' AS superseded,
"""
    + _WISHES
    + """
  FROM receipts r
  JOIN checkouts c ON c.id = r.checkout_id
"""
    + _JOIN_WHO_PAID
    + _JOIN_WISHES
    + " WHERE r.id = %(receipt_id)s"
)

# The people who have to act next, or who earned. A mail is not sent once the quote has moved on.
OF_QUOTE: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, u.erased, m.name AS mechanic, shop.name AS workshop, i.session_type, i.vehicle,
       'quote_' || q.status <> %(kind)s OR q.amount_cents IS DISTINCT FROM %(amount_cents)s
         OR c.erased_at IS NOT NULL AS superseded,
"""
    + _WISHES
    + """
  FROM quotes q
  JOIN workshops shop ON shop.id = q.workshop_id
  JOIN mechanics m ON m.id = q.mechanic_id
  JOIN intakes i ON i.id = q.session_id
  JOIN customers c ON c.id = i.customer_id
 CROSS JOIN LATERAL (
   SELECT x.user_id, x.email, x.name, false AS erased FROM mechanics x
    WHERE %(kind)s = 'quote_requested' AND x.workshop_id = q.workshop_id AND x.status = 'active'
      AND x.user_id <> c.user_id
   UNION ALL
   SELECT c.user_id, c.email, c.name, c.erased_at IS NOT NULL WHERE %(kind)s = 'quote_given'
   UNION ALL
   SELECT m.user_id, m.email, m.name, false WHERE %(kind)s = 'quote_approved') AS u
"""
    + _JOIN_WISHES
    + " WHERE q.id = %(quote_id)s ORDER BY u.user_id"
)

# The mechanic, who may answer; and of the decision both.
OF_CONTEST: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, u.erased, u.reader, s.id AS session_id, i.session_type, s.ended_at,
       k.note AS explanation, %(kind)s = 'contest_opened' AND num_nonnulls(k.outcome, k.answer) > 0 AS superseded,
"""
    + _WISHES
    + """
  FROM contests k
  JOIN sessions s ON s.id = k.session_id
  JOIN intakes i ON i.id = s.id
  JOIN customers c ON c.id = s.customer_id
  JOIN mechanics m ON m.id = s.mechanic_id
 CROSS JOIN LATERAL (
   SELECT m.user_id, m.email, m.name, false AS erased, 'mechanic' AS reader
   UNION ALL
   SELECT c.user_id, c.email, c.name, c.erased_at IS NOT NULL, 'customer' WHERE %(kind)s = 'contest_decided') AS u
"""
    + _JOIN_WISHES
    + " WHERE k.session_id = %(session_id)s ORDER BY u.user_id"
)
