"""Translates between HTTP and payload format 2.0, in which API Gateway calls functions behind an HTTP API."""

import base64
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote

from localcloud.gateway.authorizer import Authorization
from localcloud.gateway.routing import Match
from localcloud.stack.cloudformation import ACCOUNT

_API_ID = "local"
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"})
_TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")
_LARGEST_ANSWER_BYTES = 6 * 1024 * 1024


class BadAnswer(Exception):
    """API Gateway cannot turn the function's answer into HTTP."""


@dataclass(frozen=True)
class HttpRequest:
    """An incoming request; `path` and `query` are raw, header names in any case."""

    request_id: str
    method: str
    path: str
    query: str
    headers: Iterable[tuple[str, str]]
    body: bytes
    source_ip: str
    protocol: str
    port: int


@dataclass(frozen=True)
class HttpAnswer:
    """An outgoing answer; header names may repeat only for cookies."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def event_of(request: HttpRequest, match: Match, authorization: Authorization | None) -> dict[str, object]:
    """Build the function's event for a request."""
    headers = _headers(request)
    now = time.time()
    host = headers.get("host", "")
    path = unquote(
        request.path
    )  # AWS hands on the path decoded, though the event calls it raw (aws-lambda-dotnet#1901)
    context: dict[str, object] = {
        "accountId": ACCOUNT,
        "apiId": _API_ID,
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "http": {
            "method": request.method,
            "path": path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request.request_id,
        "routeKey": match.route.key,
        "stage": "$default",
        "time": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now * 1000),
    }
    if authorization is not None:
        context["authorizer"] = authorization.as_context()
    event: dict[str, object] = {
        "version": "2.0",
        "routeKey": match.route.key,
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies := _cookies(request):
        event["cookies"] = cookies
    if parameters := _joined(parse_qsl(request.query, keep_blank_values=True)):
        event["queryStringParameters"] = parameters
    if match.parameters:
        event["pathParameters"] = dict(match.parameters)
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request.body, headers.get("content-type", ""))
    return event


def _headers(request: HttpRequest) -> dict[str, str]:
    given = ((name.lower(), value) for name, value in request.headers)
    headers = _joined((name, value) for name, value in given if name not in {*_HOP_BY_HOP, "cookie"})
    headers["content-length"] = str(len(request.body))
    headers["x-amzn-trace-id"] = f"Root=1-{int(time.time()):08x}-{os.urandom(12).hex()}"
    forwarded = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{forwarded}, {request.source_ip}" if forwarded else request.source_ip
    headers["x-forwarded-port"] = str(request.port)
    headers["x-forwarded-proto"] = "http"
    return headers


def _cookies(request: HttpRequest) -> list[str]:
    lines = (value for name, value in request.headers if name.lower() == "cookie")
    return [cookie.strip() for line in lines for cookie in line.split(";") if cookie.strip()]


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(body: bytes, content_type: str) -> tuple[str, bool]:
    """Text is sent as text, anything else as base64, by content type; also a body that claims to be text and is not."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith(_TEXT_TYPES) or kind.endswith(("+json", "+xml")):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True


def answer_of(payload: bytes) -> HttpAnswer:
    """Turn a function's return value into HTTP. Raises BadAnswer.

    Without `statusCode` the whole answer is the body of a 200, as format 2.0 infers it.
    """
    if len(payload) > _LARGEST_ANSWER_BYTES:
        raise BadAnswer("larger than 6 MB")
    answer = json.loads(payload)
    if not isinstance(answer, dict) or "statusCode" not in answer:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return HttpAnswer(200, [("content-type", "application/json")], text.encode())
    own, cookies = answer.get("headers") or {}, answer.get("cookies") or []
    if not isinstance(own, dict) or not isinstance(cookies, list):
        raise BadAnswer("headers or cookies of the wrong kind")
    given = {str(name).lower(): value for name, value in own.items()}
    headers = [
        (name, _header(value)) for name, value in given.items() if name not in _HOP_BY_HOP and name != "content-length"
    ]
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    headers.extend(("set-cookie", _header(cookie)) for cookie in cookies)
    return HttpAnswer(_status(answer["statusCode"]), headers, _answer_body(answer))


def _header(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not text.isprintable():
        raise BadAnswer("a header holds control characters")
    return text


def _status(value: object) -> int:
    try:
        status = int(str(value))
    except ValueError as error:
        raise BadAnswer(f"statusCode is {value!r}") from error
    if not 100 <= status <= 599:
        raise BadAnswer(f"statusCode is {status}")
    return status


def _answer_body(answer: Mapping[str, object]) -> bytes:
    body = answer.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise BadAnswer("body is not a string")
    if not answer.get("isBase64Encoded"):
        return body.encode(errors="replace")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:
        raise BadAnswer("body is not base64") from error
