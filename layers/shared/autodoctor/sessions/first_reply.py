"""POST /api/sessions/{sessionId}/replace: a customer whose mechanic does not answer asks for another one."""

from math import ceil
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.domain.lifecycle import TERMINAL
from autodoctor.errors import ReplyNotDue, SessionEnded, SessionNotFound, SessionNotReplaceable
from autodoctor.prefetched import WithEvents


class Replaced(WithEvents):
    """The session is in the queue again."""

    session_id: UUID
    session_status: str


_REPLACE: Final[LiteralString] = """
SELECT *, greatest(extract(epoch FROM due_at - clock_timestamp()), 0)::float AS seconds
  FROM replace_mechanic(%(session_id)s, %(user_id)s)
"""


def replace_mechanic(database: Database, user_id: UUID, session_id: UUID) -> Replaced:
    """Queue a session again whose mechanic accepted and has neither written nor come.

    Args:
        user_id: the customer's `sub`.

    Returns:
        The session, pending; repeating it gives the same until another mechanic accepts.

    Raises:
        SessionNotFound: not this customer's session.
        ReplyNotDue: the mechanic still has time.
        SessionNotReplaceable: no mechanic is waited for.
        SessionEnded: it is over.
    """
    row = database.one(_REPLACE, {"session_id": session_id, "user_id": user_id})
    if row is None:
        raise SessionNotFound
    if not row["replaced"]:
        if row["due_at"] is not None:
            raise ReplyNotDue(ceil(row["seconds"]) or 1)
        if row["session_status"] in TERMINAL:
            raise SessionEnded(row["session_status"])
        raise SessionNotReplaceable(row["session_status"])
    return Replaced(**row)
