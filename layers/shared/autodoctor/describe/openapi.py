"""The OpenAPI 3.1 document, made from the statements of every route and the models that it uses."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args, get_type_hints

from pydantic import BaseModel

from autodoctor.describe.operation import TAGS, Operation
from autodoctor.describe.operations import OPERATIONS
from autodoctor.describe.parameters import BY_HTTP, HEADERS, PATH, QUERY
from autodoctor.describe.problem_schemas import problem_schemas
from autodoctor.describe.responses import COMPONENT_HEADERS, GATEWAY_SCHEMAS, Call, Successes, responses
from autodoctor.describe.samples import example
from autodoctor.describe.schemas import Mode, Schema, resolve, schemas
from autodoctor.web.http import Content, Route
from autodoctor.web.schemas import EmptyBody

VERSION: Final = "1.0.0"
_METHODS: Final = {"ANY": ("get", "post", "put", "patch", "delete")}
_IN_BRACES: Final = re.compile(r"\{(\w+)\+?\}")
_INTRODUCTION: Final = """\
JSON in camelCase; times are UTC in ISO 8601 with `Z`; ids are UUIDs; money is in cents, shares in basis points. \
Clients ignore members that they do not know: they may be added within this version.

Errors are RFC 9457 problem documents (`application/problem+json`). Their `type` is the path of a page with its \
meaning and what to do: [/problems](/problems). A refusal by API Gateway itself (no or a bad token, an unknown path, \
too many requests) is `application/json` with a `message` and no type.

No answer may be cached. `X-Request-Id` names a call to the service's operators."""


@dataclass(frozen=True, slots=True)
class _World:
    """Shared by the operations of a document: the schemas, each model's place among them, and the answers by name."""

    models: Mapping[type[BaseModel], Schema]
    definitions: Mapping[str, Schema]
    responses: dict[str, Schema]


class Undescribed(Exception):
    """A route that this package does not describe, or not completely."""


def openapi(routes: Mapping[str, Route]) -> dict[str, Any]:
    """Write the document.

    Args:
        routes: every route of every function, by its key.

    Raises:
        Undescribed: a route or parameter has no description; the message says where to add it.
    """
    if missing := sorted(set(routes) - set(OPERATIONS)):
        raise Undescribed(f"describe in autodoctor/describe/operations: {', '.join(missing)}")
    wanted: set[tuple[type[BaseModel], Mode]] = set()
    for route in routes.values():
        if route.body not in (None, EmptyBody):
            wanted.add((route.body, "validation"))
        wanted |= {(model, "serialization") for model in answers_of(route).values() if model is not None}
    definitions, models = schemas(wanted)
    raised = {kind for route in routes.values() for kind in route.problems}
    definitions |= problem_schemas(raised) | GATEWAY_SCHEMAS
    world = _World(models, definitions, {})
    paths: dict[str, dict[str, Any]] = {}
    for key, route in sorted(routes.items(), key=lambda item: item[0].partition(" ")[2]):
        method, _, path = key.partition(" ")
        for verb in _METHODS.get(method, (method.lower(),)):
            written = _operation(key, route, world)
            if method in _METHODS:
                written["operationId"] += verb.capitalize()
            paths.setdefault(path.replace("+}", "}"), {})[verb] = written
    return _document(paths, world)


def answers_of(route: Route) -> dict[int, type[BaseModel] | None]:
    """The model of each successful status; None where the answer is no model; empty for a route that only raises."""
    hint = get_type_hints(route.endpoint)["return"]
    models = [each for each in (get_args(hint) or (hint,)) if isinstance(each, type)]
    if isinstance(route.status, Mapping):
        return {route.status[model]: model for model in models}
    found = [model for model in models if issubclass(model, BaseModel)]
    if len(found) > 1:
        raise Undescribed(f"{route.endpoint.__name__} answers several models: give Router.route(status=) a mapping")
    if found:
        return {route.status: found[0]}
    return {route.status: None} if Content in models else {}


def _operation(key: str, route: Route, world: _World) -> Schema:
    described = OPERATIONS[key]
    answers = answers_of(route)
    if None in answers.values():
        if not described.statuses:
            raise Undescribed(f"say in autodoctor/describe/operations what each status of {key} means (statuses)")
        answers = dict.fromkeys(described.statuses)
    written: Schema = {
        "operationId": described.id,
        "summary": described.summary,
        "description": _text(described, route),
        "tags": [described.tag],
        "security": [{"bearerAuth": [group]} for group in sorted(route.groups)],
    }
    if not answers:
        written |= {"deprecated": True, "x-internal": True}  # generators of clients leave out what is internal
    if parameters := [*_path_parameters(key), *_other_parameters(key, described, route)]:
        written["parameters"] = parameters
    if body := _body(described, route, world):
        written["requestBody"] = body
    successes = Successes(answers, world.models, world.definitions)
    written["responses"] = responses(Call(key, route, described), successes, world.responses)
    return written


def _text(described: Operation, route: Route) -> str:
    """The description, with the groups that may call."""
    who = f"For {', '.join(sorted(route.groups))}." if route.groups else "Public: needs no token."
    return f"{described.text}\n\n{who}" if described.text else who


def _path_parameters(key: str) -> Iterable[Schema]:
    for name in _IN_BRACES.findall(key):
        if name not in PATH:
            raise Undescribed(f"describe {name} of {key} in autodoctor/describe/parameters.py (PATH)")
        text, schema = PATH[name]
        yield {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _other_parameters(key: str, described: Operation, route: Route) -> Iterable[Schema]:
    query = {**QUERY, **described.query}
    headers = route.headers - BY_HTTP
    if unknown := (route.query - set(query)) | (headers - set(HEADERS)):
        raise Undescribed(f"describe {', '.join(sorted(unknown))} of {key} in autodoctor/describe/parameters.py")
    for name in sorted(route.query):
        text, schema = query[name]
        yield {"name": name, "in": "query", "description": text, "schema": schema}
    for lower in sorted(headers):
        name, text, required, schema = HEADERS[lower]
        yield {"name": name, "in": "header", "required": required, "description": text, "schema": schema}


def _body(described: Operation, route: Route, world: _World) -> Schema | None:
    if described.body is not None:
        return {"required": True, "content": {"application/json": {"schema": dict(described.body)}}}
    if route.body in (None, EmptyBody):
        return None
    schema = world.models[route.body]
    shown = {"schema": schema, "example": _short_of_nulls(example(schema, world.definitions))}
    return {"required": "required" in resolve(schema, world.definitions), "content": {"application/json": shown}}


def _short_of_nulls(value: Any) -> Any:  # noqa: ANN401 (any JSON)
    """The example of a request, without the members that are null."""
    if isinstance(value, dict):
        return {name: _short_of_nulls(each) for name, each in value.items() if each is not None}
    return value


def _document(paths: Mapping[str, Schema], world: _World) -> Schema:
    used = {operation["tags"][0] for methods in paths.values() for operation in methods.values()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AutoDoctor Sessions",
            "version": VERSION,
            "summary": "A driver talks to a mechanic now.",
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "Where this document was fetched."}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items() if name in used],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearerAuth": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token of the user pool (not an ID token). The groups of a route are "
                    "alternatives: one of them must be among the token's `cognito:groups`.",
                }
            },
            "headers": COMPONENT_HEADERS,
            "responses": dict(sorted(world.responses.items())),
            "schemas": dict(sorted(world.definitions.items())),
        },
    }
