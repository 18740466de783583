"""What a waiting customer is told: place in the queue, mechanics available, an estimated wait."""

from collections.abc import Sequence
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.web.schemas import Answer


class Waiting(Answer):
    """How a customer's wait goes; numbers only, nothing of anybody else.

    Attributes:
        position: the best place the request has in the list of a mechanic on duty who is shown it; 1 is next.
        mechanics_available: how many of those mechanics have no session.
        estimated_wait_seconds: from now until somebody accepts; null while too few accepts are recent.
    """

    position: int
    mechanics_available: int
    estimated_wait_seconds: int | None


class WaitingPlace(Waiting):
    """The same, with whose it is: the customer's `sub`, and the session."""

    user_id: UUID
    session_id: UUID


WAITING: Final[LiteralString] = """
CASE WHEN s.status IN ('pending', 'scheduled') AND a.status IN ('queued', 'offered') AND a.available_at <= now()
     THEN (SELECT jsonb_build_object('position', w.place, 'mechanicsAvailable', w.mechanics_available,
                                     'estimatedWaitSeconds', w.estimated_wait_seconds)
             FROM waiting_places(ARRAY[c.user_id]) AS w) END
"""
"""What the customer `c` of session `s`, whose current assignment is `a`, is told; null where nobody waits."""

_PLACES: Final[LiteralString] = """
SELECT user_id, session_id, place AS position, mechanics_available, estimated_wait_seconds
  FROM waiting_places(%(user_ids)s)
"""


def waiting_places(database: Database, user_ids: Sequence[UUID] | None = None) -> list[WaitingPlace]:
    """What each waiting customer is told now, the first 1,000 of the queue at most, in one statement.

    Args:
        database: where.
        user_ids: only these customers, by their `sub`; None: all.
    """
    wanted = None if user_ids is None else list(user_ids)
    return [WaitingPlace(**row) for row in database.all(_PLACES, {"user_ids": wanted})]
