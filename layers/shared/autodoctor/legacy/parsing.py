"""Parses the values of an old row: a column may be missing, of another type, or inside `metadata`."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

type RowValues = dict[str, Any]
"""A row as PostgreSQL's to_jsonb() gives it."""


def first(row: RowValues, names: Iterable[str]) -> Any:  # noqa: ANN401 (whatever the old column holds)
    """The first of these columns with a value, else the first such entry of `metadata`, else None."""
    hidden = row.get("metadata")
    for place in (row, hidden if isinstance(hidden, dict) else {}):
        for name in names:
            value = place.get(name)
            if value is not None and value != "":
                return value
    return None


def text(row: RowValues, names: Iterable[str], limit: int = 4000) -> str | None:
    """A text, cut to at most so many characters."""
    value = first(row, names)
    if value is None or isinstance(value, dict | list):
        return None
    return str(value).strip()[:limit] or None


def instant(row: RowValues, names: Iterable[str]) -> datetime | None:
    """An instant; without a zone it is UTC, and anything else (infinity, words) counts as missing."""
    value = first(row, names)
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        return None


def identity(row: RowValues, names: Iterable[str]) -> UUID | None:
    """An id; a value that is not a UUID counts as missing."""
    return as_uuid(first(row, names))


def as_uuid(value: object) -> UUID | None:
    """The UUID in a text; None if it is not one."""
    try:
        return UUID(str(value)) if value is not None else None
    except ValueError:
        return None


def derived_id(table: str, key: str) -> UUID:
    """A new id for an old row that cannot keep its own; the same in every run."""
    return uuid5(NAMESPACE_URL, f"autodoctor:legacy:{table}:{key}")


def flag(row: RowValues, names: Iterable[str]) -> bool:
    """A yes or no; missing is no."""
    return str(first(row, names)).lower() in {"true", "t", "1", "yes"}


def minutes(row: RowValues) -> timedelta | None:
    """The recorded duration."""
    for name, unit in (("duration_seconds", 1), ("duration_minutes", 60), ("duration", 60)):
        value = first(row, (name,))
        if isinstance(value, int | float) and 0 < value < 10**7:
            return timedelta(seconds=value * unit)
    return None


def cents(row: RowValues, in_cents: Iterable[str], in_dollars: Iterable[str]) -> int:
    """An amount in cents; missing is 0."""
    whole = first(row, in_cents)
    if isinstance(whole, int) and not isinstance(whole, bool):
        return max(whole, 0)
    value = first(row, in_dollars)
    try:
        amount = Decimal(str(value)) if value is not None else Decimal(0)
        return max(int((amount * 100).to_integral_value()), 0)
    except (InvalidOperation, ValueError, OverflowError):
        return 0
