"""/api/admin/workshops: the businesses that employ mechanics."""

from typing import Final, LiteralString
from uuid import UUID

from autodoctor.admin.changes import ABSENT, audited, columns
from autodoctor.db import Database
from autodoctor.errors import NotFound
from autodoctor.ids import FIRST, new_id
from autodoctor.web.paging import id_of, page_size
from autodoctor.web.schemas import Name, RequestBody, ResponseModel, Utc

_SHOWN: Final[LiteralString] = """
       w.id AS workshop_id, w.name, w.created_at,
       (SELECT count(*) FROM mechanics m WHERE m.workshop_id = w.id) AS mechanic_count
"""

_PAGE: Final[LiteralString] = (
    "SELECT " + _SHOWN + " FROM workshops w WHERE w.id > %(after)s ORDER BY w.id LIMIT %(limit)s + 1"
)

_ONE: Final[LiteralString] = "SELECT " + _SHOWN + " FROM workshops w WHERE w.id = %(workshop_id)s"

_ADD: Final[LiteralString] = (
    """
INSERT INTO workshops AS w (id, name, change_id, changed_by)
VALUES (%(workshop_id)s, %(name)s, %(change_id)s, %(actor_id)s)
ON CONFLICT (id) DO NOTHING
RETURNING """
    + _SHOWN
)

_CHANGE: Final[LiteralString] = (
    """
UPDATE workshops w
   SET (name, change_id, changed_by) = (
         SELECT n.name, %(change_id)s, %(actor_id)s::uuid FROM jsonb_populate_record(w, %(columns)s) AS n)
 WHERE w.id = %(workshop_id)s AND w IS DISTINCT FROM jsonb_populate_record(w, %(columns)s)
RETURNING """
    + _SHOWN
)


class NewWorkshop(RequestBody):
    """A business that employs mechanics."""

    name: Name


class WorkshopPatch(RequestBody):
    """The changes; omitted members stay."""

    name: Name = ABSENT


class Workshop(ResponseModel):
    """A workshop, and its number of mechanics, including suspended ones."""

    workshop_id: UUID
    name: str
    mechanic_count: int
    created_at: Utc


class Workshops(ResponseModel):
    """One page, in the order in which they joined."""

    workshops: list[Workshop]
    next_cursor: str | None


class WorkshopNotFound(NotFound):
    """No such workshop."""

    def __init__(self) -> None:
        super().__init__("There is no such workshop.")


def workshops(database: Database, limit: str | None = None, cursor: str | None = None) -> Workshops:
    """A page of all workshops.

    Args:
        database: as the application role.
        limit: workshops per page, 1 to 100; 20 if absent.
        cursor: `nextCursor` of the page before.

    Raises:
        Unprocessable: limit or cursor is not one of ours.
    """
    size = page_size(limit)
    rows = database.all(_PAGE, {"limit": size, "after": id_of(cursor, FIRST)})
    return Workshops(
        workshops=[Workshop(**row) for row in rows[:size]],
        next_cursor=str(rows[size - 1]["workshop_id"]) if len(rows) > size else None,
    )


def add_workshop(database: Database, actor_id: UUID, new: NewWorkshop) -> Workshop:
    """Add a workshop; two may have the same name.

    Args:
        database: as the application role.
        actor_id: the admin's `sub`.
        new: its name.
    """
    parameters = {"workshop_id": new_id(), "name": new.name, **audited(actor_id)}
    row = database.one(_ADD, parameters) or database.one(_ONE, parameters)  # added before the connection was lost
    if row is None:
        raise RuntimeError("the workshop that was just added was not found")
    return Workshop(**row)


def change_workshop(database: Database, actor_id: UUID, workshop_id: UUID, patch: WorkshopPatch) -> Workshop:
    """Rename a workshop; repeating it changes nothing.

    Raises:
        WorkshopNotFound: there is none with this id.
    """
    parameters = {"workshop_id": workshop_id, "columns": columns(patch), **audited(actor_id)}
    row = database.one(_CHANGE, parameters) or database.one(_ONE, parameters)  # there, and nothing changed
    if row is None:
        raise WorkshopNotFound
    return Workshop(**row)
