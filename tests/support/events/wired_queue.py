"""SQS at the end of a wire that can fail."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.faults.wire import Wire, through, wire_to
from support.http.scripted_server import ScriptedServer


@contextmanager
def wired_queue() -> Iterator[tuple[list[dict[str, Any]], Wire, str]]:
    """A queue that keeps what it is asked for; gives that, the wire to it, and the URL at the wire's near end."""
    asked: list[dict[str, Any]] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(json.loads(request.rfile.read(int(request.headers["Content-Length"]))))
        with suppress(OSError):  # whoever asked may be gone
            request.send_response(200)
            request.send_header("Content-Length", "2")
            request.end_headers()
            request.wfile.write(b"{}")
            request.wfile.flush()

    server = ScriptedServer(answer)
    with server.serving(lambda: None), wire_to(server.url) as wire:
        yield asked, wire, through(wire, server.url)
