"""POST /api/sessions/{sessionId}/end: the server decides from evidence whether a session was completed."""

import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final, LiteralString
from uuid import UUID

import psycopg
from pydantic import StringConstraints

from autodoctor.db import Database, Row
from autodoctor.domain.ending import Evidence, Presence, Verdict, verdict
from autodoctor.errors import SessionBusy, SessionNotFound
from autodoctor.prefetched import WithEvents
from autodoctor.web.schemas import RequestBody, Utc

PATIENCE_SECONDS: Final = 1.5
RETRY_SECONDS: Final = 0.03


class EndRequest(RequestBody):
    """What the mechanic wants to keep with the session; a claimed `status` is ignored like any unknown field."""

    mechanic_notes: Annotated[str, StringConstraints(max_length=4000)] | None = None


class Ended(WithEvents):
    """The outcome."""

    session_id: UUID
    status: str
    reason: str
    started_at: Utc | None
    ended_at: Utc
    duration_seconds: int | None
    already_ended: bool


@dataclass(frozen=True, slots=True)
class Ender:
    """Who ends a session.

    Attributes:
        user_id: a party or an admin; None for a job or an operator.
        any_session: whether it may be a session of others.
        actor: for the audit row, where there is no user: `system:` and the job, `operator:` and the name.
    """

    user_id: UUID | None = None
    any_session: bool = False
    actor: str | None = None


# NOWAIT: nothing waits here while holding a connection. session_evidence() takes its own snapshot after
# the lock, so no join that committed before it is missed.
_LOCK: Final[LiteralString] = """
SELECT s.*, c.user_id AS customer_user_id, m.user_id AS mechanic_user_id, i.max_minutes,
       min_billable_seconds() AS minimum, session_evidence(s.id) AS evidence, clock_timestamp() AS now
  FROM (SELECT x.id, x.customer_id, x.mechanic_id, x.status, x.started_at, x.ended_at, x.end_reason
          FROM sessions x
         WHERE x.id = %(session_id)s
           AND (%(any_session)s OR x.customer_id = (SELECT id FROM customers WHERE user_id = %(user_id)s)
                OR x.mechanic_id = (SELECT id FROM mechanics WHERE user_id = %(user_id)s))
           FOR NO KEY UPDATE NOWAIT) AS s
  JOIN customers c ON c.id = s.customer_id
  JOIN intakes i ON i.id = s.id
  LEFT JOIN mechanics m ON m.id = s.mechanic_id
"""

_START: Final[LiteralString] = """
UPDATE sessions SET status = 'live', actor = %(actor)s, actor_id = %(actor_id)s,
                    change_data = '{"derived": true}'
 WHERE id = %(session_id)s AND status = 'waiting'
"""

_NOTE: Final[LiteralString] = """
UPDATE sessions SET mechanic_notes = %(mechanic_notes)s WHERE id = %(session_id)s AND mechanic_notes IS NULL
"""

_END: Final[LiteralString] = """
SELECT finish_session(%(session_id)s, %(from_status)s, %(status)s, %(reason)s, %(ended_at)s, %(absent)s,
                      %(mechanic_notes)s, %(actor)s, %(actor_id)s) AS unpublished
"""


def end_session(database: Database, ender: Ender, session_id: UUID, mechanic_notes: str | None = None) -> Ended:
    """End a session with the verdict that its evidence demands.

    Args:
        database: where.
        ender: who asks.
        session_id: which session.
        mechanic_notes: kept where the mechanic asks.

    Returns:
        The outcome; the one that stands, with `already_ended`, where it is over already.

    Raises:
        SessionNotFound: no such session of this caller.
        SessionBusy: somebody else held it for longer than 1.5 seconds.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return database.transaction(lambda connection: _end(connection, ender, session_id, mechanic_notes))
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() >= deadline:
                raise SessionBusy from None
        time.sleep(RETRY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 (jitter, not a secret)


def _end(connection: psycopg.Connection[Row], ender: Ender, session_id: UUID, mechanic_notes: str | None) -> Ended:
    session = connection.execute(
        _LOCK, {"session_id": session_id, "user_id": ender.user_id, "any_session": ender.any_session}
    ).fetchone()
    if session is None:
        raise SessionNotFound
    is_mechanic = ender.user_id is not None and ender.user_id == session["mechanic_user_id"]
    if session["ended_at"] is not None:
        if is_mechanic and mechanic_notes:  # the customer was quicker; notes already kept stand
            connection.execute(_NOTE, {"session_id": session_id, "mechanic_notes": mechanic_notes})
        return _outcome(session, already_ended=True)
    judged = _judged(session)
    change = {
        "session_id": session_id,
        "actor": _actor(ender, session),
        "actor_id": ender.user_id,
        "status": judged.status,
        "from_status": session["status"],
        "reason": judged.reason,
        "started_at": judged.started_at,
        "ended_at": judged.ended_at,
        "absent": judged.absent,
        "mechanic_notes": mechanic_notes if is_mechanic else None,
    }
    if judged.started_at is not None and session["status"] == "waiting":
        if connection.execute(_START, change).rowcount != 1:
            raise _changed(session_id)
        change["from_status"] = "live"
    finished = connection.execute(_END, change).fetchone()
    if finished is None or finished["unpublished"] is None:
        raise _changed(session_id)
    return _outcome({**session, **change, **finished, "end_reason": judged.reason}, already_ended=False)


def _changed(session_id: UUID) -> RuntimeError:
    return RuntimeError(f"session {session_id} changed under its lock")


def _judged(session: Row) -> Verdict:
    presence = tuple(Presence(role, kind, datetime.fromisoformat(at)) for role, kind, at in session["evidence"])
    return verdict(
        Evidence(session["mechanic_id"] is not None, session["started_at"], presence),
        session["now"],
        timedelta(seconds=session["minimum"]),
        timedelta(minutes=session["max_minutes"]),
    )


def _actor(ender: Ender, session: Row) -> str:
    """The job or operator, or in which role the user ends the session."""
    if ender.user_id is None:
        return ender.actor or "system:unnamed"
    for role in ("customer", "mechanic"):
        if ender.user_id == session[f"{role}_user_id"]:
            return role
    return "admin"


def _outcome(session: Row, *, already_ended: bool) -> Ended:
    started_at, ended_at = session["started_at"], session["ended_at"]
    return Ended(
        session_id=session.get("session_id") or session["id"],
        status=session["status"],
        reason=session["end_reason"],
        started_at=started_at,
        ended_at=ended_at,
        duration_seconds=None if started_at is None else (ended_at - started_at) // timedelta(seconds=1),
        already_ended=already_ended,
        unpublished=session.get("unpublished"),
    )
