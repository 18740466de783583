"""The API's paged lists, and the expansion of ids into objects."""

from collections.abc import Iterable
from typing import Final

from localcloud.stripe.http.errors import ApiError, Json, invalid, missing_object
from localcloud.stripe.state.state import Call, Criteria, State

_DEFAULT_LIMIT: Final = 10
_LARGEST_LIMIT: Final = 100
_DEEPEST: Final = 4


def listed(state: State, call: Call, kind: str, filters: Iterable[str], url: str | None = None) -> Json:
    """Answer a list request: filtered by the named parameters, newest first, paged by id."""
    equal = {name: call.params.get(name) for name in filters}
    where = state.conditions(Criteria(equal, call.params.get("created")))
    return page(state, call, kind, where, url)


def page(state: State, call: Call, kind: str, where: dict[str, object], url: str | None = None) -> Json:
    """Return one page of the objects that meet the conditions. Raises ApiError."""
    limit = call.params.get("limit", _DEFAULT_LIMIT)
    if not 1 <= limit <= _LARGEST_LIMIT:
        raise invalid("Invalid integer: limit must be between 1 and 100", "limit", "parameter_invalid_integer")
    url = url or f"/v1/{kind.replace('.', '/')}s"
    cursor = dict(where)
    if after := call.params.get("starting_after"):
        cursor["sequence < ?"] = _sequence(state, after, "starting_after")
    if before := call.params.get("ending_before"):
        cursor["sequence > ?"] = _sequence(state, before, "ending_before")
        nearest_last = state.store.select(kind, call.account, cursor)
        data, more = nearest_last[-limit:], len(nearest_last) > limit
    else:
        found = state.store.select(kind, call.account, cursor, limit + 1)
        data, more = found[:limit], len(found) > limit
    return {"object": "list", "url": url, "has_more": more, "data": data}


def _sequence(state: State, object_id: str, param: str) -> int:
    row = state.store.one("SELECT sequence FROM object WHERE id = ?", object_id)
    if row is None:
        raise missing_object("object", object_id, param)
    return int(row["sequence"])


def expanded(state: State, body: Json, paths: Iterable[str]) -> Json:
    """Replace the ids at these paths (`charge.balance_transaction`, `data.charge`) by the objects.

    Raises ApiError when a path has nothing to expand.
    """
    for path in paths:
        parts = path.split(".")
        if len(parts) > _DEEPEST:
            raise invalid("You cannot expand more than 4 levels of a property.", "expand")
        _expand(state, body, parts, path)
    return body


def _expand(state: State, place: Json, parts: list[str], path: str) -> None:
    name, rest = parts[0], parts[1:]
    if name not in place:
        raise ApiError(f"This property cannot be expanded ({path}).", param="expand", began=False)
    value = place[name]
    if isinstance(value, str):
        found = state.store.get(value)
        if found is None:
            raise ApiError(f"This property cannot be expanded ({path}).", param="expand", began=False)
        place[name] = value = found[1]
    if not rest:
        return
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            _expand(state, each, rest, path)
