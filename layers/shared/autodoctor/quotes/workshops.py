"""The workshops that a mechanic can ask for a quote."""

from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.errors import MechanicNotActive
from autodoctor.ids import FIRST
from autodoctor.web.paging import id_of, page_size
from autodoctor.web.schemas import ResponseModel

# No row at all: the caller is not an active mechanic. One row without a workshop: the page is empty.
_PAGE: Final[LiteralString] = """
SELECT w.id AS workshop_id, w.name
  FROM mechanics m LEFT JOIN LATERAL (
    SELECT id, name FROM workshops WHERE id > %(after)s ORDER BY id LIMIT %(limit)s + 1) AS w ON true
 WHERE m.user_id = %(user_id)s AND m.status = 'active'
 ORDER BY w.id
"""


class AskableWorkshop(ResponseModel):
    """A workshop that can be asked for a quote."""

    workshop_id: UUID
    name: str


class AskableWorkshops(ResponseModel):
    """One page of workshops, in the order in which they were added."""

    workshops: list[AskableWorkshop]
    next_cursor: str | None


def askable_workshops(
    database: Database, user_id: UUID, limit: str | None = None, cursor: str | None = None
) -> AskableWorkshops:
    """A page of all workshops.

    Args:
        user_id: the mechanic's `sub`.
        limit: workshops per page, 1 to 100; 20 where absent.
        cursor: `nextCursor` of the page before.

    Raises:
        MechanicNotActive: no such mechanic, or suspended.
        Unprocessable: limit or cursor is not one of ours.
    """
    size = page_size(limit)
    rows = database.all(_PAGE, {"user_id": user_id, "after": id_of(cursor, FIRST), "limit": size})
    if not rows:
        raise MechanicNotActive
    found = [row for row in rows if row["workshop_id"] is not None]
    return AskableWorkshops(
        workshops=[AskableWorkshop(**row) for row in found[:size]],
        next_cursor=str(found[size - 1]["workshop_id"]) if len(found) > size else None,
    )
