"""The database killed in mid-load and restarted, without a connection to spare, and asked by many sweeps at once.

Nothing here is told that it happens: people try again, as their clients do, and in the end every invariant holds and
every request took effect once.
"""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Final, LiteralString
from uuid import UUID

import psycopg
import pytest

from autodoctor.db import Database
from autodoctor.errors import Problem
from autodoctor.ids import new_id
from autodoctor.intake.create import start_intake
from autodoctor.migrations import migrate
from autodoctor.sessions.accept import accept
from autodoctor.sessions.end import Ender, end_session
from autodoctor.sessions.expiry import Swept, sweep
from autodoctor.sessions.presence import join
from localcloud.database.postgres import PostgresServer, PostgresSettings
from localcloud.host import ports
from support.invariants.sessions import violations
from support.wait import wait_until
from support.world import World, intake_request

PEOPLE: Final = 6
SESSIONS_EACH: Final = 4
SWEEPS: Final = 8
ORPHANS: Final = 20
MANY_SECONDS: Final = 60.0
AWAY: Final = (psycopg.OperationalError, psycopg.InterfaceError)

FREED: LiteralString = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'autodoctor_app'"


@pytest.fixture
def durable() -> Iterator[PostgresServer]:
    """A server of its own that loses nothing when it is killed."""
    folder = Path(tempfile.mkdtemp(prefix="autodoctor-faults-"))
    folder.chmod(0o711)  # the account that PostgreSQL runs as passes through
    settings = PostgresSettings(folder / "postgres", ports.scattered_port(), options={"max_connections": "20"})
    server = PostgresServer(settings, progress=lambda _sentence: None)
    server.start()
    yield server
    server.stop()
    for each in (server.home, folder):
        shutil.rmtree(each, ignore_errors=True)


@pytest.fixture
def durable_world(durable: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("SESSION_BASE_URL", "https://sessions.example")
    migrate(durable.database().owner_url)
    durable.let_app_log_in()
    with closing(World(durable.database())) as world:
        world.lift_limits()
        yield world


def insist[T](call: Callable[[], T]) -> T:
    """Call until the database answers, as clients do when a function says 503."""
    found: list[T] = []

    def answered() -> bool:
        try:
            found.append(call())
        except AWAY:
            return False
        return True

    wait_until(answered)
    return found[0]


def consult(database: Database, mechanic: UUID, customer: UUID) -> UUID:
    """One consultation from the request to its end, each step insisted on."""
    request, key = intake_request(waiver={"signedName": "Cora Castillo"}), str(new_id())
    created = insist(lambda: start_intake(database, customer, request, key))
    insist(lambda: accept(database, mechanic, created.assignment_id))
    for who in (customer, mechanic):
        insist(lambda who=who: join(database, who, created.session_id))  # type: ignore[misc]
    insist(lambda: end_session(database, Ender(customer), created.session_id))
    return created.session_id


def killed(server: PostgresServer, world: World) -> None:
    """Kill the server as a power cut does, and start it again."""
    (line, *_) = (server.home / "pgdata" / "postmaster.pid").read_text().splitlines()
    children = [row["pid"] for row in world.owner.execute("SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL")]
    for pid in (int(line), *children):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_until(lambda: not server.running)
    server.stop()
    world.close()
    server.start()


def test_a_server_that_is_killed_in_mid_load_loses_nothing_and_repeats_nothing(
    durable: PostgresServer, durable_world: World
) -> None:
    world = durable_world
    mechanics = [world.mechanic().user_id for _ in range(PEOPLE)]
    done: list[UUID] = []
    halfway = threading.Event()

    def work(mechanic: UUID) -> None:
        with closing(Database(lambda: world.urls.app_url)) as database:
            for _ in range(SESSIONS_EACH):
                done.append(consult(database, mechanic, new_id()))
                halfway.set()

    with ThreadPoolExecutor(PEOPLE) as people:
        at_work = [people.submit(work, mechanic) for mechanic in mechanics]
        assert halfway.wait(MANY_SECONDS)
        killed(durable, world)
        for each in at_work:
            each.result()
    assert len(set(done)) == PEOPLE * SESSIONS_EACH
    assert world.one("SELECT count(*) FROM sessions") == PEOPLE * SESSIONS_EACH
    assert world.one("SELECT count(*) FROM session_events WHERE to_status = 'waiting'") == PEOPLE * SESSIONS_EACH
    assert violations(world.owner) == []


def test_without_a_connection_to_spare_a_call_fails_and_works_again_once_there_is_one(durable_world: World) -> None:
    world, mechanic = durable_world, durable_world.mechanic().user_id
    created = world.queued()
    world.app.close()
    with ExitStack() as others:
        with suppress(psycopg.OperationalError):
            while True:
                others.enter_context(psycopg.connect(world.urls.app_url))
        with closing(Database(lambda: world.urls.app_url)) as database, pytest.raises(AWAY):
            accept(database, mechanic, created.assignment_id)
    wait_until(lambda: world.one(FREED) == 0)
    assert accept(world.app, mechanic, created.assignment_id).session_id == created.session_id
    assert violations(world.owner) == []


def test_eight_sweeps_at_once_expire_each_request_once_and_none_for_long_does_no_harm(world: World) -> None:
    for _ in range(ORPHANS):
        world.queued()
    world.let_time_pass(10 * 3600)  # no sweep came in all that time
    barrier = threading.Barrier(SWEEPS)

    def one(_: int) -> Swept:
        with world.elsewhere() as database:
            barrier.wait()
            return sweep(database, lambda: MANY_SECONDS)

    with ThreadPoolExecutor(SWEEPS) as sweeps:
        swept = list(sweeps.map(one, range(SWEEPS)))
    assert sum(each.orphans for each in swept) == ORPHANS
    assert world.one("SELECT count(*) FROM session_events WHERE to_status = 'expired'") == ORPHANS
    assert violations(world.owner) == []


def test_a_worker_that_wakes_after_its_time_out_changes_nothing_any_more(world: World) -> None:
    """Lambda freezes a process whose time is up, in the middle of a transaction; the next one does its work anew."""
    created, first, second = world.queued(), world.mechanic(), world.mechanic()
    frozen, thaw = threading.Event(), threading.Event()
    outcome: list[BaseException | UUID] = []

    def freeze(connection: psycopg.Connection[object]) -> None:
        connection.execute("SELECT FROM mechanics WHERE user_id = %s FOR NO KEY UPDATE", [first.user_id])
        frozen.set()
        thaw.wait(MANY_SECONDS)

    def work() -> None:
        with closing(Database(lambda: world.urls.app_url)) as database:
            try:
                database.transaction(freeze)
                outcome.append(accept(database, first.user_id, created.assignment_id).session_id)
            except (Problem, *AWAY) as refused:
                outcome.append(refused)

    worker = threading.Thread(target=work)
    worker.start()
    assert frozen.wait(MANY_SECONDS)
    world.accept(second, created)
    thaw.set()
    worker.join()
    assert isinstance(outcome[0], Problem)
    assert world.one("SELECT mechanic_id FROM sessions WHERE id = %s", created.session_id) == second.id
    assert violations(world.owner) == []
