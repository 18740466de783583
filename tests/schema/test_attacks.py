"""Raw SQL against each invariant, by the application's role and by the owner: all of it is refused.

An attack runs in a transaction that checks its deferred constraints as a commit would and is then rolled back,
so one set of sessions serves all attacks, on the embedded PostgreSQL and, if installed, on version 15.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from autodoctor.domain.lifecycle import ASSIGNMENT_MOVES, SESSION_MOVES
from autodoctor.ids import new_id
from autodoctor.migrations import migrate
from autodoctor.sessions.accept import decline
from localcloud.database.postgres import PostgresServer, PostgresSettings
from localcloud.host import ports
from support.database.attacks import ATTACKS, NO_MOVE, Attack
from support.invariants.sessions import violations
from support.world import World

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

type Cast = dict[str, object]


@pytest.fixture(scope="module", params=[None, DEBIAN_15], ids=["embedded", "version 15"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A migrated database of its own on either server."""
    if request.param and not request.param.exists():
        pytest.skip("attacks PostgreSQL 15 too: apt-get install postgresql-15")
    folder = tmp_path_factory.mktemp("attacked")
    settings = PostgresSettings(
        folder / "postgres", ports.scattered_port(), request.param, durable=False, delete=folder
    )
    server = PostgresServer(settings, progress=lambda _sentence: None)
    server.start()
    migrate(server.database().owner_url)
    server.let_app_log_in()
    world = World(server.database())
    yield world
    world.close()
    server.stop()


@pytest.fixture(scope="module")
def cast(world: World) -> Cast:
    """A session in every state, by the name of the state, with the ids that attacks need."""
    holders = [world.mechanic() for _ in range(6)]
    users = {name: new_id() for name in ("queued", "live", "long", "completed", "declined", "half_joined")}
    for_completed = world.live(holders[3], users["completed"])
    long = world.live(holders[2], users["long"])
    world.let_time_pass(61)
    world.end(users["completed"], for_completed.session_id)
    cancelled_user = new_id()
    cancelled = world.pending(cancelled_user)
    world.end(cancelled_user, cancelled.session_id)
    expired = world.pending()
    world.one("UPDATE sessions SET status = 'expired' WHERE id = %s RETURNING 1", expired.session_id)
    declined = world.queued(users["declined"], preferredMechanicId=holders[4].id)
    decline(world.app, holders[4].user_id, declined.assignment_id)
    half_joined = world.waiting(holders[5], users["half_joined"])
    world.one("UPDATE sessions SET mechanic_present = true WHERE id = %s RETURNING 1", half_joined.session_id)
    sessions = {
        "scheduled": world.queued(scheduledFor=datetime.now(UTC) + timedelta(days=1)),
        "pending": world.pending(),
        "queued": world.queued(users["queued"]),
        "offered": world.queued(preferredMechanicId=world.mechanic().id),
        "waiting": world.waiting(holders[0]),
        "live": world.live(holders[1], users["live"]),
        "long": long,
        "half_joined": half_joined,
        "declined": declined,
        "completed": for_completed,
        "cancelled": cancelled,
        "expired": expired,
    }
    return {
        **{name: created.session_id for name, created in sessions.items()},
        **{f"{name}_assignment": created.assignment_id for name, created in sessions.items()},
        "queued_customer": world.one("SELECT id FROM customers WHERE user_id = %s", users["queued"]),
        "free_customer": world.one("SELECT id FROM customers WHERE user_id = %s", cancelled_user),
        "holder": holders[0].id,
        "decliner": holders[4].id,
        "free_mechanic": world.mechanic().id,
        "customer_as_mechanic": world.mechanic(user_id=users["queued"]).id,
        "new": new_id(),
        "newer": new_id(),
    }


def refusal(url: str, statements: str, cast: Cast) -> str | None:
    """The SQLSTATE that refuses these statements, at once or at commit; None if nothing does. Never commits."""
    with psycopg.connect(url) as connection:
        try:
            for statement in statements.split(";"):
                connection.execute(sql.SQL(statement), cast)
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.Error as refused:
            return refused.sqlstate
        finally:
            connection.rollback()
    return None


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_attack_on_an_invariant_is_refused(world: World, cast: Cast, attack: Attack) -> None:
    assert refusal(world.urls.app_url, attack.sql, cast) == attack.app
    if attack.owner is not None:
        assert refusal(world.urls.owner_url, attack.sql, cast) == attack.owner


def test_no_session_goes_where_the_design_shows_no_way(world: World, cast: Cast) -> None:
    """Every pair of statuses that is not in SESSION_MOVES."""
    for source, allowed in SESSION_MOVES.items():
        for target in set(SESSION_MOVES) - allowed - {source}:
            change = f"UPDATE sessions SET status = '{target}' WHERE id = '{cast[source]}' AND status = '{source}'"
            assert refusal(world.urls.app_url, change, cast) == NO_MOVE, f"{source} to {target}"


def test_no_assignment_goes_where_the_design_shows_no_way(world: World, cast: Cast) -> None:
    """Every pair of statuses that is not in ASSIGNMENT_MOVES, from each status that the cast has one in."""
    found = world.owner.execute("SELECT status, min(id::text) AS id FROM session_assignments GROUP BY status")
    in_status = {row["status"]: row["id"] for row in found}
    assert set(in_status) == set(ASSIGNMENT_MOVES)
    for source, allowed in ASSIGNMENT_MOVES.items():
        for target in set(ASSIGNMENT_MOVES) - allowed - {source}:
            change = f"UPDATE session_assignments SET status = '{target}' WHERE id = '{in_status[source]}'"
            assert refusal(world.urls.app_url, change, cast) == NO_MOVE, f"{source} to {target}"


def test_an_owner_s_own_table_does_not_catch_the_audit(world: World, cast: Cast) -> None:
    """A temporary table would come first in the search path of a trigger that does not say otherwise."""
    with psycopg.connect(world.urls.owner_url) as connection:
        connection.execute("CREATE TEMP TABLE session_events (LIKE public.session_events INCLUDING ALL)")
        connection.execute("UPDATE sessions SET status = 'cancelled' WHERE id = %(queued)s", cast)
        written = connection.execute(
            "SELECT count(*) FROM public.session_events WHERE session_id = %(queued)s AND to_status = 'cancelled'", cast
        )
        assert written.fetchone() == (1,)
        connection.rollback()


def test_nothing_got_through(world: World, cast: Cast) -> None:
    """Runs last: the cast still stands as it was set up."""
    assert violations(world.owner) == []
    statuses = world.owner.execute("SELECT id, status FROM sessions").fetchall()
    standing = {row["id"]: row["status"] for row in statuses}
    assert all(standing[cast[status]] == status for status in SESSION_MOVES)
