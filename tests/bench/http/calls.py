"""The product's calls, made through the real handlers in this process, as events of API Gateway."""

import dataclasses
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from http import HTTPStatus
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from autodoctor.db import database
from autodoctor.ids import new_id
from autodoctor.prefetched import WithEvents
from autodoctor.room.messages import Posted
from support.http.lambda_event import Context, Handler, call, claims, event

if TYPE_CHECKING:
    from autodoctor.events.publish import AboutSession

ROOT = Path(__file__).parents[3]
FUNCTIONS = ROOT / "functions"
PUBLISH_SECONDS: Final = 10.0
INTAKE: Final[dict[str, object]] = {
    "plan": "free",
    "payWith": "free",
    "sessionType": "chat",
    "name": "Cora Castillo",
    "email": "cora@example.com",
    "vehicle": {"year": 2019, "make": "Volvo", "model": "V60"},
    "concern": "The brakes squeal when I stop at low speed.",
}

type Prefetched = list[dict[str, Any]] | None


class Api:
    """The functions of the first walk, imported once. Needs a bus (bench/events/bus.py).

    Calls answer the decoded body; one that does not succeed raises. What a call publishes after its commit is
    published by the handlers' own code, but without their short budget, so that nothing is ever left out.
    """

    def __init__(self, database_url: str) -> None:
        """Import the handlers; their one connection goes to `database_url`."""
        os.environ |= {
            "DATABASE_URL": database_url,
            "SESSION_BASE_URL": "https://sessions.example.com",
            "STRIPE_SECRETS": '{"apiKey": "sk_test_bench", "webhookSecrets": []}',  # no walk here pays by card
            "POWERTOOLS_SERVICE_NAME": "autodoctor",
            "POWERTOOLS_METRICS_NAMESPACE": "AutoDoctor",
            "POWERTOOLS_LOG_LEVEL": "CRITICAL",
            # Connections are rows only; the bus takes what is pushed to them as well.
            "WEBSOCKET_ENDPOINT": os.environ["AWS_ENDPOINT_URL_EVENTBRIDGE"],
        }
        folders = (
            *("intake", "waiver", "queue_fetch", "accept", "presence", "end_session", "active_session"),
            *("health", "analytics", "room"),
        )
        self._committed: list[tuple[UUID, Prefetched]] = []
        self._held = False
        self._handlers = {folder: self._handler(folder) for folder in folders}
        self._room_socket = _module("room_socket").handler
        self._publish_subject(UUID(int=0))  # imports what only a first publication does

    def intake(self, customer: UUID, **fields: object) -> dict[str, Any]:
        """A free chat about the brakes; `fields` win."""
        return self._call("intake", "POST /api/intake/start", customer, body=INTAKE | fields)

    def sign(self, customer: UUID, session_id: str) -> dict[str, Any]:
        body = {"sessionId": session_id, "signedName": "Cora Castillo"}
        return self._call("waiver", "POST /api/waiver/submit", customer, body=body)

    def queue(self, mechanic: UUID) -> dict[str, Any]:
        return self._call("queue_fetch", "GET /api/mechanic/queue", mechanic, group="mechanics")

    def accept(self, mechanic: UUID, assignment_id: str) -> dict[str, Any]:
        route = "POST /api/mechanic/assignments/{assignmentId}/accept"
        return self._call("accept", route, mechanic, group="mechanics", path={"assignmentId": assignment_id})

    def decline(self, mechanic: UUID, assignment_id: str) -> dict[str, Any]:
        route = "POST /api/mechanic/assignments/{assignmentId}/decline"
        return self._call("accept", route, mechanic, group="mechanics", path={"assignmentId": assignment_id})

    def presence(self, verb: str, user: UUID, group: str, session_id: str) -> dict[str, Any]:
        """Join, leave or release."""
        route = f"POST /api/sessions/{{sessionId}}/{verb}"
        return self._call("presence", route, user, group=group, path={"sessionId": session_id})

    def enter(self, connection_id: str, session_id: str) -> None:
        """Enter the session's room through a live connection of a party; publishes by itself, as its function does."""
        request = {
            "requestContext": {"requestId": "bench", "routeKey": "room", "connectionId": connection_id},
            "body": json.dumps({"action": "room", "sessionId": session_id}),
        }
        status = self._room_socket(request, Context())["statusCode"]
        if status != HTTPStatus.OK:
            raise RuntimeError(f"room: {status}")

    def say(self, user: UUID, group: str, session_id: str, text: str = "It squeals when I brake.") -> dict[str, Any]:
        """Write a message in the session's room."""
        route = "POST /api/sessions/{sessionId}/messages"
        body = {"clientId": str(new_id()), "text": text}
        return self._call("room", route, user, group=group, body=body, path={"sessionId": session_id})

    def end(self, user: UUID, group: str, session_id: str) -> dict[str, Any]:
        route = "POST /api/sessions/{sessionId}/end"
        return self._call("end_session", route, user, group=group, path={"sessionId": session_id})

    def operator(self, page: str, admin: UUID) -> dict[str, Any]:
        """A page of an operator: session-health, sessions, or the analytics of a day."""
        folder = "analytics" if page == "analytics" else "health"
        query = {"bucket": "hour"} if page == "analytics" else None
        return self._call(folder, f"GET /api/admin/{page}", admin, group="admins", query=query)

    def active(self, user: UUID, role: str) -> dict[str, Any]:
        return self._call("active_session", f"GET /api/{role}/active-session", user, group=f"{role}s")

    @contextmanager
    def unpublished(self) -> Iterator[None]:
        """Leave what calls publish to `publish`, so that it can be measured apart."""
        self._held = True
        yield
        self._held = False

    def publish(self) -> None:
        """Do what follows the commit of every call since `unpublished`."""
        while self._committed:
            self._publish_subject(*self._committed.pop(0))

    def _call(  # noqa: PLR0913 (each part of a request)
        self,
        folder: str,
        route: str,
        user: UUID,
        *,
        group: str = "customers",
        body: object = None,
        path: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        caller = claims(f"[{group}]", sub=str(user))
        with redirect_stdout(io.StringIO()):  # one line of metrics per call
            answer = call(self._handlers[folder], event(route, body, caller=caller, path=path, query=query))
        if answer.status >= 300:
            raise RuntimeError(f"{route}: {answer.status} {answer.text}")
        if not self._held:
            self.publish()
        return answer.json

    def _handler(self, folder: str) -> Handler:
        module = _module(folder)
        for key, route in module.router.routes.items():
            if route.after:
                module.router.routes[key] = dataclasses.replace(route, after=self._committed_one)
        handler: Handler = module.handler
        return handler

    def _committed_one(self, answer: "AboutSession | Posted") -> None:
        if isinstance(answer, Posted):
            if answer.told is not None and answer.told.event is not None:
                self._committed.append((UUID(answer.told.event["subject_id"]), [answer.told.event]))
            return
        self._committed.append((answer.session_id, answer.unpublished if isinstance(answer, WithEvents) else None))

    def _publish_subject(self, subject_id: UUID, prefetched: Prefetched = None) -> None:
        from autodoctor.events.publish import publish_subject  # noqa: PLC0415 (metrics read the environment)

        publish_subject(database(), subject_id, PUBLISH_SECONDS, prefetched)


def _module(folder: str) -> ModuleType:
    """The code of a function."""
    spec = spec_from_file_location(f"bench_{folder}", FUNCTIONS / folder / "app.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
