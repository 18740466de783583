"""The whole account, running: its HTTP API, tokens for anybody, and the database behind it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import httpx
import psycopg

from autodoctor.events.relay import GRACE_SECONDS
from autodoctor.ids import new_id
from localcloud.commands.samples import INTAKE, INTAKE_WITH_WAIVER
from localcloud.database.postgres import Database
from localcloud.host.logline import LogLine
from localcloud.identity.roster import seed
from localcloud.services.cloud import CloudSettings, RunningCloud, running_cloud
from support.account_settings import USUAL, AccountSettings
from support.http import openapi_conformance
from support.world import Mechanic, World

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


@dataclass(frozen=True)
class Caller:
    """Somebody with a token, or with something else in its place."""

    http: httpx.Client
    authorization: str | None
    user_id: UUID = field(default_factory=new_id)

    def send(self, method: str, path: str, body: Any = None, **parts: Any) -> httpx.Response:  # noqa: ANN401
        """Make one call; `body` goes as JSON, `parts` are httpx's (content, headers, params)."""
        headers = {**({"Authorization": self.authorization} if self.authorization else {}), **parts.pop("headers", {})}
        if body is not None:
            parts["json"] = body
        return self.http.request(method, path, headers=headers, **parts)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """The document of a 200."""
        return document(self.send("GET", path, params=query), 200)

    def post(self, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
        """The document of an answer with this status."""
        return document(self.send("POST", path, body), status)


def document(response: httpx.Response, status: int) -> dict[str, Any]:
    """The JSON of an answer, which must have this status."""
    assert response.status_code == status, f"{response.request.url}: {response.status_code} {response.text}"
    answer: dict[str, Any] = response.json()
    return answer


@dataclass(frozen=True)
class Account:
    """A running account.

    Attributes:
        cloud: gateway, functions and issuer.
        http: to its API.
        world: its database, with use cases that need no HTTP.
        lines: what it logged.
        data_dir: its files, the queues among them.
    """

    cloud: RunningCloud
    http: httpx.Client
    world: World
    lines: list[LogLine]
    data_dir: Path

    def caller(self, group: str, user_id: UUID | None = None, *, expires_in: float = 3600, **claims: object) -> Caller:
        """Somebody in a group; a new user unless one is named."""
        user_id = user_id or new_id()
        token = self.cloud.issuer.token(str(user_id), [group], expires_in=expires_in, **claims)
        return Caller(self.http, f"Bearer {token}", user_id)

    def customer(self, user_id: UUID | None = None) -> Caller:
        """A customer."""
        return self.caller("customers", user_id)

    def mechanic(self, mechanic: Mechanic | None = None) -> Caller:
        """A mechanic who is known, a new independent one unless one is given."""
        return self.caller("mechanics", (mechanic or self.world.mechanic()).user_id)

    def admin(self) -> Caller:
        """An admin."""
        return self.caller("admins")

    def queued(self, customer: Caller, **fields: object) -> dict[str, Any]:
        """A signed intake over HTTP, at an address that the sign-in has verified; returns its answer."""
        if "email" in fields:
            customer = self.caller("customers", customer.user_id, email=fields["email"])
        return customer.post("/api/intake/start", {**INTAKE_WITH_WAIVER, **fields}, 201)

    def pending(self, customer: Caller, **fields: object) -> dict[str, Any]:
        """An unsigned intake over HTTP; returns its answer."""
        return customer.post("/api/intake/start", {**INTAKE, **fields}, 201)

    def live(self, customer: Caller, mechanic: Caller) -> str:
        """Walk to a live session over HTTP; returns the path of the session."""
        intake = self.queued(customer)
        mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
        session = f"/api/sessions/{intake['sessionId']}"
        customer.post(f"{session}/join")
        assert mechanic.post(f"{session}/join")["sessionStatus"] == "live"
        return session

    def sql(self, query: LiteralString, *parameters: object) -> None:
        """A statement typed by the owner."""
        self.world.owner.execute(query, parameters)


@contextmanager
def running_account(database: Database, data_dir: Path, wanted: AccountSettings = USUAL) -> Iterator[Account]:
    """Run template.yaml on a migrated database, with two processes a function at most and no schedule."""
    lines: list[LogLine] = []
    settings = CloudSettings(
        template=TEMPLATE,
        data_dir=data_dir,
        app_database_url=database.app_url,
        owner_database_url=database.owner_url,
        port=wanted.port,
        log=lines.append,
        reload=False,
        schedules=False,
        overrides={"ThrottlingRate": "100000", "ThrottlingBurst": "100000", **wanted.parameters},
        max_processes=2,
        longest_redelivery_seconds=wanted.longest_redelivery_seconds,
        chime_client=wanted.chime_client,
    )
    world = World(database)
    if wanted.roster:
        seed(database.owner_url)
        world.owner.execute("INSERT INTO settings (key, value) VALUES ('min_billable_seconds', '1')")
    world.owner.execute("INSERT INTO settings (key, value) VALUES ('evidence', %s)", [wanted.evidence])
    with running_cloud(settings) as cloud, _client(cloud) as http:
        account = Account(cloud, http, world, lines, data_dir)
        if wanted.relayed:
            with _relaying(account):
                yield account
        else:
            yield account
    world.close()


@contextmanager
def _relaying(account: Account) -> Iterator[None]:
    """Run the relay where a call has left its events to it, sooner than its schedule would.

    A call gives the bus 0.3 s, and its process then leaves the bus alone for 10 s: on a busy machine that happens.
    """
    over = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        relaying = thread.submit(_relay_what_is_left, account, over)
        try:
            yield
        finally:
            over.set()
    relaying.result()


def _relay_what_is_left(account: Account, over: threading.Event) -> None:
    left: tuple[Any, ...] | None = None
    with psycopg.connect(account.world.urls.owner_url, autocommit=True) as connection:
        while not over.wait(GRACE_SECONDS):
            before, left = left, connection.execute("SELECT id FROM outbox ORDER BY id LIMIT 1").fetchone()
            if left is not None and left == before:
                account.cloud.invoke("RelayFunction", {})


def _client(cloud: RunningCloud) -> httpx.Client:
    """A client that fails where an answer is not one that openapi.json describes."""
    hooks = {"response": [_as_described]}
    return httpx.Client(base_url=cloud.api_url, timeout=30, trust_env=False, event_hooks=hooks)


def _as_described(response: httpx.Response) -> None:
    path = response.request.url.raw_path.decode().partition("?")[0]
    openapi_conformance.check(
        response.request.method, path, response.status_code, response.headers, response.read().decode()
    )
