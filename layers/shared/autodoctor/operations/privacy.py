"""Exports or erases a customer's personal data on request.

Only for operators who act as the owner of the database (`autodoctor customer`); no function may do this. The rights to
a copy and to erasure are articles 15, 20 and 17 of the GDPR; articles 17(3)(b) and (e) allow keeping the ledger.
"""

from typing import Any, Final, LiteralString
from uuid import UUID

from autodoctor.db import Database, Refused
from autodoctor.web.schemas import ResponseModel, Utc

BUSY: Final = "AD010"
"""SQLSTATE of erase_customer() and erase_mechanic() where something has to end first."""

_EXPORT: Final[LiteralString] = """
SELECT jsonb_build_object(
  'customer', to_jsonb(c) - 'id',
  'sessions', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'intake', to_jsonb(i) - 'customer_id',
      'session', to_jsonb(s) - '{customer_id,current_assignment_id,actor,actor_id,change_data}'::text[],
      'waiver', to_jsonb(w) - 'session_id',
      'explanation', (SELECT x.text FROM end_explanations x WHERE x.session_id = i.id),
      'contest', (SELECT to_jsonb(k) - '{session_id,decided_by,change_id}'::text[]
                    FROM contests k WHERE k.session_id = i.id),
      'notes', (SELECT jsonb_agg(n.text ORDER BY n.saved_at) FROM session_notes n WHERE n.session_id = i.id),
      'messages', (SELECT jsonb_agg(jsonb_build_object(
                     'at', t.at, 'role', t.role, 'text', t.text, 'attachmentId', t.attachment_id) ORDER BY t.seq)
                     FROM session_messages t WHERE t.session_id = i.id),
      'events', (SELECT jsonb_agg(jsonb_build_object(
                   'at', e.occurred_at, 'from', e.from_status, 'to', e.to_status)
                   ORDER BY e.id) FROM session_events e WHERE e.session_id = i.id),
      'presence', (SELECT jsonb_agg(jsonb_build_object(
                     'role', p.role, 'source', p.source, 'since', p.since, 'until', p.until)
                     ORDER BY p.id) FROM session_presence p WHERE p.session_id = i.id)
    ) ORDER BY i.id), '[]')
      FROM intakes i LEFT JOIN sessions s ON s.id = i.id LEFT JOIN waivers w ON w.session_id = i.id
     WHERE i.customer_id = c.id),
  'files', (SELECT coalesce(jsonb_agg(jsonb_build_object(
              'attachmentId', f.id, 'sessionId', f.session_id, 'role', f.role, 'name', f.name, 'contentType',
              f.content_type, 'bytes', f.bytes, 'state', f.state, 'since', f.created_at, 'key', f.object_key)
              ORDER BY f.id), '[]')
              FROM attachments f
             WHERE f.user_id = u.user_id OR f.session_id IN (SELECT i.id FROM intakes i WHERE i.customer_id = c.id)),
  'payments', (SELECT coalesce(jsonb_agg(to_jsonb(k) - '{user_id,request_hash,idempotency_key}'::text[]
                                         ORDER BY k.id), '[]')
                 FROM checkouts k WHERE k.user_id = u.user_id),
  'receipts', (SELECT coalesce(jsonb_agg(to_jsonb(r) - 'user_id' ORDER BY r.id), '[]')
                 FROM receipts r WHERE r.user_id = u.user_id),
  'refunds', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'intakeId', r.intake_id, 'amountCents', r.amount_cents, 'currency', r.currency, 'state', r.state,
                'since', r.created_at) ORDER BY r.id), '[]')
                FROM refunds r JOIN intakes i ON i.id = r.intake_id WHERE i.customer_id = c.id),
  'ledger', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.id), '[]') FROM ledger_transfer t
              WHERE t.debit_account = ANY (own.accounts) OR t.credit_account = ANY (own.accounts)),
  'notifications', (SELECT coalesce(jsonb_agg(to_jsonb(n) - '{user_id,event_id}'::text[] ORDER BY n.id), '[]')
                      FROM notifications n WHERE n.user_id = u.user_id),
  'mails', (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', d.kind, 'state', d.state, 'at', d.claimed_at)
                                      ORDER BY d.claimed_at), '[]')
              FROM mail_deliveries d WHERE d.user_id = u.user_id),
  'disputes', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'disputeId', e.dispute_id, 'since', e.created_at, 'state', e.state, 'sentAt', e.sent_at,
                 'texts', e.texts, 'documents', (SELECT jsonb_agg(p.field ORDER BY p.field) FROM dispute_documents p
                                WHERE p.evidence_id = e.id)) ORDER BY e.id), '[]')
                 FROM dispute_evidence e JOIN checkouts k ON k.id = e.checkout_id WHERE k.user_id = u.user_id),
  'quotes', (SELECT coalesce(jsonb_agg(to_jsonb(q) - '{actor,actor_id}'::text[] ORDER BY q.id), '[]')
               FROM quotes q JOIN intakes i ON i.id = q.session_id WHERE i.customer_id = c.id),
  'preferences', (SELECT coalesce(jsonb_agg(to_jsonb(p) - 'user_id'), '[]')
                    FROM notification_preferences p WHERE p.user_id = u.user_id),
  'locale', (SELECT l.locale FROM notification_locales l WHERE l.user_id = u.user_id),
  'calledBrowsers', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                       'endpoint', p.endpoint, 'since', p.made_at, 'lastCalledAt', p.called_at) ORDER BY p.id), '[]')
                       FROM push_subscriptions p WHERE p.user_id = u.user_id),
  'oldSystem', (SELECT coalesce(jsonb_agg(jsonb_build_object('table', r.table_name, 'row', r.content)
                                          ORDER BY r.table_name, r.row_key), '[]')
                  FROM legacy_rows_of(u.user_id) r)
) AS document
  FROM (SELECT %(user_id)s::uuid AS user_id) AS u
  LEFT JOIN customers c ON c.user_id = u.user_id -- who never began an intake has none
 CROSS JOIN LATERAL (
   SELECT ARRAY['customer:' || u.user_id || ':credits', 'customer:' || u.user_id || ':receivable'] AS accounts) AS own
 WHERE is_named_anywhere(u.user_id)
"""

_ACTIVE: Final[LiteralString] = """
SELECT s.id FROM sessions s JOIN customers c ON c.id = s.customer_id
 WHERE c.user_id = %(user_id)s AND s.ended_at IS NULL
"""
_ERASE: Final[LiteralString] = """
SELECT e.user_id, e.erased_at, e.erased_by, e.sessions FROM erase_customer(%(user_id)s, %(operator)s) AS e
 WHERE e.user_id IS NOT NULL
"""


class NoSuchCustomer(Exception):
    """No row names a customer with this `sub`."""

    def __init__(self, user_id: UUID) -> None:
        super().__init__(f"there is no customer {user_id}")


class CustomerBusy(Exception):
    """The customer has an active session or an open payment, which has to end first."""

    def __init__(self, user_id: UUID, session_id: UUID | None) -> None:
        what = "an open payment" if session_id is None else f"the active session {session_id}"
        super().__init__(f"customer {user_id} has {what}; end it first")


class Erasure(ResponseModel):
    """The proof of an erasure.

    Attributes:
        erased_by: the database role and the operator.
        sessions: the number of sessions whose texts and names were erased.
    """

    user_id: UUID
    erased_at: Utc
    erased_by: str
    sessions: int


def export_customer(database: Database, user_id: UUID) -> dict[str, Any]:
    """Return everything that is known about a customer as one JSON document.

    Args:
        database: as its owner.
        user_id: the `sub` of the customer's token.

    Raises:
        NoSuchCustomer: there is no such customer.
    """
    row = database.one(_EXPORT, {"user_id": user_id})
    if row is None:
        raise NoSuchCustomer(user_id)
    document: dict[str, Any] = row["document"]
    return document


def erase_customer(database: Database, user_id: UUID, operator: str) -> Erasure:
    """Erase a customer's personal data from every row, permanently; a second time erases what came since.

    Stripe and the sign-in service keep records of their own, which have to be erased there.

    Args:
        database: as its owner.
        user_id: the `sub` of the customer's token.
        operator: who erases, for the record.

    Returns:
        The proof; that of the first erasure if the customer was erased before.

    Raises:
        NoSuchCustomer: there is no such customer.
        CustomerBusy: a session is active or a payment open.
    """
    try:
        row = database.one(_ERASE, {"user_id": user_id, "operator": operator})
    except Refused as refused:
        if refused.code != BUSY:
            raise
        active = database.one(_ACTIVE, {"user_id": user_id})
        raise CustomerBusy(user_id, None if active is None else active["id"]) from refused
    if row is None:
        raise NoSuchCustomer(user_id)
    return Erasure(**row)
