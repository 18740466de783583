"""Rooms: numbers without gaps, counters that agree with the messages, and nobody's words where they cannot be.

Of a session and its window like everything else that belongs to it; no word is read.
"""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import psycopg

from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.now import Query, findings_of

MISSING: Final = Check("room_missing", Section.ROOMS, "a session without a room, or a room without a session")
GAP: Final = Check("message_gap", Section.ROOMS, "the messages are not numbered from 1 to the last one")
MISCOUNTED: Final = Check("room_miscounted", Section.ROOMS, "how much a party has written is not what there is")
READ_BEYOND: Final = Check("read_beyond", Section.ROOMS, "read further than there are messages")
STRANGER: Final = Check("message_of_a_stranger", Section.ROOMS, "written by a mechanic who had not the session then")
AFTER_END: Final = Check("message_after_the_end", Section.ROOMS, "written after the session was over")

# A statement takes five seconds at most: so much later than a move may a message be that had begun before it.
_QUERIES: Final[tuple[Query, ...]] = (
    (
        MISSING,
        """
SELECT coalesce(s.id, r.session_id), format('%%s', CASE WHEN s.id IS NULL THEN 'no session' ELSE 'no room' END)
  FROM (SELECT id FROM sessions WHERE id > %(after)s AND id <= %(upto)s) AS s
  FULL JOIN (SELECT session_id FROM rooms WHERE session_id > %(after)s AND session_id <= %(upto)s) AS r
    ON r.session_id = s.id
 WHERE s.id IS NULL OR r.session_id IS NULL
UNION ALL
SELECT m.session_id, 'messages, and no room' FROM session_messages m
 WHERE m.session_id > %(after)s AND m.session_id <= %(upto)s
   AND NOT EXISTS (SELECT FROM rooms r WHERE r.session_id = m.session_id)
 GROUP BY m.session_id
""",
    ),
    (
        GAP,
        """
SELECT r.session_id, format('%%s messages up to %%s, the last is %%s', coalesce(m.messages, 0), coalesce(m.last, 0),
                            r.latest)
  FROM rooms r
  LEFT JOIN (SELECT session_id, count(*) AS messages, max(seq) AS last FROM session_messages
              WHERE session_id > %(after)s AND session_id <= %(upto)s GROUP BY session_id) AS m USING (session_id)
 WHERE r.session_id > %(after)s AND r.session_id <= %(upto)s
   AND (coalesce(m.messages, 0), coalesce(m.last, 0)) <> (r.latest, r.latest)
""",
    ),
    (
        MISCOUNTED,
        """
SELECT r.session_id, format('customer %%s of %%s, mechanic %%s of %%s', r.customer_written, coalesce(m.customer, 0),
                            r.mechanic_written, coalesce(m.mechanic, 0))
  FROM rooms r
  LEFT JOIN (SELECT t.session_id, count(*) FILTER (WHERE t.role = 'customer') AS customer,
                    count(*) FILTER (WHERE t.mechanic_id = s.mechanic_id AND t.at >= s.accepted_at) AS mechanic
               FROM session_messages t JOIN sessions s ON s.id = t.session_id
              WHERE t.session_id > %(after)s AND t.session_id <= %(upto)s GROUP BY t.session_id) AS m
       USING (session_id)
 WHERE r.session_id > %(after)s AND r.session_id <= %(upto)s
   AND (coalesce(m.customer, 0), coalesce(m.mechanic, 0)) <> (r.customer_written, r.mechanic_written)
""",
    ),
    (
        READ_BEYOND,
        """
SELECT session_id, format('%%s and %%s of %%s', customer_read, mechanic_read, latest) FROM rooms
 WHERE session_id > %(after)s AND session_id <= %(upto)s
   AND (NOT customer_read BETWEEN 0 AND latest OR NOT mechanic_read BETWEEN 0 AND latest)
""",
    ),
    (
        STRANGER,
        """
SELECT t.session_id, format('message %%s of mechanic %%s', t.seq, t.mechanic_id) FROM session_messages t
 WHERE t.session_id > %(after)s AND t.session_id <= %(upto)s AND t.role = 'mechanic'
   AND NOT EXISTS (SELECT FROM session_participants p
                    WHERE p.session_id = t.session_id AND p.mechanic_id = t.mechanic_id
                      AND t.at BETWEEN p.since AND coalesce(p.until, 'infinity') + interval '5 seconds')
""",
    ),
    (
        AFTER_END,
        """
WITH finished AS MATERIALIZED (
  SELECT session_id, min(occurred_at) AS over_at FROM session_events
   WHERE session_id > %(after)s AND session_id <= %(upto)s AND to_status IN ('completed', 'cancelled', 'expired')
   GROUP BY session_id
)
SELECT t.session_id, format('message %%s at %%s, over at %%s', t.seq, t.at, f.over_at)
  FROM finished f JOIN session_messages t USING (session_id)
 WHERE t.role <> 'system' AND t.at > f.over_at + interval '5 seconds'
""",
    ),
)
CHECKS: Final = tuple(check for check, _ in _QUERIES)


def check(connection: psycopg.Connection[Any], after: UUID, upto: UUID) -> Iterator[Finding]:
    """Check the rooms of the sessions after one id and up to another, in the snapshot of the transaction."""
    yield from findings_of(connection, _QUERIES, after=after, upto=upto)
