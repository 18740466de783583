"""Groups the old rows of one consultation: rows that name it, and rows that are the same one under another id."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from autodoctor.legacy import names
from autodoctor.legacy.old import RelatedRows
from autodoctor.legacy.parsing import RowValues, as_uuid, derived_id, first, instant, text
from autodoctor.legacy.source import OldRow, Source

SAME: Final = timedelta(minutes=10)
"""A request and a session of one customer that begin so close together are one consultation: the old code wrote both
and, more often than not, forgot to link them."""

_SESSIONS, _DIAGNOSTIC, _REQUESTS = names.CONSULTATIONS
_OF_SESSION: Final = ("session_id", "diagnostic_session_id")
_LINKS: Final = ("parent_session_id", "session_id")


@dataclass(frozen=True, slots=True)
class PartOf:
    """A row that duplicates a consultation of another table, or refers to one."""

    session_id: UUID


@dataclass(frozen=True, slots=True)
class Clash:
    """A row whose id belongs to another customer's consultation in an earlier table."""


def gather(source: Source, table: str, rows: Sequence[OldRow]) -> dict[str, RelatedRows]:
    """The rows of each of these consultations, by key; one query per table for the whole batch."""
    related_rows = {row.key: RelatedRows() for row in rows}
    keys = list(related_rows)
    of_intake = _by_value(rows, ("intake_id",))
    of_customer = _by_value(rows, names.CUSTOMER)
    for row in source.related(names.INTAKES, ("id",), list(of_intake)):
        for key in of_intake[row.key]:
            related_rows[key].intake = row.values
            if (customer := text(row.values, names.CUSTOMER)) is not None:
                of_customer.setdefault(customer, []).append(key)
    _gather_children(source, related_rows, keys)
    _gather_waivers(source, related_rows, of_intake)
    if table != _REQUESTS:
        _gather_requests(source, rows, related_rows, of_customer)
    _gather_profiles(source, related_rows, of_customer)
    return related_rows


def _gather_children(source: Source, related_rows: dict[str, RelatedRows], keys: list[str]) -> None:
    for child in (names.ASSIGNMENTS, names.PARTICIPANTS, names.EVENTS, *names.PAYOUTS):
        for row in source.related(child, _OF_SESSION, keys):
            for key in _named(row.values, _OF_SESSION, related_rows):
                related = related_rows[key]
                if child in names.PAYOUTS:
                    related.paid_out = True
                else:
                    of_kind = {
                        names.ASSIGNMENTS: related.assignments,
                        names.PARTICIPANTS: related.participants,
                        names.EVENTS: related.events,
                    }
                    of_kind[child].append(row.values)


def _gather_waivers(source: Source, related_rows: dict[str, RelatedRows], of_intake: dict[str, list[str]]) -> None:
    for child in names.WAIVERS:
        for row in source.related(child, (*_OF_SESSION, "intake_id"), [*related_rows, *of_intake]):
            named = _named(row.values, _OF_SESSION, related_rows) or of_intake.get(str(row.values.get("intake_id")), [])
            for key in named:
                related_rows[key].waivers.append(row.values)


def _gather_requests(
    source: Source, rows: Sequence[OldRow], related_rows: dict[str, RelatedRows], of_customer: dict[str, list[str]]
) -> None:
    values = {row.key: row.values for row in rows}
    found = source.related(_REQUESTS, names.CUSTOMER, list(of_customer)) + source.related(
        _REQUESTS, _LINKS, list(values)
    )
    for request in {row.key: row for row in found}.values():
        linked = text(request.values, _LINKS)
        for key in (
            {linked} & values.keys() if linked else of_customer.get(text(request.values, names.CUSTOMER) or "", [])
        ):
            if linked or _is_same(request.values, values[key]):
                related_rows[key].requests.append(request.values)


def _gather_profiles(source: Source, related_rows: dict[str, RelatedRows], of_customer: dict[str, list[str]]) -> None:
    known = {key: dict(values) for key, values in source.users(list(of_customer)).items()}
    for row in source.related(names.PROFILES, ("id",), list(of_customer)):
        known[row.key] = known.get(row.key, {}) | {
            name: value for name, value in row.values.items() if value is not None
        }
    for customer, keys in of_customer.items():
        for key in keys:
            related_rows[key].profile = known.get(customer, related_rows[key].profile)


def siblings(source: Source, table: str, rows: Sequence[OldRow]) -> dict[str, PartOf | Clash]:
    """The rows that are not consultations of their own, because an earlier table has them."""
    found: dict[str, PartOf | Clash] = {}
    before = names.CONSULTATIONS[: names.CONSULTATIONS.index(table)]
    by_key = {row.key: row.values for row in rows}
    of_customer = _by_value(rows, names.CUSTOMER)
    for other in before:
        for row in source.related(other, ("id",), list(by_key)):
            same = text(row.values, names.CUSTOMER) == text(by_key[row.key], names.CUSTOMER)
            found.setdefault(row.key, PartOf(_id_of(other, row.key)) if same else Clash())
        if table != _REQUESTS:
            continue
        links = _by_value(rows, _LINKS)
        for row in source.related(other, ("id",), list(links)):
            for key in links[row.key]:
                found.setdefault(key, PartOf(_id_of(other, row.key)))
        linked = {key for keys in links.values() for key in keys}
        for row in source.related(other, names.CUSTOMER, list(of_customer)):
            for key in of_customer.get(text(row.values, names.CUSTOMER) or "", []):
                if key not in linked and _is_same(by_key[key], row.values):
                    found.setdefault(key, PartOf(_id_of(other, row.key)))
    return found


def orphans(source: Source, rows: Sequence[OldRow]) -> set[str]:
    """The rows that name a consultation which does not exist."""
    named = _by_value(rows, names.SESSION)
    for table in names.CONSULTATIONS:
        for row in source.related(table, ("id",), list(named)):
            named.pop(row.key, None)
    return {key for keys in named.values() for key in keys}


def _is_same(request: RowValues, session: RowValues) -> bool:
    asked, begun = instant(request, names.CREATED), instant(session, names.CREATED)
    return (
        asked is not None
        and begun is not None
        and abs(asked - begun) <= SAME
        and text(request, names.CUSTOMER) == text(session, names.CUSTOMER)
    )


def _id_of(table: str, key: str) -> UUID:
    return as_uuid(key) or derived_id(table, key)


def _by_value(rows: Sequence[OldRow], columns: Sequence[str]) -> dict[str, list[str]]:
    """The keys of rows by their values in these columns."""
    found: dict[str, list[str]] = {}
    for row in rows:
        value = first(row.values, columns)
        if value is not None:
            found.setdefault(str(value), []).append(row.key)
    return found


def _named(values: RowValues, columns: Sequence[str], related_rows: dict[str, RelatedRows]) -> list[str]:
    return [value for column in columns if (value := str(values.get(column))) in related_rows]
