"""From an API Gateway HTTP API event (payload 2.0) to a function of the layer, and back to an answer.

Ours instead of powertools' resolver: that one costs every cold start some 100 ms of imports, and
problem documents would have to be wrapped around it anyway (DECISIONS.md#d10).
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NoReturn
from uuid import UUID

import psycopg
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ValidationError

from autodoctor.errors import (
    Forbidden,
    MalformedBody,
    Problem,
    ServiceUnavailable,
    SessionBusy,
    Unauthenticated,
    Unprocessable,
)
from autodoctor.observability import MetricUnit, log_failure, logger, metrics
from autodoctor.web.schemas import RequestBody, unstorable
from autodoctor.web.validation_messages import validation_message

type Group = Literal["customers", "mechanics", "admins"]
type Event = Mapping[str, Any]
type Response = dict[str, object]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        user_id: the token's `sub`.
        groups: the token's groups.
    """

    user_id: UUID
    groups: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """Whether the caller may read and end any session."""
        return "admins" in self.groups


_NOT_JSON: Final = "The body is not valid JSON, or nested too deeply."

ANYBODY = Caller(UUID(int=0), frozenset())
"""The caller of a public route."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of one route."""

    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw_body: bytes

    def json[Body: RequestBody](self, model: type[Body]) -> Body:
        """The body as `model`; an empty body counts as `{}`.

        Raises:
            MalformedBody: it is not JSON.
            Unprocessable: it is JSON, but not a valid `model`.
        """
        raw = self.raw_body.strip() or b"{}"
        _refuse_unstorable(raw)
        try:
            return model.model_validate_json(raw)
        except ValidationError as invalid:
            if invalid.errors()[0]["type"] == "json_invalid":  # nested more than 200 deep
                raise MalformedBody(_NOT_JSON) from None
            raise Unprocessable(
                *((_pointer(error["loc"]), validation_message(error)) for error in invalid.errors())
            ) from None

    def id(self, name: str, absent: Callable[[], Problem]) -> UUID:
        """The UUID in the path.

        Raises:
            Problem: `absent`, where it is no UUID: nothing has such an id.
        """
        try:
            return UUID(self.path[name])
        except ValueError:
            raise absent() from None


@dataclass(frozen=True, slots=True)
class Content:
    """An answer that is not a model's JSON: a page, a document that was made before, CSV.

    Attributes:
        body: its text.
        content_type: with the charset, where it is no JSON.
        status: HTTP status; the route's where None.
        headers: extra response headers.
    """

    body: str
    content_type: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


type Endpoint = Callable[[Request], BaseModel | Content]
type AfterSuccess = Callable[[Any], None]
type Status = int | Mapping[type[BaseModel], int]
"""HTTP status of success, or of each model that the endpoint may answer."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route: its code, who may call it, what success looks like and what follows it."""

    endpoint: Endpoint
    groups: frozenset[str]
    status: Status
    metric: str | None
    after: AfterSuccess | None


class Router:
    """The routes of one function, by API Gateway's route key (`POST /api/intake/start`)."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}

    def route(
        self,
        key: str,
        groups: Iterable[Group],
        *,
        status: Status = 200,
        metric: str | None = None,
        after: AfterSuccess | None = None,
    ) -> Callable[[Endpoint], Endpoint]:
        """Register a route.

        Args:
            key: method and path, as in template.yaml.
            groups: one of these the caller must be in; none of them: the route is public.
            status: HTTP status of success, or of each model that is answered.
            metric: counted at each success.
            after: called with each successful answer before it is sent; never raises.
        """

        def register(endpoint: Endpoint) -> Endpoint:
            self.routes[key] = Route(endpoint, frozenset(groups), status, metric, after)
            return endpoint

        return register

    def handler(self) -> Callable[[Event, LambdaContext], Response]:
        """The Lambda handler that serves these routes."""

        def handle(event: Event, _context: LambdaContext) -> Response:
            request_id = event["requestContext"]["requestId"]
            logger.set_correlation_id(request_id)
            status, document, headers = self._answer(event)
            logger.info("request", extra={"route": event["routeKey"], "status": status})
            return _response(request_id, status, document, headers)

        return logger.inject_lambda_context(clear_state=True)(handle)

    def _answer(self, event: Event) -> tuple[int, str | None, Mapping[str, str]]:
        try:
            route = self.routes[event["routeKey"]]
            request = _request(event, ANYBODY if not route.groups else _caller(event))
            _let_in(request.caller, route)
            answer = route.endpoint(request)
        except Problem as problem:
            return problem.status, json.dumps(problem.body()), problem.headers
        except psycopg.errors.LockNotAvailable:
            busy = SessionBusy()
            return busy.status, json.dumps(busy.body()), busy.headers
        except (psycopg.OperationalError, OSError) as failure:
            log_failure("database unavailable", failure)
            unavailable = ServiceUnavailable()
            return unavailable.status, json.dumps(unavailable.body()), unavailable.headers
        except Exception as failure:  # noqa: BLE001 (the last resort: a bare 500, logged; SPEC.md#problems)
            log_failure("unexpected", failure)
            return 500, None, {}
        if route.after:
            route.after(answer)
        if route.metric:
            metrics.add_metric(name=route.metric, unit=MetricUnit.Count, value=1)
            metrics.flush_metrics()  # here, as log_metrics() prints a warning after each call without a metric
        if isinstance(answer, Content):
            return _content(answer, route)
        status = route.status[type(answer)] if isinstance(route.status, Mapping) else route.status
        return status, answer.model_dump_json(by_alias=True), {}


def _content(answer: Content, route: Route) -> tuple[int, str, Mapping[str, str]]:
    status = answer.status or (route.status if isinstance(route.status, int) else 200)
    return status, answer.body, {**answer.headers, "Content-Type": answer.content_type}


def _let_in(caller: Caller, route: Route) -> None:
    if route.groups and not caller.groups & route.groups:
        raise Forbidden(f"This route is for {' or '.join(sorted(route.groups))}.")


def _response(request_id: str, status: int, document: str | None, headers: Mapping[str, str]) -> Response:
    """The answer in payload format 2.0; one without a document is the bare 500 of an unexpected error."""
    content_type = "application/problem+json" if status >= 400 else "application/json"  # noqa: PLR2004
    if document is None:
        document = json.dumps({"type": "about:blank", "status": status, "requestId": request_id})
    return {
        "statusCode": status,
        "headers": {
            "Content-Type": content_type,
            "Cache-Control": "no-store",
            "X-Request-Id": request_id,
            **headers,
        },
        "body": document,
    }


def _request(event: Event, caller: Caller) -> Request:
    body = event.get("body") or ""
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError:
        raise MalformedBody("The body could not be decoded.") from None
    return Request(
        caller=caller,
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        headers=event.get("headers") or {},
        raw_body=raw,
    )


def _caller(event: Event) -> Caller:
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
    return Caller(user_id, frozenset(claims.get("cognito:groups", "").strip("[]").split()))


def _refuse_unstorable(raw: bytes) -> None:
    """Check what pydantic does not: RFC 8259 has no NaN, PostgreSQL no U+0000, UTF-8 no lone surrogate.

    Raises:
        MalformedBody: not JSON, not UTF-8, or nested beyond reason.
        Unprocessable: text that cannot be stored, with its pointer.
    """

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    try:
        offender = unstorable(json.loads(raw.decode(), parse_constant=refuse))
    except (ValueError, RecursionError):
        raise MalformedBody(_NOT_JSON) from None
    if offender is not None:
        raise Unprocessable((offender, "contains U+0000 or a lone surrogate"))


def _pointer(location: tuple[int | str, ...]) -> str:
    """A pydantic error location as JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)
