"""The checker detects faults: with a guard of the schema removed on purpose, it reports the broken invariant.

Each guard has a conflict that relies on it. With all guards in place no interleaving of that conflict leaves
anything wrong; without the guard at least one does, and the checker names the invariant. If no use case relies
on a guard alone, a careless writer is the second side: an operator's statement, or a bad deployment.
"""

from dataclasses import dataclass
from typing import Final, LiteralString

import psycopg
import pytest

from autodoctor.db import Row
from autodoctor.sessions.accept import accept
from support.concurrency.conflicts import OPERATIONS, Scenario, Wish, play
from support.concurrency.stepper import Operation
from support.invariants.sessions import violations
from support.world import World


@dataclass(frozen=True)
class Guard:
    """A guard, how it is taken out, and the conflict that shows.

    Attributes:
        removal: statements of the schema's owner.
        invariants: which of them the checker must report.
    """

    removal: tuple[LiteralString, ...]
    state: str
    wishes: tuple[Wish, Wish]
    invariants: tuple[int, ...]


def carelessly(statement: LiteralString) -> Wish:
    """Somebody runs a statement that decides nothing; it may name the session and the mechanic."""

    def wish(scenario: Scenario) -> Operation:
        parameters = {"session_id": scenario.session_id, "mechanic_id": scenario.mechanic.id}
        return Operation(lambda app: app.one(statement, parameters))

    return wish


def accepts_another_session(scenario: Scenario) -> Operation:
    """The same mechanic accepts what another customer asked for."""
    another = scenario.world.queued()
    return Operation(lambda app: accept(app, scenario.mechanic.user_id, another.assignment_id))


AT_COMMIT: Final = (
    "DROP TRIGGER sessions_consistent ON sessions",
    "DROP TRIGGER assignments_consistent ON session_assignments",
)
ANY_MOVE: Final = """
    CREATE OR REPLACE FUNCTION assignment_may_move(source text, target text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT true'"""
OPENS_ANOTHER: Final = carelessly("""
    INSERT INTO session_assignments (session_id, attempt, status)
    SELECT session_id, max(attempt) + 1, 'queued' FROM session_assignments
     WHERE session_id = %(session_id)s GROUP BY session_id
    RETURNING id""")
TAKES_THE_SIGNATURE_BACK: Final = carelessly("""
    UPDATE session_assignments SET status = 'pending_waiver' WHERE session_id = %(session_id)s RETURNING id""")
CANCELS_THE_ASSIGNMENT: Final = carelessly("""
    UPDATE session_assignments SET status = 'cancelled' WHERE session_id = %(session_id)s RETURNING id""")
PAYS_THE_MECHANIC: Final = carelessly("""
    UPDATE sessions SET status = 'completed' WHERE id = %(session_id)s RETURNING id""")

GUARDS: Final = {
    "one active session per customer": Guard(
        ("DROP INDEX uq_active_session_per_customer",),
        "nobody",
        (OPERATIONS["intake"], OPERATIONS["intake"]),
        (1,),
    ),
    "one open assignment per session": Guard(
        ("DROP INDEX uq_open_assignment_per_session", *AT_COMMIT),
        "queued",
        (OPERATIONS["accept"], OPENS_ANOTHER),
        (2,),
    ),
    "what was declined is queued again": Guard(
        ("DROP TRIGGER open_next_assignment ON session_assignments", *AT_COMMIT),
        "offered",
        (OPERATIONS["decline"], OPERATIONS["join"]),
        (2,),
    ),
    "the assignment follows its session": Guard(
        ("DROP TRIGGER sessions_follow ON sessions", *AT_COMMIT),
        "queued",
        (OPERATIONS["accept"], OPERATIONS["withdraw"]),
        (3, 5, 7),
    ),
    "only moves that exist": Guard(
        (ANY_MOVE,),
        "unsigned",
        (OPERATIONS["sign"], TAKES_THE_SIGNATURE_BACK),
        (4,),
    ),
    "consistency at commit": Guard(
        AT_COMMIT,
        "queued",
        (OPERATIONS["accept"], CANCELS_THE_ASSIGNMENT),
        (2, 5),
    ),
    "completed is earned": Guard(
        (
            "ALTER TABLE sessions DROP CONSTRAINT sessions_completed_iff_long_enough",
            "ALTER TABLE sessions DROP CONSTRAINT sessions_reason_fits_status",  # the guard names the verdict's reason
        ),
        "waiting",
        (OPERATIONS["join as mechanic"], PAYS_THE_MECHANIC),
        (6,),
    ),
    "the audit trail": Guard(
        ("CREATE RULE lost AS ON INSERT TO session_assignment_events DO INSTEAD NOTHING",),
        "queued",
        (OPERATIONS["accept"], OPERATIONS["withdraw"]),
        (7,),
    ),
    "one session at a time per mechanic": Guard(
        ("DROP INDEX uq_busy_session_per_mechanic",),
        "queued",
        (OPERATIONS["accept"], accepts_another_session),
        (8,),
    ),
}


def reported(world: World, guard: Guard) -> set[str]:
    """The checker's findings in all interleavings of the guard's conflict: "invariant 3", ..."""
    sentences: set[str] = set()
    for _ in play(world, guard.state, guard.wishes):
        sentences.update(sentence.partition(":")[0] for sentence in violations(world.owner))
    return sentences


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_in_its_place_keeps_the_invariants(world: World, name: str) -> None:
    assert reported(world, GUARDS[name]) == set()


@pytest.mark.parametrize("name", GUARDS)
def test_a_missing_guard_is_reported(world: World, name: str) -> None:
    guard = GUARDS[name]
    for statement in guard.removal:
        world.owner.execute(statement)
    assert reported(world, guard) >= {f"invariant {number}" for number in guard.invariants}


def looks_then_takes(scenario: Scenario) -> Operation:
    """The way it should not be done: is the mechanic free, and if so, take a session (of another customer)."""
    session_id = scenario.world.queued().session_id

    def work(connection: psycopg.Connection[Row]) -> None:
        busy = "SELECT 1 FROM sessions WHERE mechanic_id = %s AND status IN ('waiting', 'live')"
        if connection.execute(busy, (scenario.mechanic.id,)).fetchone() is None:
            take = "UPDATE sessions SET status = 'waiting', mechanic_id = %s WHERE id = %s"
            connection.execute(take, (scenario.mechanic.id, session_id))

    return Operation(lambda app: app.transaction(work))


def test_what_only_an_interleaving_breaks_is_found_there_and_only_there(world: World) -> None:
    world.owner.execute("DROP INDEX uq_busy_session_per_mechanic")
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for run in play(world, "nobody", [looks_then_takes, looks_then_takes]):
        found[run.is_serial].update(sentence.partition(":")[0] for sentence in violations(world.owner))
    assert found == {True: set(), False: {"invariant 8"}}
