"""/api/admin/workshops: the businesses that employ mechanics."""

from typing import Final, LiteralString
from uuid import UUID

from autodoctor.admin.changes import ABSENT, AUDIT, audited, columns
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
WITH added AS (
  INSERT INTO workshops (id, name) VALUES (%(workshop_id)s, %(name)s) ON CONFLICT (id) DO NOTHING RETURNING *
), written AS (
  SELECT added.id::text AS subject, '{}'::jsonb AS was, to_jsonb(added) AS is_now FROM added
)
"""
    + AUDIT
    + "SELECT "
    + _SHOWN
    + " FROM added w"
)

_CHANGE: Final[LiteralString] = (
    """
WITH known AS MATERIALIZED (
  SELECT w AS was, jsonb_populate_record(w, %(columns)s) AS will_be
    FROM workshops w WHERE w.id = %(workshop_id)s
     FOR NO KEY UPDATE
), changed AS (
  UPDATE workshops w SET name = (k.will_be).name
    FROM known k WHERE w.id = (k.was).id AND k.was IS DISTINCT FROM k.will_be
  RETURNING w.id
), written AS (
  SELECT changed.id::text AS subject, to_jsonb(k.was) AS was, to_jsonb(k.will_be) AS is_now FROM changed, known k
)
"""
    + AUDIT
    + "SELECT "
    + _SHOWN
    + " FROM known k CROSS JOIN LATERAL (SELECT (k.will_be).*) AS w"
)


class NewWorkshop(RequestBody):
    """A business that employs mechanics."""

    name: Name


class WorkshopPatch(RequestBody):
    """What changes; what is left out stays."""

    name: Name = ABSENT


class Workshop(ResponseModel):
    """A workshop, and how many mechanics it has, suspended ones among them."""

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
        database: where.
        limit: workshops a page, 1 to 100; 20 where absent.
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
        database: where.
        actor_id: the admin's `sub`.
        new: its name.
    """
    parameters = {"workshop_id": new_id(), "name": new.name, **audited(actor_id, "workshop.added")}
    row = database.one(_ADD, parameters) or database.one(_ONE, parameters)  # there already: a lost connection's work
    if row is None:
        raise RuntimeError("a workshop that was just added is not there")
    return Workshop(**row)


def change_workshop(database: Database, actor_id: UUID, workshop_id: UUID, patch: WorkshopPatch) -> Workshop:
    """Rename a workshop; again changes nothing.

    Raises:
        WorkshopNotFound: there is none with this id.
    """
    parameters = {"workshop_id": workshop_id, "columns": columns(patch), **audited(actor_id, "workshop.changed")}
    row = database.one(_CHANGE, parameters)
    if row is None:
        raise WorkshopNotFound
    return Workshop(**row)
