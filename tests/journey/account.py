"""The whole account in the hands of a test: its HTTP API, tokens for anybody, and the database behind it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import httpx

from autodoctor.ids import new_id
from describe import conformity
from integration.actors import Mechanic, Stage
from localcloud.cloud import CloudSettings, RunningCloud, running_cloud
from localcloud.logline import LogLine
from localcloud.postgres import Database
from localcloud.samples import INTAKE, INTAKE_WITH_WAIVER

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
        stage: its database, with use cases that need no HTTP.
        lines: what it logged.
    """

    cloud: RunningCloud
    http: httpx.Client
    stage: Stage
    lines: list[LogLine]

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
        return self.caller("mechanics", (mechanic or self.stage.mechanic()).user_id)

    def admin(self) -> Caller:
        """An admin."""
        return self.caller("admins")

    def queued(self, customer: Caller, **fields: object) -> dict[str, Any]:
        """A signed intake over HTTP; returns its answer."""
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
        self.stage.owner.execute(query, parameters)


@contextmanager
def running_account(
    database: Database,
    data_dir: Path,
    *,
    port: int = 0,
    longest_visibility_seconds: float = math.inf,
    **parameters: str,
) -> Iterator[Account]:
    """Run template.yaml on a migrated database, with two processes a function at most and no schedule.

    `port` is the API's, 0 any free one; `longest_visibility_seconds` bounds the visibility time-outs of queues;
    `parameters` are those of the template.
    """
    lines: list[LogLine] = []
    settings = CloudSettings(
        template=TEMPLATE,
        data_dir=data_dir,
        app_database_url=database.app_url,
        owner_database_url=database.owner_url,
        port=port,
        log=lines.append,
        reload=False,
        schedules=False,
        overrides={"ThrottlingRate": "100000", "ThrottlingBurst": "100000", **parameters},
        max_processes=2,
        longest_visibility_seconds=longest_visibility_seconds,
    )
    stage = Stage(database)
    with running_cloud(settings) as cloud, _client(cloud) as http:
        yield Account(cloud, http, stage, lines)
    stage.close()


def _client(cloud: RunningCloud) -> httpx.Client:
    """A client that fails where an answer is not one that openapi.json describes."""
    hooks = {"response": [_as_described]}
    return httpx.Client(base_url=cloud.api_url, timeout=30, trust_env=False, event_hooks=hooks)


def _as_described(response: httpx.Response) -> None:
    path = response.request.url.raw_path.decode().partition("?")[0]
    conformity.check(response.request.method, path, response.status_code, response.headers, response.read().decode())
