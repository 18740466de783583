"""From an API Gateway HTTP API event (payload 2.0) to a function of the layer, and back to an answer.

A route states what it reads and which problems it answers; the description of the API is made of that.

Ours instead of powertools' resolver: that one costs every cold start some 100 ms of imports, and
problem documents would have to be wrapped around it anyway (DECISIONS.md#d10).
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel

from autodoctor.errors import (
    Forbidden,
    MalformedBody,
    NotFound,
    Problem,
    ServiceUnavailable,
    Unauthenticated,
    Unprocessable,
)
from autodoctor.observability import count, logger
from autodoctor.web.bodies import UNSTORABLE, read
from autodoctor.web.problems import problem_of
from autodoctor.web.schemas import RequestBody, unstorable

type Group = Literal["customers", "mechanics", "admins"]
type HttpEvent = Mapping[str, Any]
type Response = dict[str, object]


@dataclass(frozen=True, slots=True)
class Caller:
    """The user who calls.

    Attributes:
        user_id: the token's `sub`.
        groups: the token's groups.
        verified_email: the address that the sign-in has verified, if the token names one.
    """

    user_id: UUID
    groups: frozenset[str]
    verified_email: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the caller may read and end any session."""
        return "admins" in self.groups


ANYBODY = Caller(UUID(int=0), frozenset())
"""The caller of a public route."""


class Unstated(RuntimeError):
    """An endpoint reads its body as a model that its route does not state."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of one route; query parameters and headers that the route does not state are left out."""

    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw_body: bytes
    body: type[RequestBody] | None

    def json[Body: RequestBody](self, model: type[Body]) -> Body:
        """The body as the model that the route states; an empty body counts as `{}`.

        Raises:
            MalformedBody: it is not JSON.
            Unprocessable: it is JSON, but not a valid `model`.
            Unstated: the route states another model, or none.
        """
        if model is not self.body:
            raise Unstated(f"the route does not state body={model.__name__}")
        raw = self.raw_body.strip() or b"{}"
        return read(model, raw)

    def id(self, name: str, absent: Callable[[], Problem]) -> UUID:
        """The UUID in the path.

        Raises:
            Problem: `absent()`, where the text is no UUID, since nothing has such an id.
        """
        try:
            return UUID(self.path[name])
        except ValueError:
            raise absent() from None


@dataclass(frozen=True, slots=True)
class Content[Body: (str, bytes) = str]:
    """An answer that is not a model's JSON: a page, a ready-made document, CSV, PDF.

    Attributes:
        body: its text, or its bytes where it is none.
        content_type: with the charset, unless it is JSON.
        status: HTTP status; the route's where None.
        headers: extra response headers.
    """

    body: Body
    content_type: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


type Endpoint = Callable[[Request], BaseModel | Content | Content[bytes]]
type AfterSuccess = Callable[[Any], None]
type SuccessStatus = int | Mapping[type[BaseModel], int]
"""HTTP status of success, or of each model that the endpoint may answer."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route: its code, and what it states to `Router.route`."""

    endpoint: Endpoint
    groups: frozenset[str]
    body: type[RequestBody] | None
    query: frozenset[str]
    headers: frozenset[str]
    raises: frozenset[type[Problem]]
    status: SuccessStatus
    metric: str | None
    after: AfterSuccess | None
    static: bool

    @property
    def problems(self) -> frozenset[type[Problem]]:
        """Every problem that it may answer: those it states, and those that the router answers for any such route."""
        found = set(self.raises)
        if self.groups:
            found |= {Unauthenticated, Forbidden}
        if self.body:
            found |= {MalformedBody, Unprocessable}
        if self.query:
            found.add(Unprocessable)
        if not self.static:
            found.add(ServiceUnavailable)
        return frozenset(found)


class Router:
    """The routes of one function, by API Gateway's route key (`POST /api/intake/start`).

    Args:
        static: whether all answers come from the function alone, so that nothing behind it can be unavailable.
    """

    def __init__(self, *, static: bool = False) -> None:
        self.routes: dict[str, Route] = {}
        self._static = static

    def route(  # noqa: PLR0913 (all that there is to say of a route)
        self,
        key: str,
        groups: Iterable[Group],
        *,
        body: type[RequestBody] | None = None,
        query: Iterable[str] = (),
        headers: Iterable[str] = (),
        raises: Iterable[type[Problem]] = (),
        status: SuccessStatus = 200,
        metric: str | None = None,
        after: AfterSuccess | None = None,
    ) -> Callable[[Endpoint], Endpoint]:
        """Register a route.

        Args:
            key: method and path, as in template.yaml.
            groups: the caller must be in one of these; empty: the route is public.
            body: the model that the endpoint reads its body as.
            query: names of the query parameters that it reads.
            headers: names of the headers that it reads, in lower case.
            raises: the problems that it may answer, beside those of the router (`Route.problems`).
            status: HTTP status of success, or of each model that is answered.
            metric: counted at each success.
            after: called with each successful answer before it is sent; never raises.
        """

        def register(endpoint: Endpoint) -> Endpoint:
            self.routes[key] = Route(
                endpoint,
                frozenset(groups),
                body,
                frozenset(query),
                frozenset(headers),
                frozenset(raises),
                status,
                metric,
                after,
                self._static,
            )
            return endpoint

        return register

    def handler(self) -> Callable[[HttpEvent, LambdaContext], Response]:
        """The Lambda handler that serves these routes."""

        def handle(event: HttpEvent, _context: LambdaContext) -> Response:
            request_id = event["requestContext"]["requestId"]
            logger.set_correlation_id(request_id)
            status, document, headers = self._answer(event)
            logger.info("request", extra={"route": event["routeKey"], "status": status})
            return _response(request_id, status, document, headers)

        return logger.inject_lambda_context(clear_state=True)(handle)

    def _answer(self, event: HttpEvent) -> tuple[int, str | bytes | None, Mapping[str, str]]:
        try:
            route = self.routes.get(event["routeKey"])
            if route is None:  # the template leads more here than this function has, or a test event has no route
                logger.warning("unknown route", extra={"route": event["routeKey"]})
                raise NotFound("There is no such route.")  # noqa: TRY301 (answered below like every other problem)
            request = _request(event, ANYBODY if not route.groups else _caller(event), route)
            _let_in(request.caller, route)
            _refuse_unstorable_query(request.query)
            answer = route.endpoint(request)
        except Exception as failure:  # noqa: BLE001 (the one place that turns errors into answers; SPEC.md#problems)
            problem = problem_of(failure)
            return (500, None, {}) if problem is None else (problem.status, json.dumps(problem.body()), problem.headers)
        if route.after:
            route.after(answer)
        if route.metric:
            count(route.metric)  # not by log_metrics(), which prints a warning after each call without a metric
        if isinstance(answer, Content):
            return _content(answer, route)
        status = route.status[type(answer)] if isinstance(route.status, Mapping) else route.status
        return status, answer.model_dump_json(by_alias=True), {}


def _content(answer: Content | Content[bytes], route: Route) -> tuple[int, str | bytes, Mapping[str, str]]:
    status = answer.status or (route.status if isinstance(route.status, int) else 200)
    return status, answer.body, {**answer.headers, "Content-Type": answer.content_type}


def _let_in(caller: Caller, route: Route) -> None:
    if route.groups and not caller.groups & route.groups:
        raise Forbidden(f"This route is for {' or '.join(sorted(route.groups))}.")


def _response(request_id: str, status: int, document: str | bytes | None, headers: Mapping[str, str]) -> Response:
    """The answer in payload format 2.0; one without a document is the bare 500 of an unexpected error."""
    content_type = "application/problem+json" if status >= 400 else "application/json"  # noqa: PLR2004
    if document is None:
        document = json.dumps({"type": "about:blank", "status": status, "requestId": request_id})
    return {
        "statusCode": status,
        "headers": {
            "Content-Type": content_type,
            "Cache-Control": "no-store",
            "Strict-Transport-Security": "max-age=31536000",
            "X-Content-Type-Options": "nosniff",
            "X-Request-Id": request_id,
            **headers,
        },
        **_body(document),
    }


def _body(document: str | bytes) -> Response:
    """Bytes pass API Gateway in base64."""
    if isinstance(document, bytes):
        return {"body": base64.b64encode(document).decode(), "isBase64Encoded": True}
    return {"body": document}


def _request(event: HttpEvent, caller: Caller, route: Route) -> Request:
    body = event.get("body") or ""
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError:
        raise MalformedBody("The body could not be decoded.") from None
    return Request(
        caller=caller,
        path=event.get("pathParameters") or {},
        query=_stated(event.get("queryStringParameters"), route.query),
        headers=_stated(event.get("headers"), route.headers),
        raw_body=raw,
        body=route.body,
    )


def _stated(given: Mapping[str, str] | None, names: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in (given or {}).items() if name in names}


def _caller(event: HttpEvent) -> Caller:
    """The caller that API Gateway's authorizer vouches for.

    An authorizer cannot tell an ID token from an access token, so that is checked here.

    Raises:
        Unauthenticated: no access token, or one whose `sub` is no UUID.
    """
    claims = event["requestContext"].get("authorizer", {}).get("jwt", {}).get("claims", {})
    if claims.get("token_use") != "access":
        raise Unauthenticated("An access token is required.")
    try:
        user_id = UUID(claims.get("sub", ""))
    except ValueError:
        raise Unauthenticated("The token's subject is not a user.") from None
    # API Gateway flattens a list claim into one string: [customers admins]
    verified = str(claims.get("email_verified")).lower() == "true"  # API Gateway makes text of it
    groups = frozenset(_groups(claims.get("cognito:groups", "")))
    return Caller(user_id, groups, claims.get("email") if verified else None)


def _groups(flattened: str) -> list[str]:
    """The groups of a claim; only the outer brackets are API Gateway's, others are part of a group's name."""
    if flattened.startswith("[") and flattened.endswith("]"):
        flattened = flattened[1:-1]
    return flattened.split()


def _refuse_unstorable_query(query: Mapping[str, str]) -> None:
    for name, value in query.items():
        if unstorable(value) is not None:
            raise Unprocessable((f"/{name}", UNSTORABLE))
