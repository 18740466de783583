"""A customer's place in the queue, the mechanics available, and the estimated wait."""

from collections.abc import Sequence
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.web.schemas import ResponseModel


class QueuePosition(ResponseModel):
    """A customer's place in the queue; numbers only, nothing of anybody else.

    Attributes:
        position: the best place the request has in the list of a mechanic on duty who is shown it; 1 is next.
        mechanics_available: how many of those mechanics have no session.
        estimated_wait_seconds: from now until somebody accepts; null while too few accepts are recent.
    """

    position: int
    mechanics_available: int
    estimated_wait_seconds: int | None


class CustomerQueuePosition(QueuePosition):
    """The same, with the customer's `sub` and the session."""

    user_id: UUID
    session_id: UUID


QUEUE_POSITION: Final[LiteralString] = """
CASE WHEN s.status IN ('pending', 'scheduled') AND a.status IN ('queued', 'offered') AND a.available_at <= now()
     THEN (SELECT jsonb_build_object('position', w.place, 'mechanicsAvailable', w.mechanics_available,
                                     'estimatedWaitSeconds', w.estimated_wait_seconds)
             FROM queue_positions(ARRAY[c.user_id]) AS w) END
"""
"""The place of customer `c`, whose session `s` has the current assignment `a`; null unless it is in the queue."""

_PLACES: Final[LiteralString] = """
SELECT user_id, session_id, place AS position, mechanics_available, estimated_wait_seconds
  FROM queue_positions(%(user_ids)s)
"""


def queue_positions(database: Database, user_ids: Sequence[UUID] | None = None) -> list[CustomerQueuePosition]:
    """The places of the customers in the queue, of its first 1,000 at most, in one statement.

    Args:
        user_ids: only these customers, by their `sub`; None: all.
    """
    wanted = None if user_ids is None else list(user_ids)
    return [CustomerQueuePosition(**row) for row in database.all(_PLACES, {"user_ids": wanted})]
