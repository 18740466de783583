"""Errors while handling a customer's data: neither the answer nor the log reveals any of it."""

import io
import json
from typing import Any

import psycopg
import pytest

from autodoctor.ids import new_id
from autodoctor.observability import logger
from localcloud.commands.samples import INTAKE_WITH_WAIVER
from support.http.lambda_event import Answer, Handler, call, claims, event, loaded
from support.world import World

PERSONAL = ("Cora", "Castillo", "cora@example.com", "555 0100", "squeals", "Toyota", "1HGCM82633A004352")
BODY = {
    **INTAKE_WITH_WAIVER,
    "phone": "555 0100",
    "vehicle": {"year": 2015, "make": "Toyota", "model": "Corolla", "vin": "1HGCM82633A004352"},
}


def handler_of(function: str, url: str, monkeypatch: pytest.MonkeyPatch) -> Handler:
    """The function's own handler, on this test's database."""
    monkeypatch.setenv("DATABASE_URL", url)
    for name in ("EVENT_BUS_NAME", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "STRIPE_SECRET_ARN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", "http://127.0.0.1:1")  # nobody listens: that is logged too
    handler: Handler = loaded(function).handler
    return handler


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The lines that the function writes to its log."""
    lines = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", lines)
    return lines


def start(world: World, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any]) -> Answer:
    handler = handler_of("intake", world.urls.app_url, monkeypatch)
    return call(handler, event("POST /api/intake/start", body, caller=claims(sub=str(new_id()))))


def silent(text: str) -> bool:
    return not [word for word in PERSONAL if word.lower() in text.lower()]


def test_a_row_that_the_schema_refuses_is_not_quoted(
    world: World, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    world.owner.execute("ALTER TABLE intakes ADD CONSTRAINT other_makes_only CHECK (vehicle ->> 'make' <> 'Toyota')")
    answer = start(world, monkeypatch, BODY)
    assert (answer.status, set(answer.json)) == (500, {"type", "status", "requestId"})
    failure, request = map(json.loads, log.getvalue().splitlines())
    assert (failure["error"], failure["sqlstate"], failure["constraint"]) == (
        "CheckViolation",
        "23514",
        "other_makes_only",
    )
    assert request["status"] == 500
    assert silent(answer.text)
    assert silent(log.getvalue())


def test_postgresql_would_have_quoted_the_row(world: World) -> None:
    """The premise of the test above: the message of such an error holds personal data."""
    world.pending(name="Cora Castillo")
    world.owner.execute("ALTER TABLE intakes ADD CONSTRAINT none CHECK (false) NOT VALID")
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        world.owner.execute("UPDATE intakes SET urgent = true")
    assert "Cora Castillo" in str(refused.value)


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        ("DROP TABLE plans CASCADE", 500),
        ("ALTER TABLE intakes DROP COLUMN concern CASCADE", 500),
        ("REVOKE INSERT ON intakes FROM autodoctor_app", 500),
    ],
)
def test_a_broken_schema_is_a_bare_500(
    world: World, monkeypatch: pytest.MonkeyPatch, log: io.StringIO, broken: str, status: int
) -> None:
    world.owner.execute(broken)
    answer = start(world, monkeypatch, BODY)
    assert (answer.status, set(answer.json)) == (status, {"type", "status", "requestId"})
    assert silent(answer.text + log.getvalue())


def test_a_database_that_is_gone_is_briefly_unavailable(monkeypatch: pytest.MonkeyPatch, log: io.StringIO) -> None:
    handler = handler_of("intake", "postgresql://cora@127.0.0.1:1/autodoctor", monkeypatch)
    answer = call(handler, event("POST /api/intake/start", BODY, caller=claims()))
    assert (answer.status, answer.slug, answer.headers["retry-after"]) == (503, "service-unavailable", "2")
    assert silent(answer.text + log.getvalue())


def test_a_statement_that_takes_too_long_is_briefly_unavailable(
    world: World, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    with psycopg.connect(world.urls.superuser_url, autocommit=True) as superuser:
        superuser.execute(
            f"ALTER ROLE autodoctor_app IN DATABASE \"{world.urls.name}\" SET statement_timeout = '100ms'"
        )
    with world.owner.transaction():
        world.owner.execute("LOCK TABLE intakes IN ACCESS EXCLUSIVE MODE")
        answer = start(world, monkeypatch, BODY)
    assert (answer.status, answer.slug) == (503, "service-unavailable")
    assert silent(answer.text + log.getvalue())


def test_a_row_that_stays_locked_is_busy(world: World, monkeypatch: pytest.MonkeyPatch, log: io.StringIO) -> None:
    with psycopg.connect(world.urls.superuser_url, autocommit=True) as superuser:
        superuser.execute(f"ALTER ROLE autodoctor_app IN DATABASE \"{world.urls.name}\" SET lock_timeout = '100ms'")
    mechanic = world.mechanic()
    created = world.queued()
    accept = handler_of("accept", world.urls.app_url, monkeypatch)
    path = {"assignmentId": str(created.assignment_id)}
    caller = claims("[mechanics]", sub=str(mechanic.user_id))
    with world.owner.transaction():
        world.owner.execute("SELECT FROM sessions FOR NO KEY UPDATE")
        answer = call(accept, event("POST /api/mechanic/assignments/{assignmentId}/accept", caller=caller, path=path))
    assert (answer.status, answer.slug, answer.headers["retry-after"]) == (409, "session-busy", "1")
    assert "ERROR" not in log.getvalue()


def test_a_good_request_leaves_no_personal_data_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(world, monkeypatch, BODY).status == 201
    assert log.getvalue()
    assert silent(log.getvalue() + capsys.readouterr().out)
