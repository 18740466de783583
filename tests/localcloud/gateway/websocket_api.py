"""API Gateway's WebSocket APIs on the gateway's port: handshake, routes, and `$disconnect` whatever happens.

A connection lives at `/_ws/API/STAGE`; posting to it (`@connections`) is connections_api.py. The query string
holds a ticket, so it is never logged.
"""

import asyncio
import dataclasses
import json
import time
from collections.abc import Coroutine, Mapping
from http import HTTPStatus
from urllib.parse import unquote

from aiohttp import web
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from localcloud.compute.pools import FunctionPool, Throttled
from localcloud.gateway import connections_api
from localcloud.gateway.http_payload import BadAnswer, HttpAnswer, answer_of
from localcloud.gateway.open_sockets import OpenSockets
from localcloud.gateway.socket_connection import GOING_AWAY, VANISHED, Gone, Lifetime, SocketConnection
from localcloud.gateway.socket_events import Closing, Link, connect_event, disconnect_event, message_event, new_id
from localcloud.host.logline import Log, LogLine
from localcloud.services.causes import noted
from localcloud.stack.sockets import CONNECT, DEFAULT, DISCONNECT, SocketApi, SocketTarget, localized
from localcloud.stack.template import Stack

# Firing `$disconnect` for a thousand connections at once would hit the account's concurrency.
_FAREWELLS_AT_ONCE = 20
_LAST_SECONDS = 1.0
_RESERVED = (CONNECT, DISCONNECT)


class _Failed(Exception):
    """The integration gave no usable answer; `status` is that of the refused handshake."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def with_local_addresses(stack: Stack, base_url: str) -> Stack:
    """Return the stack with every address of a WebSocket API in its environments replaced by the local one."""
    functions = {
        name: dataclasses.replace(
            spec,
            environment={key: localized(value, stack.sockets, base_url) for key, value in spec.environment.items()},
        )
        for name, spec in stack.functions.items()
    }
    return dataclasses.replace(stack, functions=functions)


class WebSocketApis:
    """All WebSocket APIs of a stack. All methods belong to the event loop's thread."""

    def __init__(
        self,
        apis: tuple[SocketApi, ...],
        pools: Mapping[str, FunctionPool],
        listed: OpenSockets,
        lifetime: Lifetime,
        log: Log,
    ) -> None:
        self._apis = {api.path: api for api in apis}
        self._pools = pools
        self._listed = listed
        self._lifetime = lifetime
        self._log = log
        self._connections: dict[str, tuple[Link, SocketConnection]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._farewells = asyncio.Semaphore(_FAREWELLS_AT_ONCE)
        self._stopping = False

    def start(self) -> None:
        """Fire `$disconnect` for the connections that were open when the last cloud ended."""
        for link in self._listed.take_over():
            self._in_background(self._farewell(link, VANISHED))

    async def stop(self) -> None:
        """End every connection and call no more functions: the next start fires their `$disconnect`."""
        self._stopping = True
        for _, connection in list(self._connections.values()):
            connection.close(GOING_AWAY)
        if self._tasks:  # cut short, a `$disconnect` would be fired again
            await asyncio.wait(self._tasks, timeout=_LAST_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listed.close()

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request below the prefix: a handshake, which lasts as long as its connection, or a post to one."""
        began = time.perf_counter()
        path = unquote(request.raw_path.partition("?")[0])
        base, _, connection_id = path.partition(connections_api.INFIX)
        if path in self._apis:
            return await self._handshake(request, self._apis[path])
        if connection_id and base in self._apis:
            cause = noted(request.headers)
            answer = await connections_api.answer(request, connection_id, self._connections)
            text = f"{request.method} {path} {_type_of(await request.read())}".rstrip()
            took = (time.perf_counter() - began) * 1000
            self._log(LogLine("socket", text, str(int(answer.status)), took, new_id(), cause=cause))
            return _http(answer)
        answer = _refusal(HTTPStatus.FORBIDDEN, {"message": "Forbidden"})
        self._say(f"{request.method} {path} {int(answer.status)}", began, connection_id)
        return _http(answer)

    async def _handshake(self, request: web.BaseRequest, api: SocketApi) -> web.StreamResponse:
        began = time.perf_counter()
        accepted = ServerProtocol().accept(Request(request.raw_path, Headers(list(request.headers.items()))))
        link = _link(request, api)
        refusal = _not_a_handshake(accepted) or await self._refused(request, api, link)
        status = int(refusal.status if refusal else accepted.status_code)
        self._say(f"{request.method} {api.path} {status}", began, link.connection_id)
        if refusal:
            return _http(refusal)
        await self._converse(request, api, link, accepted.serialize())
        return web.Response()  # nobody gets it: the transport has closed

    async def _refused(self, request: web.BaseRequest, api: SocketApi, link: Link) -> HttpAnswer | None:
        """Ask the function behind `$connect`; None when it lets the client in."""
        self._listed.opened(link)
        if CONNECT not in api.routes:
            return None
        request_id, query = new_id(), request.raw_path.partition("?")[2]
        event = connect_event(link, request.headers.items(), query, request_id)
        try:
            status = HTTPStatus(await self._invoke(api.routes[CONNECT], event, link))
        except _Failed as failed:
            status = failed.status
        if status.is_success:
            return None
        self._listed.seen_off(link)
        return _refusal(status, _report(status.phrase, link, request_id))

    async def _converse(self, request: web.BaseRequest, api: SocketApi, link: Link, handshake: bytes) -> None:
        """Take over the transport until it closes."""
        transport = request.transport
        if transport is None or transport.is_closing():
            self._in_background(self._farewell(link, VANISHED))
            return

        def receive(message: str) -> None:
            self._in_background(self._message(api, link, connection, message))

        connection = SocketConnection(self._lifetime, receive)
        self._connections[link.connection_id] = (link, connection)
        connection.open(transport, handshake)
        try:
            closing = await connection.ended
        finally:
            del self._connections[link.connection_id]
        self._say(f"{api.path} closed {closing.code}", None, link.connection_id)
        self._in_background(self._farewell(link, closing))
        await connection.lost
        request.protocol.connection_lost(None)  # aiohttp's own closing of it

    async def _farewell(self, link: Link, closing: Closing) -> None:
        target = next(
            (
                api.routes.get(DISCONNECT)
                for api in self._apis.values()
                if (api.logical_id, api.stage) == (link.api, link.stage)
            ),
            None,
        )
        if target is not None:
            async with self._farewells:
                try:
                    await self._invoke(target, disconnect_event(link, closing, new_id()), link)
                except _Failed as failed:
                    self._say(f"{DISCONNECT} of {link.api} failed: {failed}", None, link.connection_id)
        self._listed.seen_off(link)

    async def _message(self, api: SocketApi, link: Link, connection: SocketConnection, message: str) -> None:
        request_id = new_id()
        route = _route_of(api, message)
        try:
            if route is None:
                connection.send(_json(_report("Forbidden", link, request_id)))
                return
            try:
                await self._invoke(api.routes[route], message_event(link, route, message, request_id), link)
            except _Failed:
                connection.send(_json(_report("Internal server error", link, request_id)))
        except Gone:
            pass  # the client has not waited

    async def _invoke(self, target: SocketTarget, event: object, link: Link) -> int:
        """Run a function on an event and return the status of its answer. Raises _Failed."""
        payload = json.dumps(event, ensure_ascii=False).encode(errors="replace")
        running = asyncio.ensure_future(self._pools[target.function].invoke(payload, trace=link.connection_id))
        # The function keeps running when the gateway has timed out, as on AWS.
        done, _ = await asyncio.wait([running], timeout=target.timeout_seconds)
        if not done:
            running.add_done_callback(lambda task: task.exception())
            raise _Failed(HTTPStatus.GATEWAY_TIMEOUT)
        try:
            outcome = running.result()
        except Throttled as throttled:
            raise _Failed(HTTPStatus.INTERNAL_SERVER_ERROR) from throttled
        if outcome.error is not None:
            raise _Failed(HTTPStatus.BAD_GATEWAY)
        return _status_of(outcome.payload)

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        if self._stopping:
            work.close()
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._log(LogLine("cloud", f"a WebSocket API failed: {error!r}"))

    def _say(self, text: str, began: float | None, request_id: str) -> None:
        took = None if began is None else (time.perf_counter() - began) * 1000
        self._log(LogLine("request" if began else "socket", text, "", took, request_id))


def _type_of(body: bytes) -> str:
    """The type of a message of ours; nothing of what it says."""
    try:
        message = json.loads(body)
    except ValueError:
        return ""
    return str(message.get("type", "")) if isinstance(message, dict) else ""


def _link(request: web.BaseRequest, api: SocketApi) -> Link:
    return Link(
        connection_id=new_id(),
        api=api.logical_id,
        stage=api.stage,
        domain_name=request.headers.get("Host", ""),
        connected_at=int(time.time() * 1000),
        source_ip=request.remote or "",
        user_agent=request.headers.get("User-Agent", ""),
    )


def _route_of(api: SocketApi, message: str) -> str | None:
    """Return the route key of a message; None when neither its own route nor `$default` exists."""
    try:
        value = json.loads(message)
    except ValueError:
        value = None
    for name in api.selection:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, str) and value in api.routes and value not in _RESERVED:
        return value
    return DEFAULT if DEFAULT in api.routes else None


def _status_of(payload: bytes) -> int:
    """Return the status of a function's answer; an answer without one is malformed. Raises _Failed."""
    answer = json.loads(payload)
    if not isinstance(answer, dict) or "statusCode" not in answer:
        raise _Failed(HTTPStatus.BAD_GATEWAY)
    try:
        return answer_of(payload).status
    except BadAnswer as bad:
        raise _Failed(HTTPStatus.BAD_GATEWAY) from bad


def _not_a_handshake(accepted: Response) -> HttpAnswer | None:
    status = HTTPStatus(accepted.status_code)
    return None if status == HTTPStatus.SWITCHING_PROTOCOLS else _refusal(status, {"message": status.phrase})


def _report(message: str, link: Link, request_id: str) -> dict[str, str]:
    return {"message": message, "connectionId": link.connection_id, "requestId": request_id}


def _refusal(status: HTTPStatus, report: Mapping[str, str]) -> HttpAnswer:
    return HttpAnswer(status, [("content-type", "application/json")], _json(report))


def _http(answer: HttpAnswer) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body)
    response.headers.extend(answer.headers)
    return response


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
