"""Paging of list routes: the size of a page, and the cursor that says where the page before it ended."""

import base64
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter

from autodoctor.errors import Unprocessable

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100


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
        raise _unknown_cursor() from None


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
        raise _unknown_cursor() from None


def cursor_of[Place](place: Place, places: TypeAdapter[Place]) -> str:
    """The cursor for the page after this place."""
    return base64.urlsafe_b64encode(places.dump_json(place)).decode()


def _unknown_cursor() -> Unprocessable:
    return Unprocessable(("/cursor", "is not a cursor of this list"))
