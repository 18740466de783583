"""Sends connected customers in the queue their place, whenever it has changed."""

import json
from collections import defaultdict
from typing import Any, Final, LiteralString

from psycopg.types.json import Jsonb

from autodoctor.db import Database, Row
from autodoctor.events.feed import messages

# An estimate moves with the clock; only a change that somebody would notice is sent.
NOTICED_SECONDS: Final = 30

_CHANGED: Final[LiteralString] = """
WITH listener AS MATERIALIZED (
  SELECT c.connection_id, c.user_id, c.queue_position FROM realtime_connections c
   WHERE c.ready AND c.expires_at > now() AND 'customers' = ANY (c.groups)
)
SELECT l.connection_id, w.session_id, w.place, w.mechanics_available, w.estimated_wait_seconds
  FROM queue_positions(ARRAY(SELECT DISTINCT user_id FROM listener)) AS w
  JOIN listener l ON l.user_id = w.user_id
 WHERE l.queue_position IS NULL
    OR (l.queue_position ->> 'sessionId')::uuid <> w.session_id
    OR (l.queue_position ->> 'position')::integer <> w.place
    OR (l.queue_position ->> 'mechanicsAvailable')::integer <> w.mechanics_available
    OR (l.queue_position ->> 'estimatedWaitSeconds' IS NULL) <> (w.estimated_wait_seconds IS NULL)
    OR abs((l.queue_position ->> 'estimatedWaitSeconds')::integer - w.estimated_wait_seconds) >= %(noticed_seconds)s
"""

_MARK_SENT: Final[LiteralString] = """
UPDATE realtime_connections c SET queue_position = sent.payload
  FROM jsonb_to_recordset(%(sent)s) AS sent (connection_id text, payload jsonb)
 WHERE c.connection_id = sent.connection_id
"""


def changed(database: Database) -> list[Row]:
    """The connections to which the customer's present place has not been sent."""
    return database.all(_CHANGED, {"noticed_seconds": NOTICED_SECONDS})


def frames(database: Database, rows: list[Row]) -> dict[str, list[bytes]]:
    """A `waiting_updated` message for each of `changed()`, by connection, numbered like all messages."""
    made: defaultdict[str, list[bytes]] = defaultdict(list)
    for seq, row in enumerate(rows, start=messages.numbers(database, len(rows))):
        made[row["connection_id"]].append(messages.envelope("waiting_updated", seq, _payload(row)))
    return made


def mark_sent(database: Database, rows: list[Row]) -> None:
    """Record the positions that were sent."""
    listed = [{"connection_id": row["connection_id"], "payload": _payload(row)} for row in rows]
    database.execute(_MARK_SENT, {"sent": Jsonb(listed, dumps=lambda value: json.dumps(value, default=str))})


def _payload(row: Row) -> dict[str, Any]:
    return {
        "sessionId": row["session_id"],
        "position": row["place"],
        "mechanicsAvailable": row["mechanics_available"],
        "estimatedWaitSeconds": row["estimated_wait_seconds"],
    }
