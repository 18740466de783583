"""GET /api/mechanic/queue: the requests that this mechanic may accept, by precedence, then the oldest first."""

from datetime import datetime
from typing import Annotated, Final, LiteralString
from uuid import UUID

from pydantic import AwareDatetime, Field, TypeAdapter

from autodoctor.db import Database, Row
from autodoctor.errors import MechanicNotActive
from autodoctor.ids import FIRST
from autodoctor.web.paging import cursor_of, page_of, page_size, place_of
from autodoctor.web.schemas import ResponseModel, Utc

_PAGE: Final[LiteralString] = """
WITH m AS MATERIALIZED (
  SELECT m.id, m.workshop_id,
         -- no join: for one, the planner would look up both ends of each table's index
         (SELECT s.id FROM sessions s
           WHERE s.customer_id = (SELECT c.id FROM customers c WHERE c.user_id = %(user_id)s)
             AND s.ended_at IS NULL) AS own_session_id
    FROM mechanics m WHERE m.user_id = %(user_id)s AND m.status = 'active'
), page AS MATERIALIZED (
  SELECT listed.* FROM m LEFT JOIN LATERAL (
    SELECT a.id AS assignment_id, a.session_id, a.status, a.urgent, a.precedence, a.workshop_id,
           a.queued_at, a.offer_expires_at
      FROM session_assignments a
     WHERE a.status IN ('queued', 'offered')
       AND (a.precedence, a.queued_at, a.id) > (%(after_precedence)s, %(after_queued_at)s, %(after_id)s)
       AND visible_now(a, m.id, m.workshop_id)
       AND a.session_id IS DISTINCT FROM m.own_session_id
     ORDER BY a.precedence, a.queued_at, a.id
     LIMIT %(limit)s + 1
  ) AS listed ON true
), wanted AS MATERIALIZED (
  -- one search of each index for the whole page, whose intakes and pictures lie side by side
  SELECT i.id, i.session_type, i.plan_code AS plan, i.customer_name, i.vehicle, i.concern, i.scheduled_for,
         pays_mechanic(i) AS pays_cents, i.currency,
         (SELECT p.included_minutes FROM plans p WHERE p.code = i.plan_code) AS included_minutes
    FROM intakes i WHERE i.id = ANY (ARRAY(SELECT page.session_id FROM page))
), picture AS MATERIALIZED (
  SELECT * FROM first_pictures(ARRAY(SELECT page.session_id FROM page))
)
SELECT page.*, wanted.session_type, wanted.plan, wanted.customer_name, wanted.vehicle, wanted.concern,
       wanted.scheduled_for, wanted.pays_cents, wanted.currency, wanted.included_minutes, picture.picture_id
  FROM page LEFT JOIN wanted ON wanted.id = page.session_id LEFT JOIN picture ON picture.session_id = page.session_id
 ORDER BY page.precedence, page.queued_at, page.assignment_id
"""
# Where a page ends: precedence, queued at, id.
_PLACE: Final = TypeAdapter[tuple[int, datetime, UUID]](tuple[Annotated[int, Field(ge=-1, le=2)], AwareDatetime, UUID])
_START: Final = (-1, datetime.fromisoformat("0001-01-01T00:00:00Z"), FIRST)


class QueuedAssignment(ResponseModel):
    """A request in the queue.

    Attributes:
        scheduled_for: when the consultation is wanted; null for now.
        pays_cents: what it pays its mechanic once it is completed, in cents of the currency.
        included_minutes: how long the plan's price is meant for.
        picture_id: the first picture that the customer sent with it, an attachment that may not be checked yet.
    """

    assignment_id: UUID
    session_id: UUID
    status: str
    session_type: str
    plan: str
    customer_name: str
    vehicle_summary: str
    concern: str
    picture_id: UUID | None
    urgent: bool
    workshop_id: UUID | None
    queued_at: Utc
    scheduled_for: Utc | None
    offer_expires_at: Utc | None
    pays_cents: int
    currency: str
    included_minutes: int


class Queue(ResponseModel):
    """One page of the queue."""

    assignments: list[QueuedAssignment]
    next_cursor: str | None


def fetch_queue(database: Database, user_id: UUID, limit: str | None = None, cursor: str | None = None) -> Queue:
    """The next page of the requests that this mechanic may accept.

    Args:
        user_id: the mechanic's `sub`.
        limit: assignments a page, 1 to 100; 20 where absent.
        cursor: `nextCursor` of the page before.

    Raises:
        MechanicNotActive: no such mechanic, or suspended.
        Unprocessable: limit or cursor is invalid.
    """
    size = page_size(limit)
    precedence, queued_at, assignment_id = place_of(cursor, _PLACE, _START)
    rows = database.all(
        _PAGE,
        {
            "user_id": user_id,
            "limit": size,
            "after_precedence": precedence,
            "after_queued_at": queued_at,
            "after_id": assignment_id,
        },
    )
    if not rows:
        raise MechanicNotActive
    found = [row for row in rows if row["assignment_id"] is not None]
    shown, last = page_of(
        found, size, lambda row: QueuedAssignment(**row, vehicle_summary=vehicle_summary(row["vehicle"]))
    )
    return Queue(assignments=shown, next_cursor=None if last is None else _cursor(last))


def vehicle_summary(vehicle: Row) -> str:
    """The car in a few words: year, make and model; empty once it was erased."""
    return " ".join(str(vehicle[part]) for part in ("year", "make", "model")) if vehicle else ""


def _cursor(row: Row) -> str:
    return cursor_of((row["precedence"], row["queued_at"], row["assignment_id"]), _PLACE)
