"""The period of a report: from one instant on and before another, and limited in length."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, LiteralString

import psycopg

from autodoctor.db import Database, Parameters, Row
from autodoctor.errors import Unprocessable
from autodoctor.web.schemas import now

_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` on and before `until`, both UTC."""

    since: datetime
    until: datetime


def window(since: str | None, until: str | None, *, longest: timedelta, default: timedelta) -> Window:
    """The window that a query's `from` and `to` mean.

    Args:
        since: `from`, ISO 8601 with an offset; where absent, `default` before the end.
        until: `to`, likewise; where absent, now.
        longest: how long it may be at most.
        default: how long it is where `from` is absent.

    Raises:
        Unprocessable: no instants, the wrong way round, or too far apart.
    """
    end = now() if until is None else _instant("to", until)
    begin = end - default if since is None else _instant("from", since)
    if begin >= end:
        raise Unprocessable(("/from", "must be before `to`"))
    if end - begin > longest:
        raise Unprocessable(("/from", f"must be no more than {longest.days} days before `to`"))
    return Window(begin, end)


def counted(database: Database, query: LiteralString, parameters: Parameters) -> list[Row]:
    """The rows of a report.

    Raises:
        Unprocessable: the window holds more than the database counts within the role's time-out.
    """
    try:
        return database.all(query, parameters)
    except psycopg.errors.QueryCanceled:
        raise Unprocessable(("/from", "covers more than can be counted in time: ask for less")) from None


def _instant(name: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Unprocessable((f"/{name}", "must be an instant with its offset, like 2026-11-21T08:00:00Z"))
    try:
        at = found.astimezone(UTC)
    except OverflowError:
        at = _LAST
    if not _FIRST <= at < _LAST:
        raise Unprocessable((f"/{name}", f"must be from {_FIRST.year} to {_LAST.year - 1}"))
    return at
