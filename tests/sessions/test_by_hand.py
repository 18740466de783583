"""A hand-typed UPDATE of a session at psql keeps everything else in step and is recorded as such."""

import psycopg
import pytest

from autodoctor.ids import new_id
from support.sessions.evidence import assignments, column, events, last_event
from support.world import World


def test_a_cancellation_typed_by_hand_takes_the_assignment_along(world: World) -> None:
    created = world.waiting(world.mechanic(), customer := new_id())
    world.owner.execute("UPDATE sessions SET status = 'cancelled' WHERE id = %s", [created.session_id])
    assert assignments(world, created.session_id) == ["cancelled"]
    assert column(world, created.session_id, "end_reason") == "withdrawn"
    assert world.end(customer, created.session_id).already_ended
    assert world.pending(customer).session_status == "pending"


def test_the_database_user_is_the_actor(world: World) -> None:
    created = world.queued()
    world.owner.execute("UPDATE sessions SET status = 'cancelled' WHERE id = %s", [created.session_id])
    event = last_event(world, created.session_id)
    assert (event["actor"], event["actor_id"]) == ("db:autodoctor_owner", None)
    assert event["data"] == {"reason": "withdrawn", "endedBy": "admin"}
    moved = world.one("SELECT actor FROM session_assignment_events ORDER BY id DESC LIMIT 1")
    assert moved == "db:autodoctor_owner"


def test_a_session_given_to_a_mechanic_by_hand_is_theirs(world: World) -> None:
    created, mechanic = world.queued(), world.mechanic()
    world.owner.execute(
        "UPDATE sessions SET status = 'waiting', mechanic_id = %s WHERE id = %s", [mechanic.id, created.session_id]
    )
    assert world.accept(mechanic, created).session_status == "waiting"
    assert assignments(world, created.session_id) == ["accepted"]
    assert world.one("SELECT mechanic_id FROM session_participants WHERE role = 'mechanic'") == mechanic.id


def test_a_completion_has_to_be_earned_also_by_hand(world: World) -> None:
    session_id = world.live(world.mechanic(), new_id()).session_id
    with pytest.raises(psycopg.errors.CheckViolation):
        world.owner.execute("UPDATE sessions SET status = 'completed' WHERE id = %s", [session_id])
    assert events(world, session_id)[-1] == "live"


def test_a_start_claimed_by_hand_needs_evidence(world: World) -> None:
    session_id = world.waiting(world.mechanic()).session_id
    with pytest.raises(psycopg.DatabaseError, match="no evidence"):
        world.owner.execute("UPDATE sessions SET status = 'live', started_at = now() WHERE id = %s", [session_id])
    assert world.status(session_id) == "waiting"


def test_presence_typed_by_hand_is_evidence_like_any_other(world: World) -> None:
    session_id = world.waiting(world.mechanic()).session_id
    world.owner.execute("UPDATE sessions SET customer_present = true, mechanic_present = true")
    assert set(events(world, session_id)[2:]) == {"customer joined", "mechanic joined", "live"}
    assert world.status(session_id) == "live"


def test_nothing_is_offered_to_a_suspended_mechanic(world: World) -> None:
    mechanic, created = world.mechanic(), world.queued()
    world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", (mechanic.id,))
    with pytest.raises(psycopg.Error) as refused:
        world.owner.execute(
            "UPDATE session_assignments SET status = 'offered', mechanic_id = %s,"
            " offer_expires_at = now() + interval '2 minutes' WHERE id = %s",
            (mechanic.id, created.assignment_id),
        )
    assert refused.value.sqlstate == "AD002"
