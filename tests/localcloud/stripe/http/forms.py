"""Decodes Stripe's forms: `line_items[0][price_data][currency]=usd` becomes nested values."""

import re
from urllib.parse import parse_qsl

from localcloud.stripe.http.errors import Json, invalid

_KEY = re.compile(r"(?P<name>[^\[\]]+)(?P<rest>(\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")
_MOST_FIELDS = 5_000


def decode(text: str) -> Json:
    """Return the parameters of a form or query string; leaves are strings. Raises ApiError."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise invalid("Invalid request: the parameters are not a form.") from error
    root: Json = {}
    for key, value in pairs:
        _put(root, _path(key), value, key)
    return {name: _listed(value) for name, value in root.items()}


def _path(key: str) -> list[str]:
    match = _KEY.fullmatch(key)
    if match is None:
        raise invalid(f"Invalid parameter name: {key}", key)
    return [match["name"], *_PART.findall(match["rest"])]


def _put(root: Json, path: list[str], value: str, key: str) -> None:
    """Put a value at a path; an empty part is the next place of a list."""
    place = root
    for part in path[:-1]:
        place = place.setdefault(part or str(len(place)), {})
        if not isinstance(place, dict):
            raise invalid(f"Invalid parameter: {key} is both a value and an object", key)
    place[path[-1] or str(len(place))] = value


def _listed(value: object) -> object:
    """Turn objects whose keys are 0, 1, 2, ... into lists."""
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(item) for key, item in value.items()}
    if inner and all(key.isdecimal() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner
