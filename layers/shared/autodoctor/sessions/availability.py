"""GET and POST /api/mechanic/availability: a lease that the mechanic takes and an open feed keeps."""

from typing import Annotated, Final, LiteralString
from uuid import UUID

from pydantic import Field

from autodoctor.db import Database, Row
from autodoctor.errors import MechanicNotActive
from autodoctor.web.schemas import RequestBody, ResponseModel, Utc

DEFAULT_MINUTES: Final = 60
MAX_MINUTES: Final = 720


class AvailabilityRequest(RequestBody):
    """Whether the mechanic is available, and for how many minutes from now."""

    available: bool
    minutes: Annotated[int, Field(ge=1, le=MAX_MINUTES)] = DEFAULT_MINUTES


class Availability(ResponseModel):
    """Whether requests are offered to this mechanic.

    Attributes:
        mechanic_id: row of `mechanics`.
        available: whether the mechanic is available; one who has a session gets no offers all the same.
        available_until: when it ends by itself if the feed closes now; null if it has no end, or is over.
        kept_alive_by_feed: whether an open feed keeps it for as long as it stays open.
    """

    mechanic_id: UUID
    available: bool
    available_until: Utc | None
    kept_alive_by_feed: bool


# A feed that closes leaves 60 seconds (lease_follows_feed()); Python has no instant for infinity.
_LEASE: Final[LiteralString] = """
       m.id AS mechanic_id, is_available(m.id, m.available_until) AS available,
       kept_by_feed(m.id, m.available_until) AS kept_alive_by_feed,
       CASE WHEN kept_by_feed(m.id, m.available_until)
            THEN nullif(greatest(m.available_until, now() + interval '60 seconds'), 'infinity')
            WHEN is_available(m.id, m.available_until) THEN nullif(m.available_until, 'infinity') END AS available_until
"""

_LOOKUP: Final[LiteralString] = (
    "SELECT " + _LEASE + " FROM mechanics m WHERE m.user_id = %(user_id)s AND m.status = 'active'"
)

_SET: Final[LiteralString] = (
    """
UPDATE mechanics m
   SET available_until = CASE WHEN %(available)s THEN now() + make_interval(mins => %(minutes)s) END
 WHERE m.user_id = %(user_id)s AND m.status = 'active' AND count_against('availability', %(user_id)s)
RETURNING
"""
    + _LEASE
)


def availability(database: Database, user_id: UUID) -> Availability:
    """Whether this mechanic is available now.

    Args:
        user_id: the mechanic's `sub`.

    Raises:
        MechanicNotActive: no such mechanic, or suspended.
    """
    return _answer(database.one(_LOOKUP, {"user_id": user_id}))


def set_availability(database: Database, user_id: UUID, wish: AvailabilityRequest) -> Availability:
    """Begin a new lease in place of the present one, or end it, even while a feed is open.

    Args:
        user_id: the mechanic's `sub`.
        wish: available or not, and for how long.

    Raises:
        MechanicNotActive: no such mechanic, or suspended.
        TooManyRequests: the mechanic has changed it too often of late.
    """
    return _answer(database.one(_SET, {**wish.model_dump(), "user_id": user_id}))


def _answer(row: Row | None) -> Availability:
    if row is None:
        raise MechanicNotActive
    return Availability(**row)
