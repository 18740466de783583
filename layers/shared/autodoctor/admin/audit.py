"""GET /api/admin/changes: what admins did to a session or a mechanic, and whom they looked up, newest first."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from pydantic import TypeAdapter

from autodoctor.db import Database
from autodoctor.errors import Unprocessable
from autodoctor.ids import LAST
from autodoctor.web.paging import cursor_of, page_size, place_of
from autodoctor.web.schemas import ResponseModel, Utc

_PLACES: Final = TypeAdapter[tuple[datetime, UUID]](tuple[datetime, UUID])
_START: Final = (datetime.fromisoformat("9999-01-01T00:00:00+00:00"), LAST)

_PAGE: Final[LiteralString] = """
SELECT * FROM (
  SELECT c.*
    FROM (SELECT %(id)s::uuid::text AS id UNION ALL
          SELECT p.id::text FROM payouts p WHERE p.session_id = %(session_id)s) AS about
   CROSS JOIN LATERAL (
     SELECT c.id AS change_id, c.at, c.actor_id, c.actor, c.kind, c.subject, c.changed, c.before, c.after
       FROM admin_changes c WHERE c.subject = about.id AND (c.at, c.id) < (%(at)s, %(before)s)
      ORDER BY c.at DESC, c.id DESC LIMIT %(limit)s + 1) AS c
   UNION ALL
  SELECT l.id, l.at, l.actor_id, NULL, 'lookup.' || l.kind, %(session_id)s::uuid::text, '{}', '{}', '{}'
    FROM admin_lookups l WHERE l.found @> ARRAY[%(session_id)s::uuid]
) AS a
 WHERE (a.at, a.change_id) < (%(at)s, %(before)s)
 ORDER BY a.at DESC, a.change_id DESC LIMIT %(limit)s + 1
"""


class AdminChange(ResponseModel):
    """One thing that an admin did.

    Attributes:
        actor_id: the admin's `sub`.
        actor: where a statement named nobody, the database role that made it.
        kind: such as `mechanic.changed`, or `lookup.` and by what a session was found, or `lookup.contact`.
        subject: the id of what was changed.
        changed: the fields that changed, those with personal data too.
        before: their values before, without personal data.
        after: their values afterwards, likewise.
    """

    change_id: UUID
    at: Utc
    actor_id: UUID | None
    actor: str | None
    kind: str
    subject: str
    changed: list[str]
    before: dict[str, Any]
    after: dict[str, Any]


class AdminChanges(ResponseModel):
    """One page, newest first."""

    changes: list[AdminChange]
    next_cursor: str | None


def changes_of(database: Database, query: Mapping[str, str]) -> AdminChanges:
    """A page of what admins did to one session (its payouts included) or one mechanic.

    Args:
        database: as the application role.
        query: of the URL: sessionId or mechanicId, limit (1 to 100; 20 if absent), and cursor.

    Raises:
        Unprocessable: one of them is invalid, or not one of the two ids is given.
    """
    size = page_size(query.get("limit"))
    at, before = place_of(query.get("cursor"), _PLACES, _START)
    session_id, mechanic_id = _id(query, "sessionId"), _id(query, "mechanicId")
    if (session_id is None) == (mechanic_id is None):
        raise Unprocessable(("/sessionId", "must be given, or mechanicId, and not both"))
    values = {"id": session_id or mechanic_id, "session_id": session_id, "at": at, "before": before, "limit": size}
    rows = database.all(_PAGE, values)
    found = [AdminChange.model_validate(row) for row in rows[:size]]
    more = len(rows) > size
    return AdminChanges(
        changes=found, next_cursor=cursor_of((found[-1].at, found[-1].change_id), _PLACES) if more else None
    )


def _id(query: Mapping[str, str], name: str) -> UUID | None:
    try:
        return UUID(query[name]) if name in query else None
    except ValueError:
        raise Unprocessable((f"/{name}", "must be a UUID")) from None
