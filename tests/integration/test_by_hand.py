"""An operator at psql: a hand-typed UPDATE of a session keeps everything else in step and is recorded as such."""

import psycopg
import pytest

from autodoctor.ids import new_id
from integration.actors import Stage
from integration.evidence import assignments, column, events, last_event


def test_a_cancellation_typed_by_hand_takes_the_assignment_along(stage: Stage) -> None:
    created = stage.waiting(stage.mechanic(), customer := new_id())
    stage.owner.execute("UPDATE sessions SET status = 'cancelled' WHERE id = %s", [created.session_id])
    assert assignments(stage, created.session_id) == ["cancelled"]
    assert column(stage, created.session_id, "end_reason") == "no_show"
    assert stage.end(customer, created.session_id).already_ended
    assert stage.pending(customer).session_status == "pending"


def test_the_database_user_is_the_actor(stage: Stage) -> None:
    created = stage.queued()
    stage.owner.execute("UPDATE sessions SET status = 'cancelled' WHERE id = %s", [created.session_id])
    event = last_event(stage, created.session_id)
    assert (event["actor"], event["actor_id"]) == ("db:autodoctor_owner", None)
    assert event["data"] == {"reason": "withdrawn"}
    moved = stage.one("SELECT actor FROM session_assignment_events ORDER BY id DESC LIMIT 1")
    assert moved == "db:autodoctor_owner"


def test_a_session_given_to_a_mechanic_by_hand_is_theirs(stage: Stage) -> None:
    created, mechanic = stage.queued(), stage.mechanic()
    stage.owner.execute(
        "UPDATE sessions SET status = 'waiting', mechanic_id = %s WHERE id = %s", [mechanic.id, created.session_id]
    )
    assert stage.accept(mechanic, created).session_status == "waiting"
    assert assignments(stage, created.session_id) == ["accepted"]
    assert stage.one("SELECT mechanic_id FROM session_participants WHERE role = 'mechanic'") == mechanic.id


def test_a_completion_has_to_be_earned_also_by_hand(stage: Stage) -> None:
    session_id = stage.live(stage.mechanic(), new_id()).session_id
    with pytest.raises(psycopg.errors.CheckViolation):
        stage.owner.execute("UPDATE sessions SET status = 'completed' WHERE id = %s", [session_id])
    assert events(stage, session_id)[-1] == "live"


def test_a_start_claimed_by_hand_needs_evidence(stage: Stage) -> None:
    session_id = stage.waiting(stage.mechanic()).session_id
    with pytest.raises(psycopg.DatabaseError, match="no evidence"):
        stage.owner.execute("UPDATE sessions SET status = 'live', started_at = now() WHERE id = %s", [session_id])
    assert stage.status(session_id) == "waiting"


def test_presence_typed_by_hand_is_evidence_like_any_other(stage: Stage) -> None:
    session_id = stage.waiting(stage.mechanic()).session_id
    stage.owner.execute("UPDATE sessions SET customer_present = true, mechanic_present = true")
    assert set(events(stage, session_id)[2:]) == {"customer joined", "mechanic joined", "live"}
    assert stage.status(session_id) == "live"


def test_nothing_is_offered_to_a_suspended_mechanic(stage: Stage) -> None:
    mechanic, created = stage.mechanic(), stage.queued()
    stage.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", (mechanic.id,))
    with pytest.raises(psycopg.Error) as refused:
        stage.owner.execute(
            "UPDATE session_assignments SET status = 'offered', mechanic_id = %s,"
            " offer_expires_at = now() + interval '2 minutes' WHERE id = %s",
            (mechanic.id, created.assignment_id),
        )
    assert refused.value.sqlstate == "AD002"
