"""Whom the sweeps show a request to: one that nobody can reach opens to everybody, and a scheduled one at its time."""

from autodoctor.ids import new_id
from support.sessions.sweeping import sees, swept
from support.world import World

# --- requests nobody can reach ----------------------------------------------------------------------


def test_a_request_whose_workshop_was_suspended_unseen_opens_to_everybody(world: World) -> None:
    """A suspension and an intake that commit at the same moment do not see each other."""
    workshop = world.workshop()
    mechanic, other = world.mechanic(workshop), world.mechanic()
    created = world.queued(workshopId=str(workshop))
    with world.without_triggers() as connection:
        connection.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", (mechanic.id,))
    assert sees(world, other) == []
    assert swept(world) == {"opened_to_all": 1}
    assert sees(world, other) == [created.session_id]
    assert swept(world) == {}


# --- scheduled sessions and whom they are for -------------------------------------------------------


def test_a_scheduled_session_brought_forward_by_hand_is_shown_at_once(world: World, next_week: str) -> None:
    mechanic = world.mechanic()
    created = world.queued(scheduledFor=next_week)
    assert sees(world, mechanic) == []
    world.owner.execute("UPDATE sessions SET status = 'pending' WHERE id = %s", (created.session_id,))
    assert sees(world, mechanic) == [created.session_id]


def test_a_scheduled_session_waits_only_from_its_lead_time(world: World, next_week: str) -> None:
    """Who signed days ago for today is not listed before those who wait since this morning."""
    created = world.queued(scheduledFor=next_week)
    row = world.owner.execute(
        "SELECT queued_at, available_at FROM session_assignments WHERE session_id = %s", (created.session_id,)
    ).fetchone()
    assert row is not None
    assert row["queued_at"] == row["available_at"]


def test_a_mechanic_who_is_busy_now_is_offered_what_is_for_next_week(world: World, next_week: str) -> None:
    mechanic = world.mechanic()
    world.waiting(mechanic)
    assert world.queued(preferredMechanicId=str(mechanic.id)).assignment_status == "queued"
    later = world.queued(preferredMechanicId=str(mechanic.id), scheduledFor=next_week)
    assert later.assignment_status == "offered"


def test_who_left_the_workshop_before_the_signature_is_not_offered_its_request(world: World) -> None:
    workshop = world.workshop()
    leaver, stayer, customer = world.mechanic(workshop), world.mechanic(workshop), new_id()
    created = world.pending(customer, workshopId=str(workshop), preferredMechanicId=str(leaver.id))
    world.owner.execute("UPDATE mechanics SET workshop_id = NULL WHERE id = %s", (leaver.id,))
    assert world.sign(customer, created.session_id) == "queued"
    assert (sees(world, leaver), sees(world, stayer)) == ([], [created.session_id])


def test_a_request_whose_last_mechanic_was_deleted_opens_to_everybody(world: World) -> None:
    workshop = world.workshop()
    mechanic, other = world.mechanic(workshop), world.mechanic()
    created = world.queued(workshopId=str(workshop))
    world.owner.execute("DELETE FROM mechanics WHERE id = %s", (mechanic.id,))
    assert swept(world) == {"opened_to_all": 1}
    assert sees(world, other) == [created.session_id]
