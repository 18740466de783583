"""No statement of the functions would pin a connection of RDS Proxy: every statement of the layer is checked.

tests/conftest.py checks everything else that this run of the suite sent, when its server stops.
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
from autodoctor.events.feed import connections
from autodoctor.ids import new_id
from autodoctor.intake import create, waiver
from autodoctor.sessions import active, queue
from autodoctor.sessions.availability import AvailabilityRequest, availability, set_availability
from autodoctor.sessions.end import Ender, end_session, explain_end
from autodoctor.sessions.notes import NotesRequest, save_notes
from autodoctor.sessions.queue_position import queue_positions
from localcloud.database.postgres import PostgresServer
from support.concurrency.conflicts import OPERATIONS, STATES, Scenario
from support.database.statement_log import FUNCTIONS, Statement, pinning, statements
from support.sessions.evidence import plant_meeting
from support.world import World

PLANTED = "planted"


def play_everything(world: World) -> None:
    """Everything anybody can ask for, in every state, whatever it answers."""
    for state in STATES:
        for wish in OPERATIONS.values():
            with suppress(Problem, AttributeError):  # there is no session where there is nobody
                wish(Scenario(world, state)).call(world.app)
    scenario = Scenario(world, "live")
    for user_id in (scenario.customer, scenario.mechanic.user_id):
        active.session_detail(world.app, user_id, scenario.session_id)
    active.customer_active_session(world.app, scenario.customer)
    active.mechanic_active_session(world.app, scenario.mechanic.user_id)
    active.history(world.app, "customer", scenario.customer)
    active.history(world.app, "mechanic", scenario.mechanic.user_id)
    queue.fetch_queue(world.app, scenario.mechanic.user_id)
    availability(world.app, scenario.mechanic.user_id)
    set_availability(world.app, scenario.mechanic.user_id, AvailabilityRequest(available=False))
    queue_positions(world.app)
    world.owner.execute(
        "INSERT INTO realtime_connections (connection_id, user_id, groups, since, room, expires_at)"
        " VALUES ('a connection', %s, '{customers}', 0, %s, now() + interval '1 hour')",
        [scenario.customer, scenario.session_id],
    )
    connections.drop(world.app, ["a connection"])
    waiting = Scenario(world, "waiting")
    plant_meeting(world, waiting.session_id, waiting.mechanic, "61")
    world.end(waiting.customer, waiting.session_id)
    end_session(world.app, Ender(waiting.mechanic.user_id), waiting.session_id, "Worn pads.")
    notes = NotesRequest(text="Worn pads, both sides.", version=2)
    save_notes(world.app, waiting.mechanic.user_id, waiting.session_id, notes)
    explain_end(world.app, Ender(new_id(), any_session=True), waiting.session_id, "You both asked for it.")


def sql_of_the_layer() -> dict[str, str]:
    """Every statement that stands in a module of a session's life, by where it stands."""
    modules = [
        create,
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
    """The statements of an application, from a position in the log on."""
    with server.log_file.open(errors="replace") as log:
        log.seek(begin)
        return list(statements(log, application))


def test_no_statement_of_the_layer_would_pin(world: World, postgres_server: PostgresServer) -> None:
    begin = postgres_server.log_file.stat().st_size
    play_everything(world)
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
    world: World, postgres_server: PostgresServer, statement: LiteralString
) -> None:
    with psycopg.connect(world.urls.app_url, autocommit=True, application_name=PLANTED) as connection:
        connection.execute(statement)
    assert any(statement in sentence for sentence in pinning(sent_to(postgres_server, PLANTED)))


def test_a_statement_prepared_by_name_is_found_in_the_log(world: World, postgres_server: PostgresServer) -> None:
    with psycopg.connect(world.urls.app_url, prepare_threshold=0, application_name=PLANTED) as connection:
        connection.execute("SELECT %s::integer AS prepared", (1,))
    assert any("by the name of" in sentence for sentence in pinning(sent_to(postgres_server, PLANTED)))


def test_what_the_tests_send_under_their_own_name_is_not_the_functions(
    world: World, postgres_server: PostgresServer
) -> None:
    with psycopg.connect(world.urls.app_url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '7s'")
    assert not any("7s" in statement.text for statement in sent_to(postgres_server))
