"""Paging of list routes: the size of a page, and the cursor that says where the page before it ended."""

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from autodoctor.errors import Unprocessable
from autodoctor.web.schemas import ResponseModel

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
MOST_BYTES: Final = 900_000
"""Of a list as JSON, so that no answer is longer than 1 MB, whatever people have written."""


def page_size(limit: str | None) -> int:
    """The `limit` of a list route as a number.

    Raises:
        Unprocessable: not a whole number from 1 to 100.
    """
    if limit is None:
        return DEFAULT_LIMIT
    if not (
        limit.isascii() and limit.isdecimal() and len(limit) <= len(str(MAX_LIMIT)) and 1 <= int(limit) <= MAX_LIMIT
    ):
        raise Unprocessable(("/limit", f"must be a whole number from 1 to {MAX_LIMIT}"))
    return int(limit)


def fitting[Item: ResponseModel](items: Iterable[Item], most: int = MOST_BYTES) -> list[Item]:
    """The first of these, as many as fit into an answer, or into so many bytes of it; at least one, if there is one."""
    found: list[Item] = []
    left = most
    for item in items:
        left -= len(item.model_dump_json(by_alias=True).encode())
        if left < 0 and found:
            break
        found.append(item)
    return found


def page_of[Item: ResponseModel](
    rows: Sequence[dict[str, Any]], size: int, shown: Callable[[dict[str, Any]], Item]
) -> tuple[list[Item], dict[str, Any] | None]:
    """One page: so many rows, or fewer where they would not fit into an answer.

    Args:
        rows: one more than the page has, if there are as many.
        size: of the page, from `page_size`.
        shown: an item of the list, from its row.

    Returns:
        The items, and the row of the last one if more come after it.
    """
    items = fitting(shown(row) for row in rows[:size])
    return items, rows[len(items) - 1] if len(items) < len(rows) else None


def id_of(cursor: str | None, start: UUID) -> UUID:
    """The id after which a page begins, in a list that is ordered by id; the cursor is that id.

    Args:
        cursor: from the request, if it has one.
        start: of the first page: FIRST or LAST of ids.py.

    Raises:
        Unprocessable: not a cursor of this list.
    """
    if cursor is None:
        return start
    try:
        return UUID(cursor)
    except ValueError:
        raise unknown_cursor() from None


def place_of[Place](cursor: str | None, places: TypeAdapter[Place], start: Place) -> Place:
    """The place after which a page begins, in a list that is ordered by more than an id; the reverse of `cursor_of`.

    Args:
        cursor: from the request, if it has one.
        places: the type of a place in this list.
        start: before the first page.

    Raises:
        Unprocessable: not a cursor of this list.
    """
    if cursor is None:
        return start
    try:
        return places.validate_json(base64.urlsafe_b64decode(cursor.encode()), strict=True)
    except ValueError:
        raise unknown_cursor() from None


def cursor_of[Place](place: Place, places: TypeAdapter[Place]) -> str:
    """The cursor for the page after this place."""
    return base64.urlsafe_b64encode(places.dump_json(place)).decode()


def unknown_cursor() -> Unprocessable:
    """What a cursor of another list is answered with."""
    return Unprocessable(("/cursor", "is not a cursor of this list"))
