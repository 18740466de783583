"""API Gateway's event for a function (HTTP API, payload 2.0), and the answer in a form for tests."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.http import openapi_conformance

FUNCTIONS = Path(__file__).parents[3] / "functions"
REQUEST_ID = "JKJaXmPLvHcESHA="
USER = UUID("c0000000-0000-4000-8000-000000000001")

type Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


class Context(LambdaContext):
    """The context of an invocation, with so many seconds left; those of a short function, unless told."""

    def __init__(self, seconds: float = 10) -> None:
        self._left = int(seconds * 1000)
        self._function_name = "function"
        self._function_version = "$LATEST"
        self._invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:function"
        self._memory_limit_in_mb = 256
        self._aws_request_id = "8f507cfc-xmpl-4697-b07a-ac58fc914c95"

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override] # a static method that says 0
        return self._left


@dataclass(frozen=True)
class Answer:
    """An answer as a client sees it; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text)
        return document

    @property
    def slug(self) -> str:
        """The last part of the problem's type."""
        return str(self.json["type"]).removeprefix("/problems/")

    @property
    def pointers(self) -> list[str]:
        return [error["pointer"] for error in self.json["errors"]]


def loaded(folder: str) -> ModuleType:
    """A function's module, run as at a cold start: it reads the environment now."""
    spec = spec_from_file_location(f"function_{folder}", FUNCTIONS / folder / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def claims(groups: str | None = "[customers]", **changes: str | None) -> dict[str, str]:
    """An access token's claims as the authorizer hands them over; None leaves one out."""
    given = {"sub": str(USER), "token_use": "access", "cognito:groups": groups, **changes}
    return {name: value for name, value in given.items() if value is not None}


def event(  # noqa: PLR0913 (each part of a request, all optional)
    route: str,
    body: object = None,
    *,
    raw: str | None = None,
    base64: bool = False,
    caller: Mapping[str, str] | None = None,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A request of `route`; `body` is written as JSON, `raw` as it is, `caller` holds the token's claims."""
    context: dict[str, object] = {"requestId": REQUEST_ID, "routeKey": route}
    if caller is not None:
        context["authorizer"] = {"jwt": {"claims": caller, "scopes": None}}
    built: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "requestContext": context,
        "headers": dict(headers or {}),
        "isBase64Encoded": base64,
    }
    if body is not None:
        raw = json.dumps(body)
    given = {"body": raw, "pathParameters": path, "queryStringParameters": query}
    return built | {name: value for name, value in given.items() if value is not None}


def call(handler: Handler, request: dict[str, Any]) -> Answer:
    """Invoke a handler as Lambda would: what goes in and comes out is JSON, and what openapi.json allows."""
    answer = json.loads(json.dumps(handler(json.loads(json.dumps(request)), Context())))
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    method, _, path = request["routeKey"].partition(" ")
    openapi_conformance.check(method, path.replace("+}", "}"), answer["statusCode"], headers, answer["body"])
    return Answer(answer["statusCode"], headers, answer["body"])
