"""Shared by tests of Web Push: browsers with keys of their own, and the local cloud's push service over real HTTP."""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import http_ece
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from autodoctor.db import Row
from autodoctor.events.model import Event, event_of
from autodoctor.observability import metrics
from autodoctor.push.calls import call
from autodoctor.push.encryption import CURVE, point
from autodoctor.push.service import PushSender
from autodoctor.push.subscriptions import SubscriptionRequest, subscribe
from autodoctor.push.vapid import text64, vapid
from localcloud.database.postgres import Database
from localcloud.host.ports import scattered_port
from localcloud.services.push_service import HeldMessage, PushService
from support.world import World


@dataclass(frozen=True)
class Keys:
    """What a browser keeps to itself: its key pair and its secret."""

    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(CURVE))
    secret: bytes = field(default_factory=lambda: os.urandom(16))

    def subscription(self, endpoint: str) -> dict[str, Any]:
        """What `PushSubscription.toJSON()` gives."""
        keys = {"p256dh": text64(point(self.private.public_key())), "auth": text64(self.secret)}
        return {"endpoint": endpoint, "expirationTime": None, "keys": keys}

    def opened(self, body: bytes) -> bytes:
        """What the browser reads, by a library that others wrote."""
        plain: bytes = http_ece.decrypt(body, private_key=self.private, auth_secret=self.secret, version="aes128gcm")
        return plain


@dataclass(frozen=True)
class CalledBrowser:
    """A browser that asked to be called: its subscription, and what waits for it at the push service."""

    keys: Keys
    endpoint: str
    subscription_id: UUID
    service: PushService

    @property
    def name(self) -> str:
        """The last part of its endpoint, by which the push service knows it."""
        return self.endpoint.rpartition("/")[2]

    @property
    def held(self) -> list[HeldMessage]:
        """What waits for it."""
        return self.service.held(self.endpoint)

    def read(self) -> list[dict[str, Any]]:
        """What it reads when it is reached, the oldest first."""
        return [json.loads(self.keys.opened(each.body)) for each in self.held]


class PushEnv(World):
    """A world whose events call browsers through the local cloud's push service."""

    def __init__(self, database: Database, service: PushService) -> None:
        super().__init__(database)
        self.service = service
        self.sender = PushSender(vapid)

    def browser(self, user_id: UUID) -> CalledBrowser:
        """A browser in which this user asked to be called."""
        keys, endpoint = Keys(), self.service.register(vapid().public_key)
        request = SubscriptionRequest.model_validate_json(json.dumps(keys.subscription(endpoint)))
        return CalledBrowser(keys, endpoint, subscribe(self.app, user_id, request).subscription_id, self.service)

    def events(self, session_id: UUID) -> list[Event]:
        """Every event of the session so far, oldest first; none was published."""
        rows = self.owner.execute("SELECT * FROM outbox_events WHERE subject_id = %s ORDER BY id", [session_id])
        return [event_of(row) for row in rows]

    def event(self, session_id: UUID, event_type: str) -> Event:
        """The session's last event of this type."""
        return [each for each in self.events(session_id) if each.type == event_type][-1]

    def last_message(self) -> Event:
        """The last message's event, which is about the message and not the session."""
        row = self.owner.execute("SELECT * FROM outbox_events WHERE type = 'message.posted' ORDER BY id DESC LIMIT 1")
        return event_of(row.fetchall()[0])

    def tell(self, event: Event) -> None:
        """Have it told as PushFunction would."""
        call(self.app, self.sender, event)

    def told(self, session_id: UUID) -> None:
        """Have every event of a session told, in order."""
        for each in self.events(session_id):
            self.tell(each)

    def subscriptions(self) -> list[Row]:
        """Every subscription there is a row of."""
        return self.owner.execute("SELECT * FROM push_subscriptions ORDER BY id").fetchall()


@contextmanager
def running_push_service(folder: Path, rewire: Callable[[str], str] = str) -> Iterator[PushService]:
    """Run the push service by itself for the length of a `with` block.

    `rewire` gives its endpoints another address than its own, such as that of a proxy.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="push", daemon=True)
    thread.start()

    async def start() -> tuple[web.ServerRunner, PushService]:
        port = scattered_port()
        service = PushService(folder, rewire(f"http://127.0.0.1:{port}"), lambda _line: None)
        runner = web.ServerRunner(web.Server(service.serve))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner, service

    runner, service = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield service
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def open_push_env(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch, rewire: Callable[[str], str] = str
) -> Iterator[PushEnv]:
    """A world with the environment of PushFunction."""
    with running_push_service(folder, rewire) as service:
        variables = {
            "MAIL_FROM": "service@example.com",
            "SESSION_BASE_URL": "https://sessions.example",
            **service.environment({"PUSH_HOSTS": "fcm.googleapis.com"}),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(metrics, "namespace", "AutoDoctor")
        env = PushEnv(database, service)
        yield env
        env.sender.close()
        env.close()
