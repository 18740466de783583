"""Each type of problem as a schema with an example, made from its class, so that title, status and extras agree."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from pydantic.alias_generators import to_camel, to_pascal

from autodoctor import errors
from autodoctor.describe.choices import add_choices
from autodoctor.describe.problems import GUIDES, Guide
from autodoctor.describe.samples import VALUES
from autodoctor.describe.schemas import REF, Schema
from autodoctor.errors import Problem

SUFFIX: Final = "Problem"
_DETAILS: Final = {
    "malformed-json": "The body is not valid JSON, or nested too deeply.",
    "unauthenticated": "An access token is required.",
    "forbidden": "This route is for mechanics.",
    "not-found": "There is no such session.",
    "conflict": "This does not fit the present state.",
}
"""Sentences for types that have a different one each time."""


class Unexplained(Exception):
    """A type of problem that problems.py does not explain, or not completely."""


def problem_schemas(raised: Iterable[type[Problem]]) -> dict[str, Schema]:
    """The schemas of problem documents, by name: of those in errors.py, and of others that routes state.

    Raises:
        Unexplained: problems.py does not explain one, or not completely.
    """
    general = (each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Problem))
    bases = (base for kind in {*general, *raised} for base in kind.__mro__ if issubclass(base, Problem))
    named = {kind.slug: kind for kind in bases if "slug" in vars(kind)}
    if unknown := set(named) - set(GUIDES):
        raise Unexplained(f"explain in autodoctor/describe/problems.py: {', '.join(sorted(unknown))}")
    return {schema_name(named[slug]): _schema(named[slug], GUIDES[slug]) for slug in sorted(named)}


def schema_name(kind: type[Problem]) -> str:
    """The name of the schema of a type of problem, such as `ActiveSessionExistsProblem`."""
    return to_pascal(kind.slug.replace("-", "_")) + SUFFIX


def reference(kind: type[Problem]) -> Schema:
    """A reference to the schema of a type of problem."""
    return {"$ref": f"{REF}{schema_name(kind)}"}


def sample(kind: type[Problem]) -> Problem:
    """A realistic example of a problem."""
    given: dict[str, Any] = {}
    pairs: list[Any] = []
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            pairs = [(error["pointer"], error["detail"]) for error in VALUES["errors"]]
        elif parameter.kind is not inspect.Parameter.VAR_KEYWORD and parameter.default is inspect.Parameter.empty:
            given[name] = _DETAILS[kind.slug] if name == "detail" else _argument(kind, name, parameter.annotation)
    return kind(*pairs, **given)


def _argument(kind: type[Problem], name: str, annotation: object) -> object:
    on_the_wire = to_camel(name)
    if annotation is UUID:
        return UUID(VALUES.get(on_the_wire, VALUES["sessionId"]))
    value = VALUES.get(f"{kind.__name__}.{on_the_wire}", VALUES.get(on_the_wire))
    fallback = 1 if annotation is int else "text"
    return value if isinstance(annotation, type) and isinstance(value, annotation) else fallback


def _schema(kind: type[Problem], guide: Guide) -> Schema:
    problem = sample(kind)
    if set(problem.extras) != set(guide.extras):
        raise Unexplained(f"{kind.slug} has the extras {sorted(problem.extras)}, problems.py has {[*guide.extras]}")
    extras = {name: {**_shape(value), "description": guide.extras[name]} for name, value in problem.extras.items()}
    add_choices(kind.__name__, extras)
    properties = {
        "type": {"const": f"/problems/{kind.slug}"},
        "title": {"const": kind.title},
        "status": {"const": kind.status},
        "detail": {"type": "string", "description": "What happened this time, for people."},
        **extras,
    }
    return {
        "description": guide.means,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "examples": [problem.body()],
        "x-what-to-do": guide.do,
        "x-headers": sorted(problem.headers),
    }


def _shape(value: object) -> Schema:
    """A schema for values like this one."""
    match value:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case str():
            return {"type": "string", "format": "uuid"} if _is_uuid(value) else {"type": "string"}
        case Mapping():
            inner = {name: _shape(each) for name, each in value.items()}
            return {"type": "object", "properties": inner, "required": list(inner)}
        case list():
            return {"type": "array", "items": _shape(value[0])}
    raise TypeError(f"no schema for {value!r}")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
