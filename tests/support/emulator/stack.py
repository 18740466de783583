"""A deployed stack on MiniStack: its users, what its functions wrote, and what its roles may do."""

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx

from autodoctor.operations.dead_letters import Account
from autodoctor.operations.smoke import Deployment
from support.database.certificates import Authority
from support.database.tls_postgres import HOST, tls_postgres
from support.emulator.deployment import STACK, Deployed, TlsDatabase, deploy
from support.emulator.ministack import MiniStack, ministack
from support.emulator.secrets_extension import secrets_extension
from support.template.deployed_template import REGION

# Behind each first call here is a cold start of seconds: MiniStack unpacks the layers anew for every process.
SLOW_SECONDS = 180.0
ACCOUNT_ID = "000000000000"
# 75 MB in 4,000 files for each process, written and removed again.
MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of its own with a random name is made in it)
MEMORY_NEEDED = 6 * 1024**3


@dataclass(frozen=True)
class User:
    """Somebody of the pool: `sub` and an access token, and the API as they call it."""

    sub: str
    token: str
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
        return self.call("POST", path, {} if body is None else body)


@dataclass(frozen=True)
class SignedUp:
    """A user of the pool, in no group yet."""

    address: str
    password: str
    sub: str


@dataclass(frozen=True)
class Stack:
    """The stack; `owner_url` leads to its database as the owner, `ending` closes clients with it."""

    emulator: MiniStack
    deployed: Deployed
    owner_url: str
    ending: ExitStack

    @property
    def api_url(self) -> str:
        """Where the HTTP API answers here."""
        return f"{self.emulator.origin}/_aws/execute-api/{self.deployed.resources['Api']}/$default"

    def user(self, name: str, group: str) -> User:
        """Make somebody, put them in a group, and sign them in."""
        made = self.signed_up(name)
        cognito, pool = self.emulator.client("cognito-idp"), self.deployed.outputs["UserPoolId"]
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=made.address, GroupName=group)
        return self.signed_in(made)

    def signed_up(self, name: str) -> SignedUp:
        """Make somebody who is in no group."""
        cognito, pool = self.emulator.client("cognito-idp"), self.deployed.outputs["UserPoolId"]
        address, password = f"{name}@workshop.example", f"{secrets.token_urlsafe(12)}a9!A"
        cognito.admin_create_user(UserPoolId=pool, Username=address, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username=address, Password=password, Permanent=True)
        found = cognito.admin_get_user(UserPoolId=pool, Username=address)["UserAttributes"]
        (sub,) = (each["Value"] for each in found if each["Name"] == "sub")
        return SignedUp(address, password, sub)

    def signed_in(self, somebody: SignedUp) -> User:
        """Sign somebody in; their token has the groups that they have now."""
        answer = self.emulator.client("cognito-idp").admin_initiate_auth(
            UserPoolId=self.deployed.outputs["UserPoolId"],
            ClientId=self.deployed.outputs["UserPoolClientId"],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": somebody.address, "PASSWORD": somebody.password},
        )
        token = answer["AuthenticationResult"]["AccessToken"]
        http = httpx.Client(
            base_url=self.api_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=SLOW_SECONDS,
            trust_env=False,
        )
        return User(somebody.sub, token, self.ending.enter_context(http))

    def run(self, function: str) -> None:
        """Invoke a function as its schedule would; it must not fail."""
        name = self.deployed.resources[function]
        answer = self.emulator.client("lambda").invoke(FunctionName=name, Payload=b"{}")
        assert "FunctionError" not in answer, (function, answer["Payload"].read())

    def log(self, function: str) -> str:
        """Return what a function wrote."""
        words = re.findall("[A-Z][a-z]+", function.removesuffix("Function"))
        group = f"/aws/lambda/{STACK}-{'-'.join(words).lower()}"
        pages = self.emulator.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return "\n".join(event["message"] for page in pages for event in page.get("events", []))

    def as_role(self, role: str, service: str) -> Any:  # noqa: ANN401 (boto3's client)
        """Return a client with the rights of a role of the template."""
        arn = f"arn:aws:iam::{ACCOUNT_ID}:role/{self.deployed.resources[role]}"
        made = self.emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        session = boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"], region_name=REGION)
        return self.ending.enter_context(closing(session.client(service, endpoint_url=self.emulator.origin)))

    def deployment(self) -> Deployment:
        """Return the stack as `autodoctor smoke --stack` sees it; its alarms watch nothing here."""
        client, outputs = self.emulator.client, self.deployed.outputs
        urls = {name: url for name, url in self.deployed.resources.items() if name.endswith("Queue")}
        return Deployment(
            self.api_url,
            outputs["WebSocketUrl"],
            outputs["EventBusName"],
            outputs["MigrateFunctionName"],
            Account(client("sqs"), client("events"), client("lambda"), urls),
            client("events"),
            client("lambda"),
            list,
        )


@contextmanager
def running_stack(built: Path) -> Iterator[Stack]:
    """Deploy what `sam build` wrote to a folder, on a PostgreSQL behind TLS."""
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED
    folder = Path(tempfile.mkdtemp(prefix="autodoctor-ministack-", dir=MEMORY if in_memory else None))
    folder.chmod(0o711)
    authority = Authority()
    try:
        with tls_postgres(folder / "database", authority) as server, ministack(folder) as emulator:
            url = httpx.URL(server.database().owner_url)
            database = TlsDatabase(HOST, url.port or 0, url.path.strip("/"), url.password, authority.pem)
            with secrets_extension(emulator.client("secretsmanager")), ExitStack() as ending:
                yield Stack(emulator, deploy(emulator, built, database), str(url), ending)
    finally:
        if (log := folder / "ministack.log").exists() and (kept := os.environ.get("MINISTACK_LOG")):
            shutil.copyfile(log, kept)
        shutil.rmtree(folder, ignore_errors=True)
