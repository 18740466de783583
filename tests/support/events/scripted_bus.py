"""A stand-in for PutEvents: takes events in order, until it is set to refuse, hang or die."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import UUID, uuid4

import pytest

from autodoctor.events import bus
from support.http.scripted_server import ScriptedServer

BUS_NAME = "bus"


@dataclass(frozen=True)
class Entry:
    """One event as it was put."""

    type: str
    detail: dict[str, Any]

    @property
    def session_id(self) -> UUID:
        """Whose."""
        return UUID(self.detail["sessionId"])


class ScriptedBus:
    """EventBridge's PutEvents as its API reference says it answers.

    Attributes:
        taken: every entry the bus took, in order.
        calls: how many entries each call had.
        refuse: which entries are refused in an answer of 200.
        status: of the next answers; anything but 200 takes nothing.
        answers: cleared to leave callers waiting for the answer, their entries already taken.
    """

    def __init__(self) -> None:
        self.taken: list[Entry] = []
        self.calls: list[int] = []
        self.refuse: Callable[[Entry], bool] = lambda _entry: False
        self.status = 200
        self.answers = threading.Event()
        self.answers.set()
        self._lock = threading.Lock()
        self._server = ScriptedServer(self._answer)
        self.url = self._server.url

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        parameters = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        if request.headers["X-Amz-Target"] == "AWSEvents.DescribeEventBus":
            self._reply(request, {"Name": parameters["Name"]})
            return
        put = parameters["Entries"]
        assert {entry["EventBusName"] for entry in put} == {BUS_NAME}
        entries = [Entry(entry["DetailType"], json.loads(entry["Detail"])) for entry in put]
        with self._lock:
            self.calls.append(len(entries))
            refused = [self.refuse(entry) for entry in entries]
            if self.status == 200:
                self.taken += [entry for entry, no in zip(entries, refused, strict=True) if not no]
        self.answers.wait()
        results = [{"ErrorCode": "ThrottlingException"} if no else {"EventId": str(uuid4())} for no in refused]
        self._reply(request, {"FailedEntryCount": sum(refused), "Entries": results})

    def _reply(self, request: BaseHTTPRequestHandler, answer: dict[str, Any]) -> None:
        document = json.dumps(answer).encode()
        with suppress(OSError):  # whoever asked may be gone
            request.send_response(self.status)
            request.send_header("Content-Length", str(len(document)))
            request.end_headers()
            request.wfile.write(document)
            request.wfile.flush()

    def of(self, session_id: UUID) -> list[int]:
        """The numbers within its session of what the bus took of one session, in the order it took them."""
        return [entry.detail["sessionSeq"] for entry in self.taken if entry.session_id == session_id]

    def serving(self) -> AbstractContextManager[None]:
        """Answer for the length of a `with` block."""
        return self._server.serving(self.answers.set)


@contextmanager
def scripted_bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedBus]:
    """Be the bus of this process for the length of a `with` block."""
    scripted = ScriptedBus()
    for name, value in {
        "EVENT_BUS_NAME": BUS_NAME,
        "AWS_ENDPOINT_URL_EVENTBRIDGE": scripted.url,
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    with scripted.serving():
        bus._bus.cache_clear()  # noqa: SLF001 (an execution environment of the test's own)
        yield scripted
        bus._bus().close()  # noqa: SLF001
        bus._bus.cache_clear()  # noqa: SLF001
