"""No statement of the functions would pin a connection of RDS Proxy: every statement of the layer is looked at.

The same is asked of everything else that this run of the suite sent: tests/conftest.py, when its server stops.
"""

import importlib
import pkgutil
import re
from contextlib import suppress
from typing import LiteralString

import psycopg
import pytest

from autodoctor import sessions
from autodoctor.errors import Problem
from autodoctor.intake import create, factory, waiver
from autodoctor.sessions import active, queue
from autodoctor.sessions.availability import AvailabilityRequest, availability, set_availability
from autodoctor.sessions.end import Ender, end_session
from autodoctor.sessions.presence import forget_connection
from autodoctor.sessions.queue_position import queue_positions
from integration.actors import Stage
from integration.conflicts import OPERATIONS, STATES, Scene
from integration.evidence import plant_meeting
from localcloud.database.postgres import PostgresServer
from statement_log import FUNCTIONS, Statement, pinning, statements

PLANTED = "planted"


def play_everything(stage: Stage) -> None:
    """Everything anybody can ask for, in every state, whatever it answers."""
    for state in STATES:
        for wish in OPERATIONS.values():
            with suppress(Problem, AttributeError):  # there is no session where there is nobody
                wish(Scene(stage, state)).call(stage.app)
    scene = Scene(stage, "live")
    for user_id in (scene.customer, scene.mechanic.user_id):
        active.session_detail(stage.app, user_id, scene.session_id)
    active.customer_active_session(stage.app, scene.customer)
    active.mechanic_active_session(stage.app, scene.mechanic.user_id)
    active.history(stage.app, "customer", scene.customer)
    active.history(stage.app, "mechanic", scene.mechanic.user_id)
    queue.fetch_queue(stage.app, scene.mechanic.user_id)
    availability(stage.app, scene.mechanic.user_id)
    set_availability(stage.app, scene.mechanic.user_id, AvailabilityRequest(available=False))
    queue_positions(stage.app)
    stage.owner.execute(
        "INSERT INTO realtime_connections (connection_id, user_id, groups, since, joined, expires_at)"
        " VALUES ('a connection', %s, '{customers}', 0, %s, now() + interval '1 hour')",
        [scene.customer, scene.session_id],
    )
    stage.app.transaction(lambda connection: forget_connection(connection, "a connection"))
    waiting = Scene(stage, "waiting")
    plant_meeting(stage, waiting.session_id, waiting.mechanic, "61")
    stage.end(waiting.customer, waiting.session_id)
    end_session(stage.app, Ender(waiting.mechanic.user_id), waiting.session_id, "Worn pads.")


def sql_of_the_layer() -> dict[str, str]:
    """Every statement that stands in a module of a session's life, by where it stands."""
    modules = [
        create,
        factory,
        waiver,
        *(
            importlib.import_module(f"{sessions.__name__}.{module.name}")
            for module in pkgutil.iter_modules(sessions.__path__)
        ),
    ]
    return {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, str) and re.search(r"\b(SELECT|UPDATE|INSERT)\b", value) and not name.startswith("__")
    }


def without_parameters(statement: str) -> str:
    """How the statement reads in the module and in the log alike."""
    return " ".join(re.sub(r"%\(\w+\)s|\$\d+", "?", statement).replace("%%", "%").split())


def sent_to(server: PostgresServer, application: str = FUNCTIONS, begin: int = 0) -> list[Statement]:
    """What an application sent, from a position in the log on."""
    with server.log_file.open(errors="replace") as log:
        log.seek(begin)
        return list(statements(log, application))


def test_no_statement_of_the_layer_would_pin(stage: Stage, postgres_server: PostgresServer) -> None:
    begin = postgres_server.log_file.stat().st_size
    play_everything(stage)
    sent = sent_to(postgres_server, begin=begin)
    assert pinning(sent) == []
    seen = {without_parameters(statement.text) for statement in sent}
    unseen = [
        where
        for where, statement in sql_of_the_layer().items()
        if not any(without_parameters(statement) in text for text in seen)
    ]
    assert unseen == []


@pytest.mark.parametrize(
    "statement",
    [
        "SET lock_timeout = '1s'",
        "set local lock_timeout = '1s'",
        "SELECT set_config('lock_timeout', '1s', false)",
        "SELECT 1; RESET ALL",
        "PREPARE mine AS SELECT 1",
        "DISCARD ALL",
        "LISTEN events",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock_shared(1)",
        "CREATE TEMPORARY TABLE mine (id integer)",
        "SELECT 1 AS id INTO TEMP mine",
        "BEGIN; DECLARE mine CURSOR WITH HOLD FOR SELECT 1; COMMIT",
    ],
)
def test_a_statement_that_would_pin_is_found_in_the_log(
    stage: Stage, postgres_server: PostgresServer, statement: LiteralString
) -> None:
    with psycopg.connect(stage.urls.app_url, autocommit=True, application_name=PLANTED) as connection:
        connection.execute(statement)
    assert any(statement in sentence for sentence in pinning(sent_to(postgres_server, PLANTED)))


def test_a_statement_prepared_by_name_is_found_in_the_log(stage: Stage, postgres_server: PostgresServer) -> None:
    with psycopg.connect(stage.urls.app_url, prepare_threshold=0, application_name=PLANTED) as connection:
        connection.execute("SELECT %s::integer AS prepared", (1,))
    assert any("by the name of" in sentence for sentence in pinning(sent_to(postgres_server, PLANTED)))


def test_what_the_tests_send_under_their_own_name_is_not_the_functions(
    stage: Stage, postgres_server: PostgresServer
) -> None:
    with psycopg.connect(stage.urls.app_url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '7s'")
    assert not any("7s" in statement.text for statement in sent_to(postgres_server))
