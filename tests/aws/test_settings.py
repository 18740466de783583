"""Settings: the database's address on one machine and in a deployment, and errors that name missing values."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from psycopg.conninfo import conninfo_to_dict

from autodoctor.aws.client import endpoint
from autodoctor.aws.errors import ServiceUnreachable
from autodoctor.aws.secrets import AUTHORITIES, check_database, database_url
from autodoctor.settings import SettingMissing, required

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbC123"
DEPLOYED = {
    "DATABASE_SECRET_ARN": ARN,
    "DATABASE_HOST": "proxy.example",
    "DATABASE_NAME": "autodoctor",
    "AWS_SESSION_TOKEN": "session token",
}


class SecretsExtension(BaseHTTPRequestHandler):
    """Answers like the AWS Parameters and Secrets extension."""

    asked: ClassVar[list[tuple[str, str | None]]] = []
    passwords: ClassVar[list[str]] = []
    more: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["X-Aws-Parameters-Secrets-Token"]))
        secret = json.dumps({"username": "autodoctor_app", "password": self.passwords[-1], **self.more})
        body = json.dumps({"ARN": ARN, "Name": "app", "SecretString": secret}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[SecretsExtension]]:
    """A deployment's environment, with the extension on a port of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), SecretsExtension)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(port))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    for name, value in DEPLOYED.items():
        monkeypatch.setenv(name, value)
    SecretsExtension.asked.clear()
    SecretsExtension.more.clear()
    SecretsExtension.passwords[:] = ["first"]
    yield SecretsExtension
    server.shutdown()
    server.server_close()


def test_a_url_of_the_environment_wins(deployed: type[SecretsExtension], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@127.0.0.1/autodoctor")
    assert database_url() == "postgresql://app@127.0.0.1/autodoctor"
    assert deployed.asked == []


def test_a_deployed_function_asks_the_extension_for_its_secret(deployed: type[SecretsExtension]) -> None:
    assert conninfo_to_dict(database_url()) == {
        "user": "autodoctor_app",
        "password": "first",
        "host": "proxy.example",
        "port": "5432",
        "dbname": "autodoctor",
        "sslmode": "verify-full",
        "sslrootcert": str(AUTHORITIES),
    }
    escaped = ARN.replace(":", "%3A")
    assert deployed.asked == [(f"/secretsmanager/get?secretId={escaped}", DEPLOYED["AWS_SESSION_TOKEN"])]


def test_a_rotated_password_is_followed_with_the_next_connection(deployed: type[SecretsExtension]) -> None:
    database_url()
    deployed.passwords.append("second")
    assert conninfo_to_dict(database_url())["password"] == deployed.passwords[-1]


def test_an_authority_that_the_secret_names_takes_the_place_of_amazons(
    deployed: type[SecretsExtension], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    deployed.more["certificateAuthority"] = "-----BEGIN CERTIFICATE-----"
    files = {conninfo_to_dict(database_url())["sslrootcert"] for _ in range(2)}
    (file,) = files
    assert Path(str(file)).read_text(encoding="utf-8") == "-----BEGIN CERTIFICATE-----"
    assert list(tmp_path.iterdir()) == [Path(str(file))]


@pytest.mark.parametrize("password", ["p@ss:w/rd?#[]%20 &=", "päss😀", "'\\\""])
def test_a_password_may_hold_any_character(deployed: type[SecretsExtension], password: str) -> None:
    deployed.passwords.append(password)
    assert conninfo_to_dict(database_url())["password"] == password


@pytest.mark.parametrize("name", DEPLOYED)
def test_what_is_missing_is_named(deployed: type[SecretsExtension], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SettingMissing, match=f"environment variable {name} is not set"):
        database_url()
    assert len(deployed.asked) <= 1


def test_an_empty_setting_is_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_BASE_URL", "")
    with pytest.raises(SettingMissing):
        required("SESSION_BASE_URL")


def test_an_extension_that_does_not_answer_is_an_error(
    deployed: type[SecretsExtension], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "1")
    with pytest.raises(ServiceUnreachable) as failed:
        database_url()
    assert failed.value.service == "secretsmanager"
    assert deployed.asked == []


@pytest.mark.parametrize("missing", ["DATABASE_HOST", "DATABASE_NAME", "DATABASE_SECRET_ARN"])
def test_a_deployment_that_does_not_say_where_the_database_is_fails_at_start(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    for name, value in DEPLOYED.items():
        monkeypatch.setenv(name, value)
    check_database()
    monkeypatch.delenv(missing)
    with pytest.raises(SettingMissing, match=missing):
        check_database()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "https://events.eu-central-1.amazonaws.com"),
        ({"AWS_REGION": "cn-north-1"}, "https://events.cn-north-1.amazonaws.com.cn"),
        ({"AWS_ENDPOINT_URL": "http://everything"}, "http://everything"),
        ({"AWS_ENDPOINT_URL": "http://everything", "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://bus"}, "http://bus"),
    ],
)
def test_a_service_answers_where_boto3_would_look_for_it(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EVENTBRIDGE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"AWS_REGION": "eu-central-1", **given}.items():
        monkeypatch.setenv(name, value)
    assert endpoint("EVENTBRIDGE", "events") == expected
