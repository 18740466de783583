"""A user's in-app notifications: listing them by page, and marking them as read."""

from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from pydantic import AwareDatetime, TypeAdapter

from autodoctor.db import Database, Row
from autodoctor.errors import NotFound, Unprocessable
from autodoctor.ids import LAST
from autodoctor.notifications.kinds import Facts, Kind
from autodoctor.notifications.words import FALLBACK, in_app
from autodoctor.web.paging import cursor_of, page_size, place_of
from autodoctor.web.schemas import ResponseModel, Utc

_PAGE: Final[LiteralString] = """
WITH page AS MATERIALIZED (
  SELECT n.id, n.kind, n.session_id, n.checkout_id, n.data, n.created_at, n.read_at FROM notifications n
   WHERE n.user_id = %(user_id)s AND (n.created_at, n.id) < (%(before)s, %(before_id)s)
     AND (n.read_at IS NULL OR NOT %(unread)s)
   ORDER BY n.created_at DESC, n.id DESC LIMIT %(limit)s + 1
)
SELECT page.id AS notification_id, page.kind, page.session_id, c.intake_id, page.data, page.created_at, page.read_at,
       m.name AS mechanic,
       (SELECT l.locale FROM notification_locales l WHERE l.user_id = %(user_id)s) AS locale,
       (SELECT count(*) FROM notifications u WHERE u.user_id = %(user_id)s AND u.read_at IS NULL) AS unread_count
  FROM (SELECT) AS always
  LEFT JOIN page ON true
  LEFT JOIN checkouts c ON c.id = page.checkout_id
  LEFT JOIN mechanics m ON m.id = (page.data ->> 'mechanicId')::uuid
 ORDER BY page.created_at DESC, page.id DESC
"""
_READ: Final[LiteralString] = """
UPDATE notifications SET read_at = coalesce(read_at, clock_timestamp())
 WHERE id = %(notification_id)s AND user_id = %(user_id)s
RETURNING id AS notification_id, read_at
"""
_READ_ALL: Final[LiteralString] = """
WITH marked AS (
  UPDATE notifications SET read_at = clock_timestamp() WHERE user_id = %(user_id)s AND read_at IS NULL RETURNING 1
)
SELECT count(*) AS marked FROM marked
"""
# The cursor: creation time and id of a page's last notification.
_PLACE: Final = TypeAdapter[tuple[datetime, UUID]](tuple[AwareDatetime, UUID])
_NEWEST: Final = (datetime.fromisoformat("9999-12-31T00:00:00Z"), LAST)


class Notification(ResponseModel):
    """One notification, in the language that the user chose.

    Attributes:
        session_id: the session it is about; null when it is about a payment, or the reader alone.
        intake_id: the intake whose payment led to no session; null for credits and for notifications about a session.
    """

    notification_id: UUID
    kind: str
    session_id: UUID | None
    intake_id: UUID | None
    title: str
    text: str
    created_at: Utc
    read_at: Utc | None


class Notifications(ResponseModel):
    """One page, newest first, and the number of all unread notifications."""

    notifications: list[Notification]
    unread_count: int
    next_cursor: str | None


class MarkedAsRead(ResponseModel):
    """The notification, and when the user first read it."""

    notification_id: UUID
    read_at: Utc


class AllMarkedAsRead(ResponseModel):
    """How many unread notifications were marked."""

    marked: int


class NotificationNotFound(NotFound):
    """The user has no such notification; somebody else's gets the same answer."""

    def __init__(self) -> None:
        super().__init__("There is no such notification.")


def notifications(
    database: Database, user_id: UUID, limit: str | None = None, cursor: str | None = None, unread: str | None = None
) -> Notifications:
    """List a user's notifications, newest first.

    Args:
        user_id: whose.
        limit: notifications a page, 1 to 100; 20 where absent.
        cursor: `nextCursor` of the page before.
        unread: `true` lists unread ones only; `false` or absent lists all.

    Raises:
        Unprocessable: limit, cursor or unread is not one of ours.
    """
    if unread not in (None, "true", "false"):
        raise Unprocessable(("/unread", "must be true or false"))
    size = page_size(limit)
    before, before_id = place_of(cursor, _PLACE, _NEWEST)
    rows = database.all(
        _PAGE,
        {"user_id": user_id, "limit": size, "before": before, "before_id": before_id, "unread": unread == "true"},
    )
    shown = [row for row in rows[:size] if row["notification_id"] is not None]
    return Notifications(
        notifications=[_notification(row) for row in shown],
        unread_count=rows[0]["unread_count"],
        next_cursor=_cursor(shown[-1]) if len(rows) > size else None,
    )


def mark_as_read(database: Database, user_id: UUID, notification_id: UUID) -> MarkedAsRead:
    """Mark one as read; repeating it changes nothing.

    Raises:
        NotificationNotFound: the user has no such notification.
    """
    row = database.one(_READ, {"user_id": user_id, "notification_id": notification_id})
    if row is None:
        raise NotificationNotFound
    return MarkedAsRead(**row)


def mark_all_as_read(database: Database, user_id: UUID) -> AllMarkedAsRead:
    """Mark every one of the user's as read."""
    row: Any = database.one(_READ_ALL, {"user_id": user_id})
    return AllMarkedAsRead(**row)


def _notification(row: Row) -> Notification:
    facts = Facts.model_validate({**row["data"], "mechanic": row["mechanic"]})
    title, text = in_app(Kind(row["kind"]), row["locale"] or FALLBACK, facts)
    return Notification(**row, title=title, text=text)


def _cursor(row: Row) -> str:
    return cursor_of((row["created_at"], row["notification_id"]), _PLACE)
