"""POST /api/sessions/{sessionId}/join, /leave and /release: evidence of presence, and the release of a session."""

from typing import Annotated, Final, Literal, LiteralString
from uuid import UUID

from pydantic import StringConstraints

from autodoctor.db import Database, Row
from autodoctor.domain.lifecycle import TERMINAL
from autodoctor.errors import (
    MechanicNotActive,
    SessionBusy,
    SessionEnded,
    SessionNotFound,
    SessionNotOpen,
    SessionNotReleasable,
    Unprocessable,
)
from autodoctor.prefetched import WithEvents
from autodoctor.web.schemas import RequestBody, ResponseModel, Utc


class PresenceRequest(RequestBody):
    """The party's socket, which is then evidence that they are in the room; without one it is their own word."""

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


_JOIN: Final[LiteralString] = "SELECT * FROM record_join(%(session_id)s, %(user_id)s, %(connection_id)s)"
_LEAVE: Final[LiteralString] = "SELECT * FROM record_leave(%(session_id)s, %(user_id)s, %(connection_id)s)"

_RELEASE: Final[LiteralString] = """
UPDATE sessions SET status = 'pending', actor = 'mechanic', actor_id = %(user_id)s
 WHERE id = %(session_id)s AND status = 'waiting'
   AND mechanic_id = (SELECT id FROM mechanics WHERE user_id = %(user_id)s)
RETURNING id AS session_id
"""

_LOOKUP: Final[LiteralString] = """
SELECT s.id AS session_id, s.status AS session_status, s.started_at,
       c.user_id = %(user_id)s OR m.user_id IS NOT DISTINCT FROM %(user_id)s AS is_party,
       m.user_id IS NOT DISTINCT FROM %(user_id)s AS is_mechanic, m.status = 'suspended' AS mechanic_suspended,
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
        connection_id: their socket, which from now on is evidence that they are in the room; None: their own word.

    Returns:
        The session's state; joining again records nothing.

    Raises:
        SessionNotFound: not a party of such a session.
        MechanicNotActive: the caller is its mechanic and suspended, and it is not live.
        SessionNotOpen: scheduled, and not due yet.
        SessionEnded: it is over.
        Unprocessable: the connection is not open, or another user's.
    """
    parameters = _parameters(user_id, session_id, connection_id)
    recorded = database.one(_JOIN, parameters)
    if recorded is None:
        found = _lookup(database, parameters)
        if found["session_status"] in TERMINAL:
            raise SessionEnded(found["session_status"])
        if found["session_status"] == "scheduled":
            raise SessionNotOpen(found["session_status"])
        if found["is_mechanic"] and found["mechanic_suspended"]:
            raise MechanicNotActive
        raise SessionBusy
    if not recorded.pop("bound") and connection_id is not None:
        raise Unprocessable(("/connectionId", "must be a connection of yours that is open"))
    return PresenceRecorded(**recorded)


def leave(database: Database, user_id: UUID, session_id: UUID, connection_id: str | None = None) -> PresenceRecorded:
    """Record that a party left: the room with this connection alone, or altogether.

    Leaving without having joined, or a session that is over, records nothing. `SessionNotFound` as for `join`.
    """
    recorded = database.one(_LEAVE, _parameters(user_id, session_id, connection_id))
    if recorded is None:
        raise SessionNotFound
    return PresenceRecorded(**recorded)


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
    return {"user_id": user_id, "session_id": session_id, "connection_id": connection_id}


def _lookup(database: Database, parameters: Row) -> Row:
    found = database.one(_LOOKUP, parameters)
    if found is None or not found["is_party"]:
        raise SessionNotFound
    return found
