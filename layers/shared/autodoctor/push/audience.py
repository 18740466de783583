"""Who is called by an event, as things are now: the browsers of the people concerned, and the facts of their words."""

from typing import Final, LiteralString

from autodoctor.db import Database, Row
from autodoctor.events.model import AssignmentEvent, MessageEvent, QuoteEvent, SessionEvent

# Every subselect gives user_id, kind and topic, and facts; the rest is the same for all of them.
_BROWSERS: Final[LiteralString] = """
SELECT u.*, p.id AS subscription_id, p.endpoint, p.public_key, p.secret, coalesce(l.locale, 'en') AS locale
  FROM asked u
  JOIN push_subscriptions p ON p.user_id = u.user_id
  LEFT JOIN notification_locales l ON l.user_id = u.user_id
  LEFT JOIN notification_preferences w ON w.user_id = u.user_id AND w.kind = u.kind
 WHERE w.push IS NOT FALSE
   AND NOT EXISTS (SELECT FROM push_deliveries d WHERE d.event_id = %(event_id)s AND d.subscription_id = p.id)
"""
# Whom their queue shows the request, who is available, and who could take it.
_REQUEST: Final[LiteralString] = (
    """
WITH asked AS (
  SELECT d.user_id, CASE a.status WHEN 'offered' THEN 'request_offered' ELSE 'request_waiting' END AS kind,
         a.id AS topic, a.session_id, a.urgent, i.session_type, i.vehicle, pays_mechanic(i) AS pays_cents, i.currency
    FROM session_assignments a
    JOIN intakes i ON i.id = a.session_id
    JOIN customers c ON c.id = i.customer_id
    JOIN mechanics_on_duty d ON visible_now(a, d.id, d.workshop_id) AND d.user_id <> c.user_id
   WHERE a.id = coalesce(%(assignment_id)s,
                         (SELECT s.current_assignment_id FROM sessions s WHERE s.id = %(session_id)s))
     AND NOT EXISTS (SELECT FROM sessions b WHERE b.mechanic_id = d.id AND b.ended_at IS NULL)
     AND NOT EXISTS (SELECT FROM paused_mechanics x WHERE x.mechanic_id = d.id)
)
"""
    + _BROWSERS
)
_ACCEPTED: Final[LiteralString] = (
    """
WITH asked AS (
  SELECT c.user_id, 'mechanic_assigned' AS kind, s.id AS topic, s.id AS session_id, i.session_type, m.name AS mechanic
    FROM sessions s
    JOIN intakes i ON i.id = s.id
    JOIN customers c ON c.id = s.customer_id
    JOIN mechanics m ON m.id = s.mechanic_id
   WHERE s.id = %(session_id)s AND s.status = 'waiting' AND s.mechanic_id = %(mechanic_id)s
)
"""
    + _BROWSERS
)
# The other party, unless they are in the room or have read it.
_WRITTEN: Final[LiteralString] = (
    """
WITH asked AS (
  SELECT u.user_id, 'message_waiting' AS kind, s.id AS topic, s.id AS session_id, i.session_type, m.name AS mechanic,
         %(role)s = 'customer' AS from_customer
    FROM sessions s
    JOIN intakes i ON i.id = s.id
    JOIN customers c ON c.id = s.customer_id
    JOIN rooms r ON r.session_id = s.id
    LEFT JOIN mechanics m ON m.id = s.mechanic_id
   CROSS JOIN LATERAL (SELECT CASE %(role)s WHEN 'customer' THEN m.user_id ELSE c.user_id END AS user_id) AS u
   WHERE s.id = %(session_id)s AND s.ended_at IS NULL
     AND CASE %(role)s WHEN 'customer' THEN r.mechanic_read ELSE r.customer_read END < %(seq)s
     AND NOT EXISTS (SELECT FROM realtime_connections k
                      WHERE k.room = s.id AND k.user_id = u.user_id AND k.expires_at > now())
)
"""
    + _BROWSERS
)
_QUOTED: Final[LiteralString] = (
    """
WITH asked AS (
  SELECT c.user_id, 'quote_given' AS kind, s.id AS topic, s.id AS session_id, i.session_type, q.amount_cents, q.currency
    FROM quotes q
    JOIN sessions s ON s.id = q.session_id
    JOIN intakes i ON i.id = s.id
    JOIN customers c ON c.id = s.customer_id
   WHERE q.id = %(quote_id)s AND q.status = 'given' AND q.amount_cents = %(amount_cents)s
)
"""
    + _BROWSERS
)
_SHOWN: Final[LiteralString] = """
SELECT DISTINCT p.id AS subscription_id, p.endpoint, p.public_key, p.secret
  FROM push_deliveries d
  JOIN push_subscriptions p ON p.id = d.subscription_id
  JOIN session_assignments a ON a.id = d.topic
 WHERE d.topic = %(topic)s AND d.withdrawn_at IS NULL AND a.status NOT IN ('queued', 'offered')
"""

type Calling = AssignmentEvent | SessionEvent | MessageEvent | QuoteEvent


def called_by(database: Database, event: Calling) -> list[Row]:
    """The browsers that this event calls and has not called yet, each with the kind, the topic and the facts.

    They are asked for as things are now: nobody is called for what is gone already.
    """
    if isinstance(event, AssignmentEvent):
        return _request(database, event, event.assignment_id)
    if isinstance(event, MessageEvent):
        return database.all(_WRITTEN, event.model_dump(include={"event_id", "session_id", "role", "seq"}))
    if isinstance(event, QuoteEvent):
        return database.all(_QUOTED, event.model_dump(include={"event_id", "quote_id", "amount_cents"}))
    if event.type == "session.waiting":
        return database.all(_ACCEPTED, event.model_dump(include={"event_id", "session_id", "mechanic_id"}))
    return _request(database, event, None)  # its time has come


def _request(database: Database, event: AssignmentEvent | SessionEvent, assignment_id: object) -> list[Row]:
    known = {"event_id": event.event_id, "session_id": event.session_id, "assignment_id": assignment_id}
    return database.all(_REQUEST, known)


def still_shown(database: Database, topic: object) -> list[Row]:
    """The browsers that may show a request that is gone."""
    return database.all(_SHOWN, {"topic": topic})
