"""POST /api/mechanic/assignments/{assignmentId}/accept and /decline: a mechanic takes or declines a request."""

from typing import Annotated, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from pydantic import StringConstraints

from autodoctor.db import Database, Refused, Row
from autodoctor.errors import (
    AssignmentNotFound,
    AssignmentUnavailable,
    MechanicBusy,
    MechanicNotActive,
    OwnSession,
    TooManyRequests,
)
from autodoctor.prefetched import WithEvents
from autodoctor.web.schemas import RequestBody, ResponseModel


class Accepted(WithEvents):
    """The session is this mechanic's."""

    assignment_id: UUID
    session_id: UUID
    session_status: str


class DeclineRequest(RequestBody):
    """Why, if the mechanic cares to say."""

    reason: Annotated[str, StringConstraints(max_length=500)] | None = None


class Declined(ResponseModel):
    """The session is queued again for the others."""

    assignment_id: UUID
    session_id: UUID
    assignment_status: Literal["declined"] = "declined"


_ACCEPT: Final[LiteralString] = "SELECT * FROM accept_assignment(%(user_id)s, %(assignment_id)s)"

# The mechanic's row is locked before the session's, as a suspension does.
_COME_DUE: Final[LiteralString] = """
WITH mechanic AS MATERIALIZED (SELECT FROM mechanics WHERE user_id = %(user_id)s AND status = 'active' FOR SHARE)
UPDATE sessions SET status = 'pending', actor = 'mechanic', actor_id = %(user_id)s
  FROM mechanic
 WHERE status = 'scheduled' AND current_assignment_id = %(assignment_id)s
   AND id = (SELECT session_id FROM session_assignments WHERE id = %(assignment_id)s)
"""

_DECLINE: Final[LiteralString] = """
WITH session AS MATERIALIZED (
  SELECT s.id FROM session_assignments a JOIN sessions s ON s.id = a.session_id
   WHERE a.id = %(assignment_id)s
     FOR NO KEY UPDATE OF s
)
UPDATE session_assignments a
   SET status = 'declined', actor = 'mechanic', actor_id = %(user_id)s, decline_reason = %(reason)s
  FROM session, mechanics m
 WHERE a.id = %(assignment_id)s AND a.session_id = session.id AND m.user_id = %(user_id)s
   AND a.status = 'offered' AND visible_now(a, m.id, m.workshop_id)
RETURNING a.id AS assignment_id, a.session_id
"""

_LOOKUP: Final[LiteralString] = """
SELECT m.id AS mechanic_id, m.status AS mechanic_status, a.id AS assignment_id, a.session_id, a.status,
       a.mechanic_id = m.id AS mine, s.status AS session_status, c.user_id = %(user_id)s AS own_session,
       EXISTS (SELECT FROM sessions o WHERE o.mechanic_id = m.id AND o.ended_at IS NULL) AS busy,
       visible_now(a, m.id, m.workshop_id) AS visible, visible_ever(a, m.id, m.workshop_id) AS visible_once,
       (SELECT ceil(extract(epoch FROM p.until - now()))::integer FROM paused_mechanics p WHERE p.mechanic_id = m.id)
         AS paused_seconds
  FROM mechanics m
  LEFT JOIN session_assignments a ON a.id = %(assignment_id)s
  LEFT JOIN sessions s ON s.id = a.session_id
  LEFT JOIN customers c ON c.id = s.customer_id
 WHERE m.user_id = %(user_id)s
"""

_ATTEMPTS: Final = 3


def accept(database: Database, user_id: UUID, assignment_id: UUID) -> Accepted:
    """Give the session of this assignment to this mechanic.

    Args:
        user_id: the mechanic's `sub`.
        assignment_id: the request, as the queue showed it.

    Returns:
        The session; the same again for the mechanic who has it.

    Raises:
        MechanicNotActive: no such mechanic, or suspended.
        AssignmentNotFound: never visible to this mechanic.
        AssignmentUnavailable: taken, over, or past its deadline.
        MechanicBusy: the mechanic has a waiting or live session.
        OwnSession: the mechanic is the customer.
        TooManyRequests: the mechanic gave back too many sessions of late.
    """
    parameters = {"user_id": user_id, "assignment_id": assignment_id}
    try:
        # A scheduled session may come due between one look and the next.
        for _ in range(_ATTEMPTS):
            accepted = (
                database.one(_ACCEPT, parameters)
                or _held(database, parameters)
                or database.transaction(lambda connection: _accept_scheduled(connection, parameters))
            )
            if accepted is not None:
                return Accepted(**accepted)
    except psycopg.errors.UniqueViolation:
        raise MechanicBusy from None
    except Refused as refused:
        if refused.code == "AD003":
            raise OwnSession from None
        if refused.code != "AD002":
            raise
    raise AssignmentUnavailable(assignment_id)


def decline(database: Database, user_id: UUID, assignment_id: UUID, reason: str | None = None) -> Declined:
    """Turn an offer down; the same transaction queues the session for the others.

    Args:
        user_id: the mechanic's `sub`; a suspended one may decline too.
        assignment_id: the offer.
        reason: kept until either party is erased.

    Returns:
        The declined offer; repeating it gives the same.

    Raises:
        MechanicNotActive: no such mechanic.
        AssignmentNotFound: never visible to this mechanic.
        AssignmentUnavailable: not an offer to this mechanic, or no longer one.
    """
    parameters = {
        "user_id": user_id,
        "assignment_id": assignment_id,
        "reason": reason or None,
    }
    try:
        declined = database.one(_DECLINE, parameters)
    except Refused as refused:
        if refused.code != "AD002":
            raise
        declined = None
    if declined is None:
        declined = _lookup(database, parameters)
        if not declined["visible_once"]:
            raise AssignmentNotFound
        if not (declined["mine"] and declined["status"] == "declined"):
            raise AssignmentUnavailable(assignment_id)
    return Declined(**declined)


def _held(database: Database, parameters: Row) -> Row | None:
    """The mechanic's own session, where this assignment is it; None where it may still be taken.

    Raises:
        Problem: why this mechanic cannot have it.
    """
    found = _lookup(database, parameters)
    if found["mechanic_status"] != "active":
        raise MechanicNotActive
    if not found["visible_once"]:
        raise AssignmentNotFound
    if found["mine"] and found["status"] == "accepted":
        return found
    if found["own_session"]:
        raise OwnSession
    if found["paused_seconds"] is not None:
        raise TooManyRequests("releases", found["paused_seconds"])
    if found["visible"]:
        if found["busy"]:
            raise MechanicBusy
        return None
    raise AssignmentUnavailable(found["assignment_id"])


def _lookup(database: Database, parameters: Row) -> Row:
    """The states of the assignment and of this mechanic.

    Raises:
        MechanicNotActive: no such mechanic.
    """
    found = database.one(_LOOKUP, parameters)
    if found is None:
        raise MechanicNotActive
    return found


def _accept_scheduled(connection: psycopg.Connection[Row], parameters: Row) -> Row | None:
    """Scheduled -> pending -> waiting in one transaction."""
    due = connection.execute(_COME_DUE, parameters)
    return connection.execute(_ACCEPT, parameters).fetchone() if due.rowcount == 1 else None
