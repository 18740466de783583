"""An API Gateway HTTP API on a loopback port: routes, authorizer, limits, and AWS's own error answers.

A function's answer passes through untouched; `{"message": ...}` bodies are the gateway's own.
"""

import asyncio
import base64
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from localcloud.compute.pools import FunctionPool, Throttled
from localcloud.gateway import edge
from localcloud.gateway.authorizer import Authorization, Authorizer, Insufficient, Refused
from localcloud.gateway.http_payload import BadAnswer, HttpAnswer, HttpRequest, answer_of, event_of
from localcloud.gateway.routing import Match, Router
from localcloud.host.listening import stop_listening
from localcloud.host.logline import Log, LogLine, session_named
from localcloud.host.processes import allow_many_files
from localcloud.stack.http_api import Cors, Route
from localcloud.stack.template import Stack

REQUEST_ID_HEADER = "apigw-requestid"
_LARGEST_BODY_BYTES = 10 * 1024 * 1024
_LARGEST_HEADERS_BYTES = 10_240
_REQUEST_ID_BYTES = 11
# A thousand clients may connect at once.
_BACKLOG = 2048
_CLOSE_SECONDS = 0.1


class _OwnAnswer(Exception):
    """The gateway answers by itself."""

    def __init__(self, status: HTTPStatus, message: str, *headers: tuple[str, str]) -> None:
        super().__init__(message)
        body = json.dumps({"message": message}, separators=(",", ":")).encode()
        self.answer = HttpAnswer(status, [("content-type", "application/json"), *headers], body)


def _not_found() -> _OwnAnswer:
    return _OwnAnswer(HTTPStatus.NOT_FOUND, "Not Found")


def _unavailable() -> _OwnAnswer:
    return _OwnAnswer(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable")


def _function_failed() -> _OwnAnswer:
    return _OwnAnswer(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")


type Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _server(handler: Handler) -> web.Server:
    """A bare HTTP server: bodies stay as they arrive, and too long headers are refused by us."""
    return web.Server(
        handler,
        access_log=None,
        auto_decompress=False,
        max_line_size=2 * _LARGEST_HEADERS_BYTES,
        max_field_size=2 * _LARGEST_HEADERS_BYTES,
    )


def _meant_for_us(host: str) -> bool:
    """Whether a request names this machine: a website's own name may resolve to it (DNS rebinding)."""
    return urlsplit(f"//{host}").hostname in ("127.0.0.1", "localhost", "::1")


class Gateway:
    """Serves the routes of a stack, and documents outside the API."""

    def __init__(self, pools: Mapping[str, FunctionPool], log: Log) -> None:
        self._pools = pools
        self._log = log
        self._documents: Mapping[str, bytes] = {}
        self._mounts: dict[str, Handler] = {}
        self._cors: Cors | None = None
        self._router = Router([])
        self._authorizers: dict[str, Authorizer] = {}
        self._buckets: dict[Route, edge.TokenBucket] = {}
        self._server = _server(self._serve)
        self._listener: asyncio.Server | None = None
        self._port = 0

    def open(self, stack: Stack, keys: Mapping[str, object], documents: Mapping[str, bytes]) -> None:
        """Serve the stack; `keys` is its issuer's JWK set, `documents` are bodies by path."""
        self._cors = stack.cors
        self._router = Router(stack.routes)
        self._authorizers = {name: Authorizer(item, keys) for name, item in stack.authorizers.items()}
        self._buckets = {route: edge.TokenBucket(route.throttle) for route in stack.routes if route.throttle}
        self._documents = documents

    def mount(self, prefix: str, handler: Handler) -> None:
        """Hand all requests below a path to another service of the account; `prefix` is like `/_aws/sqs`.

        The longest prefix wins, whichever was added first.
        """
        self._mounts = dict(sorted({**self._mounts, prefix: handler}.items(), reverse=True))  # the longest first

    async def listen(self, host: str, port: int) -> int:
        """Listen on a port (0: any) and return it; answers 404 before `open`. Raises OSError if the port is taken."""
        loop = asyncio.get_running_loop()
        allow_many_files()
        self._listener = await loop.create_server(self._server, host, port, backlog=_BACKLOG)
        self._port = int(self._listener.sockets[0].getsockname()[1])
        return self._port

    async def close(self) -> None:
        """Stop listening and drop open connections."""
        if self._listener is not None:
            await stop_listening(self._listener)
        await self._server.shutdown(_CLOSE_SECONDS)  # 0 would mean to wait for idle connections forever

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        began = time.perf_counter()
        request_id = base64.urlsafe_b64encode(os.urandom(_REQUEST_ID_BYTES)).decode()
        path = request.raw_path.partition("?")[0]
        if path in self._documents:
            return web.Response(body=self._documents[path], content_type="application/json")
        if path.startswith("/_") and not _meant_for_us(request.host):
            return web.Response(status=403, text="this server answers only to the names of this machine")
        for prefix, handler in self._mounts.items():
            if path == prefix or path.startswith(prefix + "/"):
                return await handler(request)
        try:
            answer = await self._answer(request, path, request_id)
        except _OwnAnswer as own:
            answer = own.answer
        took = (time.perf_counter() - began) * 1000
        changes = request.method != "GET" and path.startswith("/api/") and answer.status < HTTPStatus.MULTIPLE_CHOICES
        about = session_named(answer.body) if changes else ""
        text = f"{request.method} {path}"
        self._log(LogLine("request", text, str(int(answer.status)), took, request_id, session=about))
        return self._response(request, answer, request_id)

    def _response(self, request: web.BaseRequest, answer: HttpAnswer, request_id: str) -> web.Response:
        response = web.Response(status=answer.status, body=answer.body)
        for name, value in answer.headers:
            response.headers.add(name, value)
        origin = request.headers.get("Origin")
        if self._cors and origin and not edge.is_preflight(request.method, request.headers):
            for name, value in edge.answer_headers(self._cors, origin):
                response.headers[name] = value
        response.headers[REQUEST_ID_HEADER] = request_id
        return response

    async def _answer(self, request: web.BaseRequest, path: str, request_id: str) -> HttpAnswer:
        if self._cors and edge.is_preflight(request.method, request.headers):
            return HttpAnswer(204, edge.preflight_headers(self._cors, request.headers["Origin"]), b"")
        _check_headers(request)
        match = self._router.find(request.method, path)
        if match is None:
            raise _not_found()
        bucket = self._buckets.get(match.route)
        if bucket is not None and not bucket.take():
            raise _OwnAnswer(HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests")
        authorization = self._authorize(request, match.route)
        incoming = HttpRequest(
            request_id=request_id,
            method=request.method,
            path=path,
            query=request.raw_path.partition("?")[2],
            headers=list(request.headers.items()),
            body=await _read_body(request),
            source_ip=request.remote or "",
            protocol=f"HTTP/{request.version.major}.{request.version.minor}",
            port=self._port,
        )
        return await self._invoke(incoming, match, authorization)

    def _authorize(self, request: web.BaseRequest, route: Route) -> Authorization | None:
        if route.authorizer is None:
            return None
        authorizer = self._authorizers[route.authorizer]
        try:
            return authorizer.authorize(request.headers.get(authorizer.header), route.scopes)
        except Refused as refused:
            challenge = ("www-authenticate", refused.challenge)
            raise _OwnAnswer(HTTPStatus.UNAUTHORIZED, "Unauthorized", challenge) from refused
        except Insufficient as insufficient:
            scope = f'Bearer scope="{" ".join(route.scopes)}" error="insufficient_scope"'
            header = ("www-authenticate", scope)
            raise _OwnAnswer(HTTPStatus.FORBIDDEN, "Forbidden", header) from insufficient

    async def _invoke(self, request: HttpRequest, match: Match, authorization: Authorization | None) -> HttpAnswer:
        event = json.dumps(event_of(request, match, authorization), ensure_ascii=False)
        pool = self._pools[match.route.function]
        running = asyncio.ensure_future(pool.invoke(event.encode(errors="replace"), trace=request.request_id))
        # The function keeps running when the gateway has timed out, as on AWS.
        done, _ = await asyncio.wait([running], timeout=match.route.timeout_seconds)
        if not done:
            running.add_done_callback(lambda task: task.exception())
            raise _unavailable()
        try:
            outcome = running.result()
        except Throttled as throttled:
            raise _unavailable() from throttled
        if outcome.timed_out:
            raise _unavailable()
        if outcome.error is not None:
            raise _function_failed()
        try:
            return answer_of(outcome.payload)
        except BadAnswer as bad:
            self._log(LogLine("cloud", f"{match.route.function}: {bad}", request_id=request.request_id))
            raise _function_failed() from bad


def _check_headers(request: web.BaseRequest) -> None:
    size = sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
    if size + len(request.raw_path) > _LARGEST_HEADERS_BYTES:
        raise _OwnAnswer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large")


async def _read_body(request: web.BaseRequest) -> bytes:
    too_large = _OwnAnswer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large")
    if (request.content_length or 0) > _LARGEST_BODY_BYTES:
        raise too_large
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _LARGEST_BODY_BYTES:
            raise too_large
    return bytes(body)
