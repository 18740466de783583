"""The whole stack on an AWS that we did not write: MiniStack deploys it, enforces our roles, and a consultation runs."""

import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcloud.commands.samples import INTAKE
from support.database.certificates import Authority
from support.database.tls_postgres import HOST, PROGRAMS, tls_postgres
from support.emulator.deployment import Deployed, TlsDatabase, deploy
from support.emulator.ministack import MiniStack, ministack
from support.emulator.secrets_extension import secrets_extension
from support.events.feed_client import FeedClient
from support.wait import wait_until

pytestmark = pytest.mark.emulator

PASSWORD = "correct horse battery 9!A"
# Each walks through a cold start of seconds here: a process that unpacks the layer anew.
SLOW_SECONDS = 120.0


@dataclass(frozen=True)
class User:
    """Somebody of the pool with a token."""

    sub: str
    http: httpx.Client

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Make one call that must succeed."""
        answer = self.http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        document: dict[str, Any] = answer.json()
        return document

    def post(self, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
        """As FeedClient asks for a ticket."""
        assert status
        return self.call("POST", path, body)


@dataclass(frozen=True)
class Stack:
    """The deployed stack and everything that it wrote."""

    emulator: MiniStack
    deployed: Deployed
    secrets_asked: list[str] = field(default_factory=list)

    @property
    def api_url(self) -> str:
        """Where the HTTP API answers here."""
        host = self.deployed.outputs["ApiUrl"].partition("://")[2]
        return f"{self.emulator.origin}/_aws/execute-api/{host.partition('.')[0]}/$default"

    def user(self, name: str, group: str) -> User:
        """Sign somebody up, put them in a group, and sign them in."""
        cognito, pool = self.emulator.client("cognito-idp"), self.deployed.outputs["UserPoolId"]
        address = f"{name}@workshop.example"
        cognito.admin_create_user(UserPoolId=pool, Username=address, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username=address, Password=PASSWORD, Permanent=True)
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=address, GroupName=group)
        signed_in = cognito.admin_initiate_auth(
            UserPoolId=pool,
            ClientId=self.deployed.outputs["UserPoolClientId"],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": address, "PASSWORD": PASSWORD},
        )
        token = signed_in["AuthenticationResult"]["AccessToken"]
        found = cognito.admin_get_user(UserPoolId=pool, Username=address)["UserAttributes"]
        (sub,) = (each["Value"] for each in found if each["Name"] == "sub")
        headers = {"Authorization": f"Bearer {token}"}
        return User(sub, httpx.Client(base_url=self.api_url, headers=headers, timeout=SLOW_SECONDS, trust_env=False))

    def log(self, function: str) -> str:
        """Return what a function wrote."""
        logs = self.emulator.client("logs")
        words = re.findall("[A-Z][a-z]+", function.removesuffix("Function"))
        group = f"/aws/lambda/autodoctor-{'-'.join(words).lower()}"
        events = logs.filter_log_events(logGroupName=group).get("events", [])
        return "\n".join(each["message"] for each in events)


@pytest.fixture(scope="module")
def stack(built_template: Path) -> Iterator[Stack]:
    """Deploy what `sam build` wrote, on a PostgreSQL behind TLS."""
    if not PROGRAMS.exists():
        pytest.skip("needs a PostgreSQL with TLS: apt-get install postgresql-15")
    authority = Authority()
    with tempfile.TemporaryDirectory(prefix="autodoctor-ministack-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        folder.chmod(0o711)
        with tls_postgres(folder / "db", authority) as server, ministack(folder) as emulator:
            url = httpx.URL(server.database().owner_url)
            database = TlsDatabase(HOST, url.port or 0, url.path.strip("/"), url.password, authority.pem)
            with secrets_extension(emulator.client("secretsmanager")) as asked:
                yield Stack(emulator, deploy(emulator, built_template.parent, database), asked)


def test_it_comes_up(stack: Stack) -> None:
    print(json.dumps(stack.deployed.outputs, indent=1))
    print(stack.log("MigrateFunction"))
    print(stack.secrets_asked)
    admin = stack.user("ada", "admins")
    print(admin.http.get("/api/openapi.json").status_code, admin.http.get("/api/plans").text[:300])
    mechanic = stack.user("mia", "mechanics")
    print(
        admin.http.post(
            "/api/admin/mechanics", json={"userId": mechanic.sub, "name": "Mia Moreno", "email": "mia@workshop.example"}
        ).text
    )
    print(stack.log("AdminFunction")[-3000:])
    assert 0
