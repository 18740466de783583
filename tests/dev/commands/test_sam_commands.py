"""`autodoctor event`, `sam-env` and `dev --listen`: what somebody who knows `sam local` needs."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import pytest

from localcloud.commands.sam import NoSuchRoute, Protected, Unfilled, container_environment, gateway_event
from localcloud.database.postgres import Database, PostgresServer, PostgresSettings
from localcloud.host import ports
from localcloud.host.datadir import RunningServer
from support.cloud.dev_process import AUTODOCTOR
from support.http.lambda_event import call, loaded
from support.world import World

SESSION = "01980000-0000-7000-8000-000000000001"


def test_an_event_is_the_one_of_the_gateway_with_its_callers_claims() -> None:
    event: Any = gateway_event(f"GET /api/sessions/{SESSION}?full=1", "mechanic1", b"")
    assert event["routeKey"] == "GET /api/sessions/{sessionId}"
    assert event["pathParameters"] == {"sessionId": SESSION}
    assert event["queryStringParameters"] == {"full": "1"}
    claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
    assert (claims["token_use"], claims["cognito:groups"]) == ("access", "[mechanics]")


def test_a_public_route_has_no_caller() -> None:
    event: Any = gateway_event("GET /api/plans", None, b"")
    assert "authorizer" not in event["requestContext"]


@pytest.mark.parametrize(
    ("route", "caller", "refusal"),
    [
        ("GET /api/nothing", "customer1", NoSuchRoute),
        ("GET /api/sessions/{sessionId}", "customer1", Unfilled),
        ("POST /api/intake/start", None, Protected),
        ("POST /api/intake/start", "nobody", Protected),
    ],
)
def test_what_does_not_fit_the_template_is_refused(route: str, caller: str | None, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        gateway_event(route, caller, b"")


def test_the_command_prints_what_a_handler_answers(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = tmp_path / "intake.json"
    vehicle = {"year": 2015, "make": "Toyota", "model": "Corolla"}
    asked = {"plan": "free", "payWith": "free", "sessionType": "chat", "name": "Cora", "email": "cora@example.com"}
    body.write_text(json.dumps({**asked, "vehicle": vehicle, "concern": "It squeals."}))
    command = [*AUTODOCTOR, "event", "POST /api/intake/start", "--as", "customer1", "--body", str(body)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    monkeypatch.setenv("DATABASE_URL", world.urls.app_url)
    for name in ("EVENT_BUS_NAME", "STRIPE_SECRET_ARN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "local")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", "http://127.0.0.1:1")  # the relay's business
    assert call(loaded("intake").handler, json.loads(printed.stdout)).status == 201


def test_each_function_gets_the_declared_variables_at_an_address_that_a_container_reaches() -> None:
    url = "postgresql://{}:secret@127.0.0.1:8788/autodoctor"
    server = RunningServer(1, "http://127.0.0.1:8787", url.format("owner"), url.format("app"), True, {})  # noqa: FBT003
    found = container_environment(server, {"STRIPE_SECRETS": "{}", "STRIPE_API_BASE": "http://127.0.0.1:8787/_stripe"})
    assert found["IntakeFunction"]["DATABASE_URL"] == "postgresql://app:secret@host.docker.internal:8788/autodoctor"
    assert found["IntakeFunction"]["STRIPE_SECRETS"] == "{}"
    assert found["MigrateFunction"]["DATABASE_URL"] == "postgresql://owner:secret@host.docker.internal:8788/autodoctor"
    assert "127.0.0.1" not in json.dumps(found)
    assert "STRIPE_API_BASE" not in found["IntakeFunction"]  # not declared: the SAM CLI would drop it


def test_the_database_answers_on_a_further_address_to_its_passwords_only() -> None:
    folder = Path(tempfile.mkdtemp(prefix="autodoctor-listen-"))
    folder.chmod(0o711)
    settings = PostgresSettings(
        folder / "postgres", ports.scattered_port(), durable=False, delete=folder, listen="127.0.0.2"
    )
    server = PostgresServer(settings, progress=lambda _sentence: None)
    server.start()
    try:
        elsewhere = _at(server.database(), "127.0.0.2")
        with psycopg.connect(elsewhere) as connection:
            assert connection.execute("SELECT host(inet_server_addr())").fetchone() == ("127.0.0.2",)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(elsewhere.replace("autodoctor_owner:", "autodoctor_owner:x"))
    finally:
        server.stop()


def _at(database: Database, address: str) -> str:
    return database.owner_url.replace("127.0.0.1", address)
