"""Chime's meetings as far as the tests of the server need them: opened once for a token, entered, and closed."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4


class MeetingService:
    """Answers CreateMeeting, CreateAttendee and DeleteMeeting over HTTP.

    Attributes:
        meetings: the running ones, by id: what CreateMeeting was told.
        asked: every call's method and path.
        refuses: the status that every call is answered with; 0: it is done.
    """

    def __init__(self) -> None:
        self.meetings: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.refuses = 0
        self._by_token: dict[str, str] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer for the length of a `with` block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield
        self._server.shutdown()
        self._server.server_close()
        thread.join()

    def forget(self, meeting_id: str) -> None:
        """End a meeting, as Chime does with one in which nobody is."""
        del self.meetings[meeting_id]

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Do what a call asks for."""
        with self._lock:
            self.asked.append(f"{method} {path}")
            if self.refuses:
                return self.refuses, {"Code": "ServiceUnavailable"}
            if path == "/meetings":
                return 201, {"Meeting": self._open(body)}
            meeting_id = path.split("/")[2]
            if meeting_id not in self.meetings:
                return 404, {"Code": "NotFound"}
            if method == "DELETE":
                self.forget(meeting_id)
                return 204, {}
            attendee = {"ExternalUserId": body["ExternalUserId"], "AttendeeId": str(uuid4()), "JoinToken": "secret"}
            return 201, {"Attendee": attendee}

    def _open(self, body: dict[str, Any]) -> dict[str, Any]:
        meeting_id = self._by_token.setdefault(body["ClientRequestToken"], str(uuid4()))
        self.meetings.setdefault(meeting_id, body)
        return {
            "MeetingId": meeting_id,
            "ExternalMeetingId": body["ExternalMeetingId"],
            "MediaRegion": body["MediaRegion"],
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(length)) if length else {}
                status, answer = service.answer(self.command, self.path, body)
                sent = json.dumps(answer).encode() if status != 204 else b""
                self.send_response(status)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_DELETE = do_POST  # noqa: N815 (the base class's way to name it)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
                pass

        return Handler
