"""The checker itself: no findings on sound data, and one for every lie planted past all guards."""

from uuid import UUID

import pytest
from psycopg import sql

from autodoctor.ids import new_id
from autodoctor.sessions.accept import decline
from autodoctor.sessions.presence import join, leave, release
from support.invariants.sessions import violations
from support.world import World

SESSION = "UPDATE sessions SET {} WHERE id = %(session)s"
ASSIGNMENT = "UPDATE session_assignments SET {} WHERE id = %(assignment)s"

# A completed session: what a superuser does to it with all triggers off, and the invariants that no longer hold.
LIES = [
    ("another active session of the customer", [1], """
        UPDATE sessions SET status = 'live', ended_at = NULL, end_reason = NULL, ended_by = NULL,
               together_seconds = NULL, min_billable_seconds = NULL, min_messages_each = NULL, late_minutes = NULL
         WHERE id = %(session)s;
        UPDATE sessions SET customer_id = (SELECT customer_id FROM sessions WHERE id = %(session)s)
         WHERE id = %(queued)s"""),
    ("no assignment", [2], "DELETE FROM session_assignments WHERE session_id = %(session)s"),
    ("another session's assignment", [2],
        "UPDATE sessions SET current_assignment_id = %(queued_assignment)s WHERE id = %(session)s"),
    ("an open assignment that is not the current one", [2], """
        INSERT INTO session_assignments (session_id, attempt, status, queued_at)
        VALUES (%(session)s, 2, 'queued', now())"""),
    ("an attempt is missing", [2], ASSIGNMENT.format("attempt = 2")),
    ("no customer took part", [2],
        "DELETE FROM session_participants WHERE session_id = %(session)s AND role = 'customer'"),
    ("an assignment left open", [3], ASSIGNMENT.format("status = 'accepted', ended_at = NULL")),
    ("an assignment that ended otherwise", [3], ASSIGNMENT.format("status = 'cancelled'")),
    ("a move that does not exist", [4], """
        UPDATE session_events SET from_status = 'pending' WHERE session_id = %(session)s AND to_status = 'live'"""),
    ("an assignment's move that does not exist", [4], """
        UPDATE session_assignment_events SET from_status = 'declined'
         WHERE session_id = %(session)s AND to_status = 'accepted'"""),
    ("a session that began in the middle", [4], """
        DELETE FROM session_events WHERE session_id = %(session)s AND to_status = 'pending';
        UPDATE session_events SET from_status = NULL WHERE session_id = %(session)s AND to_status = 'waiting'"""),
    ("another mechanic", [5], SESSION.format("mechanic_id = %(other_mechanic)s")),
    ("an assignment of another mechanic", [5], ASSIGNMENT.format("mechanic_id = %(other_mechanic)s")),
    ("a mechanic who never took part", [5],
        "DELETE FROM session_participants WHERE session_id = %(session)s AND role = 'mechanic'"),
    ("a second mechanic", [5], """
        INSERT INTO session_participants (session_id, role, mechanic_id)
        VALUES (%(session)s, 'mechanic', %(other_mechanic)s)"""),
    ("a mechanic who is the customer", [5], """
        UPDATE mechanics SET user_id = %(customer)s
         WHERE id = (SELECT mechanic_id FROM sessions WHERE id = %(session)s)"""),
    ("accepted without the session", [5], """
        UPDATE session_assignments SET status = 'accepted', mechanic_id = %(other_mechanic)s
         WHERE id = %(queued_assignment)s"""),
    ("a start before both were there", [6], SESSION.format("started_at = started_at - interval '1 s'")),
    ("an end after both had left", [6], SESSION.format("ended_at = ended_at + interval '1 s'")),
    ("an end in the future", [6], SESSION.format("ended_at = now() + interval '1 h'")),
    ("an end too early while both were there", [6], """
        UPDATE session_presence SET until = NULL, closed_at = NULL, source = 'room', witness = role
         WHERE session_id = %(session)s;
        UPDATE sessions SET ended_at = ended_at - interval '20 s', together_seconds = together_seconds - 20
         WHERE id = %(session)s"""),
    ("less time together than there was", [6], SESSION.format("together_seconds = together_seconds - 1")),
    ("long enough, and yet cancelled", [6], SESSION.format("status = 'cancelled', end_reason = 'too_short'")),
    ("completed, and too short", [6], SESSION.format("min_billable_seconds = 3600")),
    ("evidence that never was", [6, 7], """
        DELETE FROM session_presence WHERE session_id = %(session)s AND role = 'customer'"""),
    ("a transition without its row", [7], """
        DELETE FROM session_events WHERE session_id = %(session)s AND to_status = 'waiting'"""),
    ("an end without its row", [7],
        "DELETE FROM session_events WHERE session_id = %(session)s AND to_status = 'completed'"),
    ("an assignment's transition without its row", [7], """
        DELETE FROM session_assignment_events WHERE session_id = %(session)s AND to_status = 'accepted'"""),
    ("a row of nobody", [7],
        "UPDATE session_events SET actor = 'customer', actor_id = NULL WHERE session_id = %(session)s"),
    ("a row without a reason to be", [7], "UPDATE session_events SET actor = 'ghost' WHERE session_id = %(session)s"),
    ("a row later than the next", [7], """
        UPDATE session_events SET occurred_at = now() WHERE session_id = %(session)s AND to_status = 'waiting'"""),
    ("a history of what does not exist", [7], """
        INSERT INTO session_events (session_id, to_status, actor) VALUES (new_id(), 'pending', 'db:me')"""),
    ("assignment and session moved by different hands", [7], """
        UPDATE session_assignment_events SET actor_id = new_id()
         WHERE session_id = %(session)s AND to_status = 'completed'"""),
    ("present without having come", [7], "UPDATE sessions SET customer_present = true WHERE id = %(queued)s"),
    ("there since another time", [7], SESSION.format("mechanic_joined_at = mechanic_joined_at - interval '1 s'")),
    ("there beyond the end by their own word", [6], """
        UPDATE session_presence SET until = NULL, closed_at = NULL
         WHERE session_id = %(session)s AND role = 'customer'"""),
    ("two sessions of one mechanic", [8], """
        UPDATE sessions SET status = 'waiting', mechanic_id = %(other_mechanic)s
         WHERE id IN (%(queued)s, %(session)s)"""),
]  # fmt: skip


def completed(world: World, customer: UUID) -> dict[str, object]:
    """A session that was declined, given back, held and completed, and another one in the queue."""
    decliner, mechanic = world.mechanic(), world.mechanic()
    created = world.live(mechanic, customer)
    world.let_time_pass(90)
    leave(world.app, customer, created.session_id)
    world.let_time_pass(30)
    world.end(customer, created.session_id)
    queued = world.queued()
    return {
        "customer": customer,
        "session": created.session_id,
        "assignment": created.assignment_id,
        "queued": queued.session_id,
        "queued_assignment": queued.assignment_id,
        "other_mechanic": decliner.id,
    }


def test_a_life_with_every_turn_violates_nothing(world: World) -> None:
    customer, decliner, mechanic = new_id(), world.mechanic(), world.mechanic()
    created = world.queued(customer, preferredMechanicId=decliner.id)
    decline(world.app, decliner.user_id, created.assignment_id)
    for earlier in (world.mechanic(), world.mechanic()):
        world.accept_current(earlier, created.session_id)
        join(world.app, earlier.user_id, created.session_id)
        release(world.app, earlier.user_id, created.session_id)
    world.accept_current(mechanic, created.session_id)
    world.meet(created.session_id, customer, mechanic)
    world.let_time_pass(200)
    leave(world.app, mechanic.user_id, created.session_id)
    assert world.end(customer, created.session_id).reason == "billable"
    assert violations(world.owner) == []


@pytest.mark.parametrize(("lie", "broken", "statements"), LIES, ids=[lie for lie, _, _ in LIES])
def test_a_planted_lie_is_found(world: World, lie: str, broken: list[int], statements: str) -> None:
    cast = completed(world, new_id())
    assert violations(world.owner) == []
    with world.without_triggers() as superuser:
        superuser.execute("ALTER TABLE sessions DROP CONSTRAINT sessions_completed_iff_long_enough")
        superuser.execute("ALTER TABLE sessions DROP CONSTRAINT sessions_end_is_complete")
        superuser.execute("ALTER TABLE sessions DROP CONSTRAINT sessions_reason_fits_status")
        superuser.execute("ALTER TABLE sessions DROP CONSTRAINT sessions_start_is_proven")
        superuser.execute("DROP INDEX uq_active_session_per_customer, uq_busy_session_per_mechanic")
        for statement in statements.split(";"):
            superuser.execute(sql.SQL(statement), cast)
    found = violations(world.owner)
    assert {int(sentence.split()[1].rstrip(":")) for sentence in found} >= set(broken), f"{lie}: {found}"
