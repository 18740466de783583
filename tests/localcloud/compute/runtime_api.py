"""The Lambda Runtime API for one worker process, as AWS's runtime client speaks it.

Every worker has its own port: the client's requests do not name it, so the address is its identity.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from localcloud.compute.environment import function_arn
from localcloud.host.listening import stop_listening
from localcloud.services.causes import header_of

_PREFIX = "/2018-06-01/runtime"
_ACCEPTED = b'{"status":"OK"}'


@dataclass(frozen=True)
class Invocation:
    """One event on its way to a worker. `trace` is the id the log shows: the request's, if there was one."""

    request_id: str
    function: str
    payload: bytes
    trace: str


class RuntimeUser(Protocol):
    """The worker's side of the conversation."""

    async def next_invocation(self) -> tuple[Invocation, float]:
        """Wait for the next event; return it with its time limit in seconds."""

    def succeeded(self, request_id: str, payload: bytes) -> None:
        """Take the function's answer."""

    def failed(self, request_id: str, payload: bytes) -> None:
        """Take the error the function raised."""

    def failed_to_start(self, payload: bytes) -> None:
        """Take the error that kept the function from being loaded."""


class RuntimeApi:
    """An HTTP server on a loopback port that one worker talks to."""

    def __init__(self, user: RuntimeUser) -> None:
        self._user = user
        self._server = web.Server(self._answer, access_log=None, tcp_keepalive=False)
        self._listener: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen and return the address as `host:port`."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, "127.0.0.1", 0)
        host, port = self._listener.sockets[0].getsockname()
        return f"{host}:{port}"

    async def close(self) -> None:
        """Stop listening and drop the worker's connections."""
        if self._listener is not None:
            await stop_listening(self._listener)
        await self._server.shutdown(timeout=0)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        action = request.path.removeprefix(_PREFIX)
        if request.method == "GET" and action == "/invocation/next":
            return await self._next()
        body = await request.content.read()
        match action.split("/")[1:]:
            case ["invocation", request_id, "response"]:
                self._user.succeeded(request_id, body)
            case ["invocation", request_id, "error"]:
                self._user.failed(request_id, body)
            case ["init", "error"]:
                self._user.failed_to_start(body)
            case _:
                return web.Response(status=404)
        return web.Response(status=202, body=_ACCEPTED, content_type="application/json")

    async def _next(self) -> web.Response:
        invocation, seconds = await self._user.next_invocation()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": function_arn(invocation.function),
            "Lambda-Runtime-Trace-Id": header_of(invocation.trace),
            # Without a content type the client segfaults.
            "Content-Type": "application/json",
        }
        return web.Response(body=invocation.payload, headers=headers)
