"""The minutes of a talk: both see when they are over, the room says so, and after a grace the sweep ends it."""

from datetime import timedelta
from uuid import UUID

from autodoctor.room.messages import listed
from autodoctor.sessions.active import session_detail
from autodoctor.sessions.minutes import SessionMinutes
from support.sessions.evidence import last_event
from support.sessions.sweeping import swept_all
from support.world import Mechanic, World

FIVE = 5 * 60
"""The seeded free plan has five minutes."""


def nothing(included: int | None = None) -> SessionMinutes:
    return SessionMinutes(included=included, extended=0, ends_at=None, grace_ends_at=None, packs=[], extensions=[])


def minutes(world: World, user: UUID, session_id: UUID) -> SessionMinutes:
    return session_detail(world.app, user, session_id).minutes


def said(world: World, session_id: UUID) -> list[str]:
    """What the system said of the minutes that are left."""
    rows = world.owner.execute(
        "SELECT note FROM session_messages WHERE session_id = %s AND note LIKE 'minutes%%' ORDER BY seq", [session_id]
    ).fetchall()
    return [row["note"] for row in rows]


def swept(world: World) -> tuple[int, int]:
    """How many rooms were told, and how many sessions ended."""
    counts = swept_all(world.app)
    return counts.last_minutes, counts.ended


def test_the_minutes_count_from_when_both_were_there(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.waiting(mechanic, customer).session_id
    assert minutes(world, customer, session_id) == nothing(5)
    world.come(customer, session_id)
    world.let_time_pass(120)
    world.come(mechanic.user_id, session_id)
    started = session_detail(world.app, customer, session_id).started_at
    assert started is not None
    ends = started + timedelta(minutes=5)
    expected = nothing(5).model_copy(update={"ends_at": ends, "grace_ends_at": ends + timedelta(seconds=60)})
    assert minutes(world, customer, session_id) == minutes(world, mechanic.user_id, session_id) == expected


def test_after_the_grace_it_is_ended_by_the_verdict(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(FIVE + 55)
    assert (swept(world), world.status(session_id)) == ((0, 0), "live")
    world.let_time_pass(6)
    assert swept(world) == (0, 1)
    ended = world.end(customer, session_id)
    assert (ended.status, ended.ended_by, ended.already_ended) == ("completed", "system", True)
    assert last_event(world, session_id)["actor"] == "system:expire-orphans"


def test_nobody_talked_is_nobody_talked_also_then(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.waiting(mechanic, customer).session_id
    for user in (customer, mechanic.user_id):
        world.owner.execute("SELECT record_join(%s, %s, %s)", [session_id, user, world.socket(user)])
    world.let_time_pass(FIVE + 61)
    assert swept(world) == (0, 1)
    assert (world.status(session_id), world.end(customer, session_id).reason) == ("cancelled", "no_talk")


def test_the_room_is_told_at_five_minutes_and_at_one_once_each(
    world: World, mechanic: Mechanic, customer: UUID
) -> None:
    world.owner.execute("UPDATE plans SET included_minutes = 30 WHERE code = 'free'")
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(24 * 60)
    assert (swept(world), said(world, session_id)) == ((0, 0), [])
    world.let_time_pass(61)
    assert (swept(world), swept(world)) == ((1, 0), (0, 0))
    world.let_time_pass(4 * 60)
    assert (swept(world), swept(world)) == ((1, 0), (0, 0))
    assert said(world, session_id) == ["minutes_5", "minutes_1"]
    assert "Less than a minute is left" in (listed(world.app, customer, session_id, {}).messages[-1].text or "")


def test_who_has_five_minutes_in_all_is_told_at_one_only(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(60)
    assert swept(world) == (0, 0)
    world.let_time_pass(185)
    assert (swept(world), said(world, session_id)) == ((1, 0), ["minutes_1"])


def test_the_minutes_are_those_of_the_plan_at_intake(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.live(mechanic, customer).session_id
    world.owner.execute("UPDATE plans SET included_minutes = 1 WHERE code = 'free'")
    assert minutes(world, customer, session_id).included == 5


def test_a_session_from_before_is_ended_at_its_maximum_only(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.live(mechanic, customer).session_id
    world.owner.execute("UPDATE intakes SET included_minutes = NULL")
    world.let_time_pass(60 * 60)
    assert swept(world) == (0, 0)
    assert minutes(world, customer, session_id) == nothing()


def test_the_grace_never_goes_past_the_longest_duration(world: World, mechanic: Mechanic, customer: UUID) -> None:
    world.owner.execute("UPDATE plans SET max_minutes = 5 WHERE code = 'free'")
    shown = minutes(world, customer, world.live(mechanic, customer).session_id)
    assert shown.ends_at == shown.grace_ends_at
