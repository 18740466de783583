"""POST /api/sessions/{sessionId}/end: the server decides from evidence whether a session was completed."""

import random
import time
from dataclasses import dataclass
from typing import Annotated, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from pydantic import StringConstraints

from autodoctor.db import Database
from autodoctor.errors import SessionBusy, SessionNotFound
from autodoctor.prefetched import WithEvents
from autodoctor.web.schemas import VISIBLE, RequestBody, Utc

MOST_EXPLANATION: Final = 500
PATIENCE_SECONDS: Final = 1.5
RETRY_SECONDS: Final = 0.03


class EndRequest(RequestBody):
    """The mechanic's notes; a `status` in the request is ignored like any unknown field.

    Attributes:
        explanation: what an operator says of this end to both parties; of anybody else it is ignored.
    """

    mechanic_notes: Annotated[str, StringConstraints(max_length=4000)] | None = None
    explanation: (
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_EXPLANATION), VISIBLE]
        | None
    ) = None


type EndedBy = Literal["customer", "mechanic", "admin", "system"]


class Ended(WithEvents):
    """The outcome.

    Attributes:
        duration_seconds: how long both were together, as far as the evidence counts; null if it never started.
        ended_by: who ended it; an operator is an admin.
    """

    session_id: UUID
    status: str
    reason: str
    started_at: Utc | None
    ended_at: Utc
    duration_seconds: int | None
    ended_by: EndedBy
    already_ended: bool


@dataclass(frozen=True, slots=True)
class Ender:
    """The user, job or operator that ends a session.

    Attributes:
        user_id: a party or an admin; None for a job or an operator.
        any_session: whether it may be a session of others.
        actor: for the audit row if there is no user: `system:JOB` or `operator:NAME`.
    """

    user_id: UUID | None = None
    any_session: bool = False
    actor: str | None = None


_END: Final[LiteralString] = """
SELECT * FROM finish_session(%(session_id)s, %(user_id)s, %(any_session)s, %(actor)s, %(mechanic_notes)s)
"""

# By whom it was ended is recorded; who ends it again, or with a lost answer, explains the same end.
_EXPLAIN: Final[LiteralString] = """
INSERT INTO end_explanations (session_id, actor_id, text)
SELECT s.id, %(user_id)s, %(text)s FROM sessions s JOIN customers c ON c.id = s.customer_id
 WHERE s.id = %(session_id)s AND c.erased_at IS NULL AND ended_by_operator(s.id)
   FOR SHARE OF c -- an erasure comes before or after, never beside
ON CONFLICT DO NOTHING
"""


def explain_end(database: Database, ender: Ender, session_id: UUID, text: str) -> None:
    """Keep what an operator who ended a session says of it to both parties; the first words stand.

    Args:
        ender: who speaks; nothing is kept of one who may not end any session.
        text: 1 to 500 characters.
    """
    if ender.any_session:
        database.execute(_EXPLAIN, {"session_id": session_id, "user_id": ender.user_id, "text": text})


def end_session(database: Database, ender: Ender, session_id: UUID, mechanic_notes: str | None = None) -> Ended:
    """End a session with the verdict that its evidence demands.

    Args:
        ender: who asks.
        mechanic_notes: kept if the mechanic ends the session.

    Returns:
        The outcome; where the session is over already, its outcome with `already_ended`.

    Raises:
        SessionNotFound: no such session of this caller.
        SessionBusy: somebody else held it for longer than 1.5 seconds.
    """
    parameters = {
        "session_id": session_id,
        "user_id": ender.user_id,
        "any_session": ender.any_session,
        "actor": ender.actor or "system:unnamed",
        "mechanic_notes": mechanic_notes,
    }
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            ended = database.one(_END, parameters)
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() >= deadline:
                raise SessionBusy from None
        else:
            break
        time.sleep(RETRY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 (jitter, not a secret)
    if ended is None:
        raise SessionNotFound
    return Ended(**ended)
