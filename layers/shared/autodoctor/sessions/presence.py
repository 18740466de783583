"""POST /api/sessions/{sessionId}/join, /leave and /release: evidence of presence, and the release of a session."""

from typing import Annotated, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import StringConstraints

from autodoctor.db import Database, Row
from autodoctor.domain.lifecycle import TERMINAL
from autodoctor.errors import SessionBusy, SessionEnded, SessionNotFound, SessionNotOpen, SessionNotReleasable
from autodoctor.prefetched import WithEvents
from autodoctor.web.schemas import RequestBody, ResponseModel, Utc


class PresenceRequest(RequestBody):
    """The socket whose closing means that the party leaves, if there is one."""

    connection_id: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None


class PresenceRecorded(WithEvents):
    """The session's present state."""

    session_id: UUID
    session_status: str
    started_at: Utc | None


class Released(ResponseModel):
    """The session is in the queue again."""

    session_id: UUID
    session_status: Literal["pending"] = "pending"


_JOIN: Final[LiteralString] = """
SELECT * FROM record_join(%(session_id)s, %(user_id)s, %(connection_id)s, %(data)s)
"""

_LEAVE: Final[LiteralString] = """
UPDATE sessions s
   SET customer_present = s.customer_present AND s.customer_id IS DISTINCT FROM party.customer_id,
       mechanic_present = s.mechanic_present AND s.mechanic_id IS DISTINCT FROM party.mechanic_id,
       actor = CASE WHEN s.customer_id = party.customer_id THEN 'customer' ELSE 'mechanic' END, actor_id = %(user_id)s,
       change_data = %(data)s
  FROM (SELECT (SELECT id FROM customers WHERE user_id = %(user_id)s) AS customer_id,
               (SELECT id FROM mechanics WHERE user_id = %(user_id)s) AS mechanic_id) AS party
 WHERE s.id = %(session_id)s AND s.status IN ('pending', 'waiting', 'live')
   AND (s.customer_present AND s.customer_id = party.customer_id
        OR s.mechanic_present AND s.mechanic_id = party.mechanic_id)
RETURNING s.id AS session_id, s.status AS session_status, s.started_at
"""

_VANISHING: Final[LiteralString] = """
SELECT s.id FROM sessions s
 WHERE s.id = (SELECT c.joined FROM realtime_connections c WHERE c.connection_id = %(connection_id)s)
   FOR NO KEY UPDATE
"""

_VANISHED: Final[LiteralString] = """
DELETE FROM realtime_connections WHERE connection_id = %(connection_id)s RETURNING user_id, joined
"""

# A party whose last join named no connection stays, and so does one with another connection in the session.
_VANISH: Final[LiteralString] = """
UPDATE sessions s
   SET customer_present = s.customer_present AND party.role <> 'customer',
       mechanic_present = s.mechanic_present AND party.role <> 'mechanic',
       actor = party.role, actor_id = %(user_id)s, change_data = %(data)s
  FROM (SELECT CASE WHEN EXISTS (SELECT FROM customers c WHERE c.id = x.customer_id AND c.user_id = %(user_id)s)
                    THEN 'customer' ELSE 'mechanic' END AS role
          FROM sessions x WHERE x.id = %(session_id)s) AS party
 WHERE s.id = %(session_id)s AND s.status IN ('pending', 'waiting', 'live')
   AND CASE party.role WHEN 'customer' THEN s.customer_present
                       ELSE s.mechanic_present
                            AND s.mechanic_id = (SELECT m.id FROM mechanics m WHERE m.user_id = %(user_id)s) END
   AND NOT EXISTS (SELECT FROM realtime_connections c
                    WHERE c.user_id = %(user_id)s AND c.joined = s.id AND c.expires_at > now())
   AND (SELECT e.data ->> 'connectionId' FROM session_events e
         WHERE e.session_id = s.id AND e.role = party.role AND e.type = 'joined' ORDER BY e.id DESC LIMIT 1) IS NOT NULL
"""

_RELEASE: Final[LiteralString] = """
UPDATE sessions SET status = 'pending', actor = 'mechanic', actor_id = %(user_id)s
 WHERE id = %(session_id)s AND status = 'waiting'
   AND mechanic_id = (SELECT id FROM mechanics WHERE user_id = %(user_id)s)
RETURNING id AS session_id
"""

_LOOKUP: Final[LiteralString] = """
SELECT s.id AS session_id, s.status AS session_status, s.started_at,
       c.user_id = %(user_id)s OR m.user_id IS NOT DISTINCT FROM %(user_id)s AS is_party,
       m.user_id IS NOT DISTINCT FROM %(user_id)s AS is_mechanic,
       EXISTS (SELECT FROM session_participants p JOIN mechanics was ON was.id = p.mechanic_id
                WHERE p.session_id = s.id AND was.user_id = %(user_id)s AND p.until IS NOT NULL) AS gave_it_back
  FROM sessions s
  JOIN customers c ON c.id = s.customer_id
  LEFT JOIN mechanics m ON m.id = s.mechanic_id
 WHERE s.id = %(session_id)s
"""


def join(database: Database, user_id: UUID, session_id: UUID, connection_id: str | None = None) -> PresenceRecorded:
    """Record that a party is present; the session is live as soon as both are.

    Args:
        user_id: `sub` of the customer or the mechanic.
        connection_id: the socket whose closing will mean leaving.

    Returns:
        The session's state; joining again records nothing.

    Raises:
        SessionNotFound: not a party of such a session.
        SessionNotOpen: scheduled, and not due yet.
        SessionEnded: it is over.
    """
    parameters = _parameters(user_id, session_id, connection_id)
    recorded = database.one(_JOIN, parameters)
    if recorded is None:
        found = _lookup(database, parameters)
        if found["session_status"] in TERMINAL:
            raise SessionEnded(found["session_status"])
        if found["session_status"] == "scheduled":
            raise SessionNotOpen(found["session_status"])
        raise SessionBusy
    return PresenceRecorded(**recorded)


def leave(database: Database, user_id: UUID, session_id: UUID, connection_id: str | None = None) -> PresenceRecorded:
    """Record that a party left; without a join there is nothing to record.

    Arguments and `SessionNotFound` as for `join`; leaving a session that is over records nothing.
    """
    parameters = _parameters(user_id, session_id, connection_id)
    recorded = database.one(_LEAVE, parameters) or _lookup(database, parameters)
    return PresenceRecorded(**recorded)


def forget_connection(connection: psycopg.Connection[Row], connection_id: str) -> None:
    """Remove a connection that has ended; its user has left the session they joined with it, if it was their last.

    Args:
        connection: in a transaction. The session's row is locked first, so that of two sockets that end at once the
            second sees that the first is gone.
        connection_id: as given at join; one that nobody joined with changes nothing else.
    """
    named = {"connection_id": connection_id}
    connection.execute(_VANISHING, named)
    gone = connection.execute(_VANISHED, named).fetchone()
    if gone is not None and gone["joined"] is not None:
        connection.execute(_VANISH, _parameters(gone["user_id"], gone["joined"], connection_id))


def release(database: Database, user_id: UUID, session_id: UUID) -> Released:
    """Release a session before it is live; the same transaction queues it again with its old place.

    Args:
        user_id: the mechanic's `sub`.

    Returns:
        The session, pending; repeating it gives the same until another mechanic accepts.

    Raises:
        SessionNotFound: not this mechanic's session.
        SessionNotReleasable: it is live already.
        SessionEnded: it is over.
    """
    parameters = {"user_id": user_id, "session_id": session_id}
    released = database.one(_RELEASE, parameters)
    if released is None:
        released = database.one(_LOOKUP, parameters)
        if released is None:
            raise SessionNotFound
        if not (released["gave_it_back"] and released["session_status"] == "pending"):
            if not released["is_mechanic"]:
                raise SessionNotFound
            if released["session_status"] in TERMINAL:
                raise SessionEnded(released["session_status"])
            raise SessionNotReleasable(released["session_status"])
    return Released(session_id=released["session_id"])


def _parameters(user_id: UUID, session_id: UUID, connection_id: str | None) -> Row:
    data = Jsonb({"connectionId": connection_id}) if connection_id else None
    return {"user_id": user_id, "session_id": session_id, "connection_id": connection_id, "data": data}


def _lookup(database: Database, parameters: Row) -> Row:
    found = database.one(_LOOKUP, parameters)
    if found is None or not found["is_party"]:
        raise SessionNotFound
    return found
