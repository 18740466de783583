"""The connection of an execution environment: whatever happened to it, the next call succeeds or fails by name."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from psycopg.pq import TransactionStatus
from pydantic import BaseModel

from autodoctor.db import Database, Refused, Row
from autodoctor.web.http import Router
from localcloud.database.postgres import APP_ROLE, PostgresServer, PostgresSettings
from localcloud.database.postgres import Database as ScratchDatabase
from localcloud.host import ports
from support.wait import wait_until

type Work[T] = Callable[[psycopg.Connection[Row]], T]


@pytest.fixture
def connected(database: ScratchDatabase) -> Iterator[Database]:
    """A database whose connection is open, as in a warm environment."""
    connected = Database(lambda: database.app_url)
    pid_of(connected)
    yield connected
    connected.close()


@pytest.fixture
def superuser(database: ScratchDatabase) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        yield connection


def pid_of(database: Database) -> int:
    row = database.one("SELECT pg_backend_pid() AS pid", ())
    assert row
    pid: int = row["pid"]
    return pid


def terminate(superuser: psycopg.Connection, pid: int) -> None:
    """End the server's side of a connection and wait until it is gone; its client does not know yet."""
    superuser.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def lives(superuser: psycopg.Connection, pid: int) -> bool:
    return superuser.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone() is not None


def set_timeout(superuser: psycopg.Connection, name: str, value: str) -> None:
    """Set a time-out of the application role for connections opened from here on."""
    here = superuser.info.dbname
    superuser.execute(f"ALTER ROLE {APP_ROLE} IN DATABASE {here} SET {name} = '{value}'")


def answer_of(work: Callable[[], BaseModel]) -> tuple[int, dict[str, object], dict[str, str]]:
    """The HTTP layer's answer if `work` is an endpoint: status, document, headers."""
    router = Router()
    router.route("GET /work", groups=[])(lambda _request: work())
    event = {"routeKey": "GET /work", "requestContext": {"requestId": "request-1"}}
    answer: dict[str, object] = router.handler()(event, _Context())
    status, headers = answer["statusCode"], answer["headers"]
    assert isinstance(status, int)
    assert isinstance(headers, dict)
    return status, json.loads(str(answer["body"])), headers


class _Context(LambdaContext):
    """The part of a Lambda context that the logger reads."""

    _function_name = "work"
    _memory_limit_in_mb = 128
    _invoked_function_arn = "arn:aws:lambda:local:0:function:work"
    _aws_request_id = "invocation-1"


class Count(BaseModel):
    """Some answer."""

    count: int


def customers(database: Database) -> Count:
    row = database.one("SELECT count(*) FROM customers", ())
    assert row
    return Count(**row)


def add_customer(connection: psycopg.Connection[Row]) -> None:
    connection.execute("INSERT INTO customers (user_id, name, email) VALUES (gen_random_uuid(), 'C', 'c@x.org')")


def test_the_connection_brings_no_session_state(connected: Database) -> None:
    def parameters(connection: psycopg.Connection[Row]) -> dict[str, str]:
        assert connection.autocommit
        assert connection.prepare_threshold is None
        return connection.info.get_parameters()

    assert "options" not in connected.transaction(parameters)  # RDS Proxy refuses it
    row = connected.one(
        "SELECT current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,"
        " current_setting('idle_in_transaction_session_timeout') AS idle",
        (),
    )
    assert row == {"statement": "5s", "lock": "2s", "idle": "10s"}  # from the role


def test_the_same_connection_serves_call_after_call(connected: Database) -> None:
    assert pid_of(connected) == pid_of(connected)


def test_a_dead_socket_costs_the_next_call_nothing(connected: Database, superuser: psycopg.Connection) -> None:
    before = pid_of(connected)
    terminate(superuser, before)
    assert connected.all("SELECT 1 AS one", ()) == [{"one": 1}]
    assert pid_of(connected) != before


def test_a_transaction_on_a_dead_socket_runs_on_a_new_one(connected: Database, superuser: psycopg.Connection) -> None:
    terminate(superuser, pid_of(connected))
    connected.transaction(add_customer)
    assert customers(connected).count == 1


def test_a_transaction_that_lost_its_connection_half_way_runs_once_more(
    connected: Database, superuser: psycopg.Connection
) -> None:
    attempts = []

    def work(connection: psycopg.Connection[Row]) -> None:
        add_customer(connection)
        attempts.append(connection.info.backend_pid)
        if len(attempts) == 1:
            terminate(superuser, attempts[0])
        add_customer(connection)

    connected.transaction(work)
    assert len(set(attempts)) == 2
    assert customers(connected).count == 2


def test_a_connection_lost_at_the_commit_runs_the_transaction_once_more(
    connected: Database, superuser: psycopg.Connection
) -> None:
    attempts = []

    def work(connection: psycopg.Connection[Row]) -> None:
        add_customer(connection)
        attempts.append(connection.info.backend_pid)
        if len(attempts) == 1:
            terminate(superuser, attempts[0])

    connected.transaction(work)
    assert len(attempts) == 2
    assert customers(connected).count == 1


def test_an_environment_frozen_inside_a_transaction_starts_it_again(
    database: ScratchDatabase, superuser: psycopg.Connection
) -> None:
    set_timeout(superuser, "idle_in_transaction_session_timeout", "1s")
    frozen = Database(lambda: database.app_url)
    attempts = []

    def work(connection: psycopg.Connection[Row]) -> None:
        add_customer(connection)
        attempts.append(connection.info.backend_pid)
        if len(attempts) == 1:
            wait_until(lambda: not lives(superuser, attempts[0]))
        add_customer(connection)

    frozen.transaction(work)
    assert len(attempts) == 2
    assert customers(frozen).count == 2
    frozen.close()


def test_a_connection_lost_twice_is_an_error_and_the_call_after_it_succeeds(
    connected: Database, superuser: psycopg.Connection
) -> None:
    def work(connection: psycopg.Connection[Row]) -> None:
        terminate(superuser, connection.info.backend_pid)
        add_customer(connection)

    with pytest.raises(psycopg.OperationalError):
        connected.transaction(work)
    assert customers(connected).count == 0


def test_an_aborted_transaction_left_behind_does_not_reach_the_next_call(connected: Database) -> None:
    left: list[psycopg.Connection[Row]] = []
    connected.transaction(left.append)
    left[0].execute("BEGIN")
    with pytest.raises(psycopg.errors.DivisionByZero):
        left[0].execute("SELECT 1 / 0")
    assert left[0].info.transaction_status is TransactionStatus.INERROR
    assert customers(connected).count == 0
    assert left[0].closed


@pytest.mark.parametrize("end", ["raises", "is refused"])
def test_a_transaction_that_fails_leaves_nothing_behind(connected: Database, end: str) -> None:
    def work(connection: psycopg.Connection[Row]) -> None:
        add_customer(connection)
        if end == "raises":
            raise LookupError(end)
        connection.execute("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'AD001'; END $$")

    before = pid_of(connected)
    with pytest.raises(LookupError if end == "raises" else Refused):
        connected.transaction(work)
    assert customers(connected).count == 0
    assert pid_of(connected) == before


def test_a_rule_of_the_schema_refuses_by_its_code(connected: Database) -> None:
    with pytest.raises(Refused) as refused:
        connected.one("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'AD005'; END $$", ())
    assert refused.value.code == "AD005"


def test_the_url_is_asked_again_for_every_new_connection(
    database: ScratchDatabase, superuser: psycopg.Connection
) -> None:
    asked = []

    def url() -> str:
        asked.append(1)
        return database.app_url

    rotating = Database(url)
    terminate(superuser, pid_of(rotating))
    pid_of(rotating)
    rotating.close()
    pid_of(rotating)
    assert len(asked) == 3
    rotating.close()


def test_a_lock_held_too_long_is_409_session_busy(
    connected: Database, database: ScratchDatabase, superuser: psycopg.Connection
) -> None:
    set_timeout(superuser, "lock_timeout", "100ms")
    connected.close()
    connected.transaction(add_customer)
    with psycopg.connect(database.owner_url) as holder:
        holder.execute("UPDATE customers SET name = 'Held'")

        def update() -> Count:
            return Count(**(connected.one("UPDATE customers SET name = 'D' RETURNING 1 AS count", ()) or {}))

        status, problem, headers = answer_of(update)
        assert (status, problem["type"], headers["Retry-After"]) == (409, "/problems/session-busy", "1")
        holder.rollback()
        assert answer_of(update)[:2] == (200, {"count": 1})


def test_a_statement_that_takes_too_long_is_503(database: ScratchDatabase, superuser: psycopg.Connection) -> None:
    set_timeout(superuser, "statement_timeout", "500ms")
    slow = Database(lambda: database.app_url)
    status, problem, headers = answer_of(lambda: Count(**(slow.one("SELECT pg_sleep(9)", ()) or {})))
    assert (status, problem["type"], headers["Retry-After"]) == (503, "/problems/service-unavailable", "2")
    assert answer_of(lambda: customers(slow))[0] == 200
    slow.close()


def test_a_server_that_is_away_is_503_and_after_its_restart_all_is_well(tmp_path: Path) -> None:
    settings = PostgresSettings(tmp_path / "postgres", ports.scattered_port(), durable=False)
    server = PostgresServer(settings, progress=lambda _sentence: None)
    server.start()
    try:
        connected = Database(lambda: server.url("autodoctor_owner"))
        with psycopg.connect(server.url("autodoctor_owner"), autocommit=True) as owner:
            owner.execute("CREATE TABLE customers (id integer)")
        assert answer_of(lambda: customers(connected))[0] == 200
        server.stop()
        assert answer_of(lambda: customers(connected))[0] == 503
        server.start()
        assert answer_of(lambda: customers(connected))[0] == 200
        server.stop()
        server.start()
        assert answer_of(lambda: customers(connected))[0] == 200
        connected.close()
    finally:
        server.stop()
        server.discard()
