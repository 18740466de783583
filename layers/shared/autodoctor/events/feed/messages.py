"""The feed: the messages that an event becomes, and who gets each."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, LiteralString

from psycopg.types.json import Jsonb

from autodoctor.db import Database, Row
from autodoctor.events.model import AssignmentEvent, Event, SessionEvent
from autodoctor.sessions.queue import vehicle_summary
from autodoctor.web.schemas import wire

_SHOWN: Final = frozenset({"queued", "offered"})
_GONE: Final = {
    "assignment.accepted": "assignment_accepted",
    "assignment.cancelled": "assignment_cancelled",
    "assignment.expired": "assignment_expired",
    "assignment.declined": "assignment_expired",  # for the other devices of the mechanic who declined
}
_CREATION: Final = 2
"""A new session's first two events are its own creation and its assignment's."""

# An older event that comes late is left out; the lock of feed_head makes numbers and commits agree.
_RECORD: Final[LiteralString] = """
WITH head AS (
  UPDATE feed_head SET seq = seq + %(count)s RETURNING seq - %(count)s AS before
), wanted AS (
  SELECT w.n, w.event_id, w.type, w.session_id, w.session_seq, w.previous_status, w.reason, w.mechanic_id,
         coalesce(w.status, s.status) AS status,
         CASE WHEN w.type <> 'session_updated' THEN coalesce(w.assignment_id, s.current_assignment_id) END
           AS assignment_id
    FROM jsonb_to_recordset(%(messages)s) AS w (n integer, event_id uuid, type text, session_id uuid,
           assignment_id uuid, session_seq integer, status text, previous_status text, reason text, mechanic_id uuid)
    JOIN sessions s ON s.id = w.session_id
)
INSERT INTO feed (seq, event_id, type, session_id, assignment_id, session_seq, status, previous_status, reason,
                  mechanic_id)
SELECT head.before + w.n, w.event_id, w.type, w.session_id, w.assignment_id, w.session_seq, w.status,
       w.previous_status, w.reason, w.mechanic_id
  FROM wanted w, head
 WHERE NOT EXISTS (
   SELECT FROM feed f WHERE f.session_id = w.session_id AND f.session_seq > w.session_seq
      AND f.assignment_id IS NOT DISTINCT FROM w.assignment_id
      AND (w.mechanic_id IS NULL OR f.mechanic_id = w.mechanic_id)) -- and went to everybody this one is for
 ORDER BY w.n
ON CONFLICT (event_id, type) DO NOTHING
"""

_RECIPIENTS: Final[LiteralString] = """
WITH message AS MATERIALIZED (
  SELECT f.* FROM feed f
   WHERE f.seq > %(since)s
     AND (%(event_ids)s::uuid[] IS NULL OR f.event_id = ANY (%(event_ids)s::uuid[]) AND f.sent_at IS NULL)
), connection AS MATERIALIZED (
  SELECT c.* FROM realtime_connections c
   WHERE c.expires_at > now()
     AND CASE WHEN %(connection_id)s::text IS NULL THEN c.ready ELSE c.connection_id = %(connection_id)s::text END
)
SELECT f.seq, f.type, c.connection_id, f.session_id, f.assignment_id, f.status, f.reason,
       NULL AS customer_name, NULL AS vehicle, NULL AS concern, NULL AS urgent, NULL AS scheduled_for,
       NULL AS picture_id
  FROM message f
  JOIN sessions s ON s.id = f.session_id
  JOIN customers k ON k.id = s.customer_id
  JOIN connection c ON c.user_id = k.user_id AND 'customers' = ANY (c.groups) OR c.mechanic_id = f.mechanic_id
 WHERE f.type = 'session_updated'
UNION ALL
SELECT f.seq, f.type, c.connection_id, f.session_id, f.assignment_id, f.status, f.reason,
       i.customer_name, i.vehicle, i.concern, a.urgent, i.scheduled_for,
       CASE f.type WHEN 'new_assignment' THEN first_picture(f.session_id) END
  FROM message f
  JOIN session_assignments a ON a.id = f.assignment_id
  JOIN intakes i ON i.id = f.session_id
  JOIN customers k ON k.id = i.customer_id
  JOIN connection c ON c.mechanic_id IS NOT NULL
  JOIN mechanics m ON m.id = c.mechanic_id AND m.status = 'active' AND m.user_id <> k.user_id
 WHERE f.type <> 'session_updated' AND CASE f.type
         WHEN 'new_assignment' THEN visible_now(a, m.id, m.workshop_id)
         ELSE visible_before(a, f.previous_status, f.created_at, m.id, m.workshop_id) END
 ORDER BY seq LIMIT %(most)s
"""

_SENT: Final[LiteralString] = """
UPDATE feed SET sent_at = clock_timestamp() WHERE event_id = ANY (%(event_ids)s) AND sent_at IS NULL
"""

_NUMBERS: Final[LiteralString] = """
UPDATE feed_head SET seq = seq + %(count)s RETURNING seq - %(count)s + 1 AS first
"""

_HEAD: Final[LiteralString] = "SELECT seq, feed_id() AS feed FROM feed_head"

_PRUNE: Final[LiteralString] = "SELECT prune_realtime(%(batch)s) AS pruned"
_PRUNED_AT_ONCE: Final = 5000


def messages_of(event: Event) -> list[dict[str, Any]]:
    """The rows of the feed that an event becomes; none where it concerns no client."""
    if isinstance(event, SessionEvent):
        facts = {"status": event.status, "reason": event.reason, "mechanic_id": event.mechanic_id}
        messages = [_message(event, "session_updated", **facts)]
        if event.type == "session.pending" and event.previous_status == "scheduled":
            messages.append(_message(event, "new_assignment", status="queued"))
        return messages
    if not isinstance(event, AssignmentEvent):
        return []
    facts = {"assignment_id": event.assignment_id, "status": event.status}
    if event.status in _SHOWN:
        messages = [_message(event, "new_assignment", **facts)]
        if event.session_seq > _CREATION:
            messages.append(_message(event, "session_updated"))  # the customer's place has changed
        return messages
    if event.type in _GONE and event.previous_status in _SHOWN:
        return [_message(event, _GONE[event.type], previous_status=event.previous_status, **facts)]
    return []


def record(database: Database, events: Iterable[Event]) -> None:
    """Store the messages of these events with their numbers; those stored before keep theirs."""
    messages = [message for event in events for message in messages_of(event)]
    if messages:
        numbered = [{"n": number, **message} for number, message in enumerate(messages, start=1)]
        dumped = Jsonb(numbered, dumps=lambda value: json.dumps(value, default=str))
        database.execute(_RECORD, {"messages": dumped, "count": len(messages)})


def unsent(database: Database, events: Sequence[Event]) -> list[Row]:
    """Unsent messages of these events, one row per message and connection, in `seq` order."""
    event_ids = [event.event_id for event in events]
    return database.all(_RECIPIENTS, {"since": 0, "event_ids": event_ids, "connection_id": None, "most": None})


def missed(database: Database, connection_id: str, since: int, most: int) -> list[Row]:
    """The first `most` messages after `since` for this connection, in `seq` order."""
    parameters = {"since": since, "event_ids": None, "connection_id": connection_id, "most": most}
    return database.all(_RECIPIENTS, parameters)


def mark_sent(database: Database, events: Sequence[Event]) -> None:
    """Record that the messages of these events were sent to everybody who was connected."""
    database.execute(_SENT, {"event_ids": [event.event_id for event in events]})


def numbers(database: Database, count: int) -> int:
    """Reserve numbers for messages that are not stored; returns the first."""
    return int(database.only(_NUMBERS, {"count": count})["first"])


def where_we_are(database: Database, kind: str, **payload: object) -> bytes:
    """A message of this type with the last number that was given and the feed's id, from which a client goes on."""
    row = database.only(_HEAD, {})
    return envelope(kind, row["seq"], {**payload, "feed": row["feed"]})


def prune(database: Database) -> None:
    """Delete old messages, tickets and connections."""
    while (row := database.one(_PRUNE, {"batch": _PRUNED_AT_ONCE})) and row["pruned"] >= _PRUNED_AT_ONCE:
        pass


def frame(row: Row) -> bytes:
    """The JSON that a client gets."""
    if row["type"] == "session_updated":
        payload = {"sessionId": row["session_id"], "status": row["status"], "reason": row["reason"]}
    elif row["type"] == "new_assignment":
        payload = {
            "assignmentId": row["assignment_id"],
            "sessionId": row["session_id"],
            "customerName": row["customer_name"],
            "vehicleSummary": vehicle_summary(row["vehicle"]),
            "concern": row["concern"],
            "pictureId": row["picture_id"],
            "urgent": row["urgent"],
            "scheduledFor": wire(row["scheduled_for"]),
        }
    else:
        payload = {"assignmentId": row["assignment_id"], "sessionId": row["session_id"], "status": row["status"]}
    return envelope(row["type"], row["seq"], payload)


def envelope(kind: str, seq: int, payload: dict[str, Any]) -> bytes:
    """`{type, seq, payload}` as JSON."""
    return json.dumps({"type": kind, "seq": seq, "payload": payload}, default=str).encode()


def _message(event: SessionEvent | AssignmentEvent, kind: str, **facts: object) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "type": kind,
        "session_id": event.session_id,
        "session_seq": event.session_seq,
        **facts,
    }
