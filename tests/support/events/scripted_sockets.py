"""API Gateway's @connections, at the end of a wire."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

import pytest

from autodoctor.events.feed import push
from support.events.mail_env import environment
from support.faults.wire import Wire, through, wire_to
from support.http.scripted_server import ScriptedServer


class Sockets:
    """What was sent to which connection, as JSON."""

    def __init__(self) -> None:
        self.got: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.server = ScriptedServer(self._answer)

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        message = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        self.got[unquote(request.path.rpartition("/")[2])].append(message)
        with suppress(OSError):  # whoever asked may be gone
            request.send_response(200)
            request.send_header("Content-Length", "0")
            request.end_headers()
            request.wfile.flush()

    def numbers(self, connection_id: str) -> list[int]:
        """The numbers of the messages that a client saw, each where it saw it first."""
        return list(dict.fromkeys(each["seq"] for each in self.got[connection_id] if each.get("seq") is not None))


@contextmanager
def scripted_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Sockets, Wire]]:
    """Connections at the end of a wire, for whatever this process pushes."""
    sockets = Sockets()
    with sockets.server.serving(lambda: None), wire_to(sockets.server.url) as wire:
        for name, value in {
            **environment("http://127.0.0.1:1"),
            "WEBSOCKET_URL": "wss://example.com/live",
            "WEBSOCKET_ENDPOINT": through(wire, sockets.server.url),
        }.items():
            monkeypatch.setenv(name, value)
        push._pool.cache_clear()  # noqa: SLF001 (an execution environment of the test's own)
        yield sockets, wire
        while not (idle := push._pool()._idle).empty():  # noqa: SLF001
            idle.get_nowait().close()
        push._pool.cache_clear()  # noqa: SLF001
