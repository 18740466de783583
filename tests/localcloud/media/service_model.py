"""Chime SDK Meetings as botocore's own model describes it: routes, and what a request may hold."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from botocore.loaders import Loader
from botocore.model import ServiceModel

SERVICE: Final = "chime-sdk-meetings"
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "structure": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
}


@dataclass(frozen=True)
class Call:
    """An operation, and the parameters that a request gave in its path and query."""

    operation: str
    given: Mapping[str, object]


def call_of(method: str, path: str, query: Mapping[str, str]) -> Call | None:
    """The operation that a request means; None where the service has none."""
    for name, pattern, wanted in _routes():
        match = pattern.fullmatch(f"{method} {path}")
        if match and wanted == query.get("operation"):
            return Call(name, {**match.groupdict(), **_of_query(name, query)})
    return None


def faults_of(operation: str, parameters: Mapping[str, object]) -> list[str]:
    """What the model does not allow in these parameters, in the service's words."""
    return list(_faults("", _model().operation_model(operation).input_shape, parameters))


def status_of(error: str) -> int:
    """The HTTP status of one of the service's errors."""
    status: int = _model().shape_for(error).metadata["error"]["httpStatusCode"]
    return status


@cache
def _model() -> Any:  # noqa: ANN401 (botocore has no annotations)
    return ServiceModel(Loader().load_service_model(SERVICE, "service-2"), SERVICE)


@cache
def _routes() -> list[tuple[str, re.Pattern[str], str | None]]:
    routes = []
    for name in _model().operation_names:
        http = _model().operation_model(name).http
        path, _, query = http["requestUri"].partition("?")
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(f"{http['method']} {path}"))
        routes.append((name, re.compile(pattern), query.partition("operation=")[2] or None))
    return routes


def _of_query(operation: str, query: Mapping[str, str]) -> dict[str, object]:
    shape = _model().operation_model(operation).input_shape
    found: dict[str, object] = {}
    for name, member in shape.members.items() if shape else ():
        if member.serialization.get("location") == "querystring":
            value = query.get(member.serialization["name"])
            if value is not None:
                found[name] = int(value) if member.type_name == "integer" and value.isdecimal() else value
    return found


def _faults(place: str, shape: Any, value: object) -> Iterator[str]:  # noqa: ANN401
    if not isinstance(value, _TYPES[shape.type_name]) or (shape.type_name == "integer" and isinstance(value, bool)):
        yield f"Value at '{place}' failed to satisfy constraint: Member must be a {shape.type_name}"
    elif isinstance(value, dict):
        yield from _faults_of_members(place, shape, value)
    elif isinstance(value, list):
        yield from _outside(place, "length", len(value), shape.metadata)
        for number, each in enumerate(value, start=1):
            yield from _faults(f"{place}.{number}.member", shape.member, each)
    elif isinstance(value, str):
        yield from _faults_of_text(place, shape, value)
    elif isinstance(value, int):
        yield from _outside(place, "value", value, shape.metadata)


def _faults_of_members(place: str, shape: Any, value: Mapping[str, object]) -> Iterator[str]:  # noqa: ANN401
    for name, member in shape.members.items():
        inner = ".".join(filter(None, (place, name[0].lower() + name[1:])))
        if value.get(name) is not None:
            yield from _faults(inner, member, value[name])
        elif name in shape.required_members:
            yield f"Value null at '{inner}' failed to satisfy constraint: Member must not be null"


def _faults_of_text(place: str, shape: Any, value: str) -> Iterator[str]:  # noqa: ANN401
    yield from _outside(place, "length", len(value), shape.metadata)
    fails = f"Value at '{place}' failed to satisfy constraint: Member must satisfy"
    pattern = shape.metadata.get("pattern")
    if pattern and not re.search(rf"^(?:{pattern})$", value):
        yield f"{fails} regular expression pattern: {pattern}"
    if shape.enum and value not in shape.enum:
        yield f"{fails} enum value set: [{', '.join(shape.enum)}]"


def _outside(place: str, what: str, number: int, bounds: Mapping[str, int]) -> Iterator[str]:
    for name, bound, words in (("min", -number, "greater than or equal to"), ("max", number, "less than or equal to")):
        limit = bounds.get(name)
        if limit is not None and bound > (-limit if name == "min" else limit):
            yield f"Value at '{place}' failed to satisfy constraint: Member must have {what} {words} {limit}"
