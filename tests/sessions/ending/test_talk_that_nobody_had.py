"""What paid a mechanic once without a talk, and what flooded the evidence: each was run against an earlier release."""

from uuid import UUID

import pytest

from autodoctor.events.feed.connections import drop
from autodoctor.ids import new_id
from autodoctor.payments.settlement import settle
from autodoctor.sessions.active import session_detail
from autodoctor.sessions.expiry import sweep
from autodoctor.sessions.presence import join, leave
from support.money.purchases import buy, give
from support.world import Mechanic, World


@pytest.fixture
def customer(world: World) -> UUID:
    give(world, customer := new_id(), 10)
    return customer


@pytest.fixture
def session_id(world: World, mechanic: Mechanic, customer: UUID) -> UUID:
    """A session that is paid with credits and accepted."""
    created = buy(world, customer, "standard")
    world.accept(mechanic, created)
    return created.session_id


def test_two_joins_alone_pay_nobody(world: World, customer: UUID, mechanic: Mechanic, session_id: UUID) -> None:
    for user in (customer, mechanic.user_id):
        join(world.app, user, session_id)
    world.let_time_pass(68)
    ended = world.end(mechanic.user_id, session_id)
    assert (ended.status, ended.reason, ended.duration_seconds) == ("cancelled", "no_talk", 0)
    assert settle(world.app, session_id)
    assert world.one("SELECT outcome FROM settlements") == "return"
    assert world.one("SELECT count(*) FROM payouts") == 0


def test_the_same_two_joins_complete_it_under_claimed(world: World, mechanic: Mechanic, customer: UUID) -> None:
    world.owner.execute("INSERT INTO settings (key, value) VALUES ('evidence', 'claimed')")
    created = buy(world, customer, "standard")
    world.owner.execute("UPDATE settings SET value = 'witnessed' WHERE key = 'evidence'")  # as it was at intake
    world.accept(mechanic, created)
    for user in (customer, mechanic.user_id):
        join(world.app, user, created.session_id)
    world.let_time_pass(68)
    assert world.end(customer, created.session_id).reason == "billable"


def test_a_minute_apart_between_two_glances_is_no_minute_together(
    world: World, customer: UUID, mechanic: Mechanic, session_id: UUID
) -> None:
    _, socket = world.meet(session_id, customer, mechanic)
    drop(world.app, [socket])
    world.let_time_pass(62)
    world.come(mechanic.user_id, session_id)
    ended = world.end(mechanic.user_id, session_id)
    assert (ended.reason, ended.duration_seconds) == ("too_short", 0)


def test_a_leave_of_one_device_does_not_end_the_talk(
    world: World, customer: UUID, mechanic: Mechanic, session_id: UUID
) -> None:
    phone, _ = world.meet(session_id, customer, mechanic)
    world.come(customer, session_id)
    leave(world.app, customer, session_id, phone)
    world.let_time_pass(66)
    assert world.end(customer, session_id).reason == "billable"


def test_a_flood_of_evidence_hurts_nobody(world: World, customer: UUID, mechanic: Mechanic, session_id: UUID) -> None:
    """As much as two parties can write: the detail stays small, the sweep and the verdict work."""
    world.meet(session_id, customer, mechanic)
    world.owner.execute(
        "INSERT INTO session_presence (session_id, role, mechanic_id, source, witness, since, recorded_at, until,"
        " closed_at) SELECT %(session)s, role, CASE role WHEN 'mechanic' THEN %(mechanic)s::uuid END, 'room',"
        " role || n, at, at, at + interval '1 ms', at + interval '1 ms'"
        " FROM unnest('{customer,mechanic}'::text[]) AS role, generate_series(1, 999) AS n,"
        " LATERAL (SELECT clock_timestamp() AS at) AS now",
        {"session": session_id, "mechanic": mechanic.id},
    )
    detail = session_detail(world.app, customer, session_id)
    assert (len(detail.evidence.intervals), len(detail.model_dump_json()) < 50_000) == (100, True)
    world.let_time_pass(200 * 60)
    assert sweep(world.app, lambda: 60.0).ended == 1
    assert world.status(session_id) == "completed"


def test_a_mechanic_who_came_once_does_not_keep_the_customer_waiting(
    world: World, mechanic: Mechanic, session_id: UUID
) -> None:
    drop(world.app, [world.come(mechanic.user_id, session_id)])
    world.let_time_pass(601)
    assert sweep(world.app, lambda: 60.0).released == 1
    assert world.status(session_id) == "pending"
