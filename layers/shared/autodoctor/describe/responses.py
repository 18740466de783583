"""The answers of a route: its successes, its stated problems, and those that API Gateway gives in its place."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel

from autodoctor.describe.operation import Operation
from autodoctor.describe.problem_schemas import reference, sample
from autodoctor.describe.samples import example
from autodoctor.describe.schemas import REF, Schema, one_sentence
from autodoctor.errors import Problem
from autodoctor.web.http import Route

PROBLEM: Final = "application/problem+json"

GATEWAY_SCHEMAS: Final[dict[str, Schema]] = {
    "GatewayMessage": {
        "description": "An error answer of API Gateway itself; it has no type.",
        "type": "object",
        "properties": {"message": {"type": ["string", "null"]}},
        "required": ["message"],
    },
    "UnexpectedError": {
        "description": "A failure of this service. Tell the operators the request id.",
        "type": "object",
        "properties": {
            "type": {"const": "about:blank"},
            "status": {"const": 500},
            "requestId": {"type": "string"},
        },
        "required": ["type", "status", "requestId"],
    },
}
COMPONENT_HEADERS: Final[dict[str, Schema]] = {
    "CacheControl": {"description": "Always `no-store`.", "required": True, "schema": {"const": "no-store"}},
    "RequestId": {
        "description": "Names this call to the operators. API Gateway's own answers have `Apigw-Requestid` instead.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 1}},
    "Link": {"description": 'The successor: `<PATH>; rel="successor-version"`.', "schema": {"type": "string"}},
    "WwwAuthenticate": {"description": "How to authenticate.", "schema": {"type": "string"}},
}
_HEADER_NAMES: Final = {"Retry-After": "RetryAfter", "Link": "Link", "WWW-Authenticate": "WwwAuthenticate"}
_OURS: Final = {"Cache-Control": "CacheControl", "X-Request-Id": "RequestId"}
_MEDIUM: Final = {"schema": {"$ref": f"{REF}GatewayMessage"}}
_BY_GATEWAY: Final = {
    401: "The token is missing, expired or forged",
    404: "There is no such path, for example because an id is empty",
    413: "The request is larger than 10 MB",
    429: "Too many requests; try again later",
    503: "The function was too slow",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A route and its description."""

    key: str
    route: Route
    described: Operation


@dataclass(frozen=True, slots=True)
class Successes:
    """The successes of a route.

    Attributes:
        models: by status; None when the answer is not a model.
        places: the reference to each model's schema.
        definitions: all schemas, by name.
    """

    models: Mapping[int, type[BaseModel] | None]
    places: Mapping[type[BaseModel], Schema]
    definitions: Mapping[str, Schema]


def responses(call: Call, answers: Successes, shared: dict[str, Schema]) -> dict[str, Schema]:
    """Every answer of a route, by status.

    Args:
        call: the route.
        answers: its successes.
        shared: receives, by name, the refusals that several routes have.
    """
    made = {status: _success(status, model, call.described, answers) for status, model in answers.models.items()}
    gateways = set(_gateways(call))
    refusals: dict[int, Schema] = {}
    by_status: defaultdict[int, list[type[Problem]]] = defaultdict(list)
    for kind in sorted(call.route.problems, key=lambda kind: (kind.slug, kind.__name__)):
        by_status[kind.status].append(kind)
    for status, kinds in by_status.items():
        refusals[status] = _refusal(kinds)
    for status in gateways:
        _add_gateways(made if status in made else refusals, status)
    if answers.models:
        refusals[500] = _unexpected()
    for status, refusal in refusals.items():
        name = ".".join([str(status), *dict.fromkeys(kind.slug for kind in by_status[status])])
        name += ".gateway" if status in gateways and by_status[status] else ""
        shared[name] = refusal
        made[status] = {"$ref": f"#/components/responses/{name}"}
    return {str(status): made[status] for status in sorted(made)}


def _success(status: int, model: type[BaseModel] | None, described: Operation, answers: Successes) -> Schema:
    headers = _headers(_OURS)
    if model is None:
        del headers["Cache-Control"]  # files and pages have caching rules of their own
        content: dict[str, Any] = {kind: {"schema": dict(schema)} for kind, schema in described.content.items()}
        return {"description": described.statuses[status], "headers": headers, "content": content}
    schema = answers.places[model]
    shown = {"schema": schema, "example": example(schema, answers.definitions)}
    extra = {kind: {"schema": dict(schema)} for kind, schema in described.content.items()}
    return {
        "description": one_sentence(model.__doc__),
        "headers": headers,
        "content": {"application/json": shown, **extra},
    }


def _refusal(kinds: list[type[Problem]]) -> Schema:
    """The answer of a status, which is one of these problems."""
    slugs = {kind.slug: kind for kind in kinds}
    refs = [reference(kind) for kind in slugs.values()]
    mapping = {f"/problems/{slug}": reference(kind)["$ref"] for slug, kind in slugs.items()}
    several = {"oneOf": refs, "discriminator": {"propertyName": "type", "mapping": mapping}}
    names = {name for kind in kinds for name in sample(kind).headers}
    return {
        "description": "; ".join(kind.title for kind in slugs.values()) + ".",
        "headers": _headers(_OURS | {name: _HEADER_NAMES[name] for name in sorted(names)}),
        "content": {PROBLEM: {"schema": refs[0] if len(refs) == 1 else several}},
    }


def _gateways(call: Call) -> Iterable[int]:
    """The statuses that API Gateway answers in place of a route."""
    if call.route.groups:
        yield 401
    if "{" in call.key:
        yield 404
    if not call.key.startswith("GET "):
        yield 413
    yield from (429, 503)


def _add_gateways(made: dict[int, Schema], status: int) -> None:
    text = f"{_BY_GATEWAY[status]} (API Gateway)."
    if status not in made:
        made[status] = {"description": text, "content": {"application/json": _MEDIUM}}
        return
    ours = made[status]
    # API Gateway's answers have none of our headers, so this status cannot require any.
    made[status] = {
        "description": f"{ours['description']} {text}",
        "headers": {name: ref for name, ref in ours["headers"].items() if name != "Cache-Control"},
        "content": {**ours["content"], "application/json": _MEDIUM},
    }


def _unexpected() -> Schema:
    return {
        "description": f"{HTTPStatus.INTERNAL_SERVER_ERROR.phrase}.",
        "content": {PROBLEM: {"schema": {"$ref": f"{REF}UnexpectedError"}}, "application/json": _MEDIUM},
    }


def _headers(names: Mapping[str, str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{component}"} for name, component in names.items()}
