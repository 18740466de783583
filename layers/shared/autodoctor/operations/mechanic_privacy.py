"""Exports or erases a mechanic's personal data on request, as privacy.py does for customers."""

from typing import Any, Final, LiteralString
from uuid import UUID

from autodoctor.db import Database, Refused
from autodoctor.operations.privacy import BUSY, Erasure

_EXPORT: Final[LiteralString] = """
SELECT jsonb_build_object(
  'mechanic', to_jsonb(m) - '{change_id,changed_by}'::text[],
  'sessions', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'sessionId', p.session_id, 'from', p.since, 'until', p.until, 'status', s.status,
                 'startedAt', s.started_at, 'endedAt', s.ended_at) ORDER BY p.since), '[]')
                 FROM session_participants p JOIN sessions s ON s.id = p.session_id WHERE p.mechanic_id = m.id),
  'messages', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'sessionId', t.session_id, 'at', t.at, 'text', t.text, 'attachmentId', t.attachment_id)
                 ORDER BY t.session_id, t.seq), '[]')
                 FROM session_messages t
                WHERE t.mechanic_id = m.id
                  AND t.session_id IN (SELECT p.session_id FROM session_participants p WHERE p.mechanic_id = m.id)),
  'notes', (SELECT coalesce(jsonb_agg(jsonb_build_object(
              'sessionId', n.session_id, 'at', n.saved_at, 'text', n.text) ORDER BY n.session_id), '[]')
              FROM session_notes n WHERE n.mechanic_id = m.id),
  'files', (SELECT coalesce(jsonb_agg(jsonb_build_object(
              'attachmentId', f.id, 'sessionId', f.session_id, 'name', f.name, 'contentType', f.content_type,
              'bytes', f.bytes, 'state', f.state, 'since', f.created_at, 'key', f.object_key) ORDER BY f.id), '[]')
              FROM attachments f WHERE f.user_id = m.user_id AND f.role = 'mechanic'),
  'quotes', (SELECT coalesce(jsonb_agg(
               to_jsonb(q) - '{actor,actor_id}'::text[]
                 - CASE WHEN q.mechanic_id <> m.id THEN 'note' ELSE '' END
                 - CASE WHEN q.given_by_id IS DISTINCT FROM m.id THEN 'description' ELSE '' END ORDER BY q.id), '[]')
               FROM quotes q WHERE m.id IN (q.mechanic_id, q.given_by_id)),
  'declines', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'sessionId', a.session_id, 'at', a.ended_at, 'reason', a.decline_reason) ORDER BY a.id), '[]')
                 FROM session_assignments a WHERE a.mechanic_id = m.id AND a.decline_reason IS NOT NULL),
  'answers', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'sessionId', k.session_id, 'at', k.answered_at, 'text', k.answer) ORDER BY k.session_id), '[]')
                FROM contests k JOIN sessions s ON s.id = k.session_id
               WHERE s.mechanic_id = m.id AND k.answer IS NOT NULL),
  'payouts', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'sessionId', p.session_id, 'kind', p.kind, 'amountCents', p.amount_cents, 'currency', p.currency,
                'state', p.state, 'sentAt', p.sent_at) ORDER BY p.id), '[]')
                FROM payouts p WHERE p.mechanic_id = m.id),
  'nettingConsents', (SELECT coalesce(jsonb_agg(to_jsonb(c) - '{id,mechanic_id}'::text[] ORDER BY c.id), '[]')
                        FROM netting_consents c WHERE c.mechanic_id = m.id),
  'notifications', (SELECT coalesce(jsonb_agg(to_jsonb(n) - '{user_id,event_id}'::text[] ORDER BY n.id), '[]')
                      FROM notifications n WHERE n.user_id = m.user_id),
  'preferences', (SELECT coalesce(jsonb_agg(to_jsonb(p) - 'user_id'), '[]')
                    FROM notification_preferences p WHERE p.user_id = m.user_id),
  'locale', (SELECT l.locale FROM notification_locales l WHERE l.user_id = m.user_id),
  'calledBrowsers', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                       'endpoint', p.endpoint, 'since', p.made_at, 'lastCalledAt', p.called_at) ORDER BY p.id), '[]')
                       FROM push_subscriptions p WHERE p.user_id = m.user_id)
) AS document
  FROM mechanics m WHERE m.user_id = %(user_id)s
"""

_ERASE: Final[LiteralString] = """
SELECT e.user_id, e.erased_at, e.erased_by, e.sessions FROM erase_mechanic(%(user_id)s, %(operator)s) AS e
 WHERE e.user_id IS NOT NULL
"""


class NoSuchMechanic(Exception):
    """No mechanic signs in with this `sub`."""

    def __init__(self, user_id: UUID) -> None:
        super().__init__(f"there is no mechanic {user_id}")


class MechanicUnsettled(Exception):
    """The mechanic has a session, or money is on its way to them: both have to end first."""

    def __init__(self, user_id: UUID) -> None:
        super().__init__(f"mechanic {user_id} has a session, or is still owed something; end and send it first")


def export_mechanic(database: Database, user_id: UUID) -> dict[str, Any]:
    """Return everything that is known about a mechanic as one JSON document; what customers said is not in it.

    Args:
        database: as its owner.
        user_id: the `sub` of the mechanic's token.

    Raises:
        NoSuchMechanic: there is no such mechanic.
    """
    row = database.one(_EXPORT, {"user_id": user_id})
    if row is None:
        raise NoSuchMechanic(user_id)
    document: dict[str, Any] = row["document"]
    return document


def erase_mechanic(database: Database, user_id: UUID, operator: str) -> Erasure:
    """Erase a mechanic's personal data from every row, permanently, and suspend them for good.

    A second time erases what came since. Their notes stay, which are the customers' record; so
    do their payouts and Stripe's ids.

    Args:
        database: as its owner.
        user_id: the `sub` of the mechanic's token.
        operator: who erases, for the record.

    Returns:
        The proof; that of the first erasure if the mechanic was erased before.

    Raises:
        NoSuchMechanic: there is no such mechanic.
        MechanicUnsettled: a session is active, or money is owed.
    """
    try:
        row = database.one(_ERASE, {"user_id": user_id, "operator": operator})
    except Refused as refused:
        if refused.code != BUSY:
            raise
        raise MechanicUnsettled(user_id) from refused
    if row is None:
        raise NoSuchMechanic(user_id)
    return Erasure(**row)
