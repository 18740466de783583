"""The queue position of a customer: place in the queue, mechanics available, an estimated wait."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated
from autodoctor.sessions.accept import decline
from autodoctor.sessions.active import session_detail
from autodoctor.sessions.presence import release
from autodoctor.sessions.queue import fetch_queue
from autodoctor.sessions.queue_position import CustomerQueuePosition, QueuePosition, queue_positions
from bench.database import history
from support.world import Mechanic, World


def waiting(world: World, customer: UUID, created: SessionCreated) -> QueuePosition | None:
    return session_detail(world.app, customer, created.session_id).waiting


def places(world: World) -> dict[UUID, int]:
    """The place of each waiting session."""
    return {place.session_id: place.position for place in queue_positions(world.app)}


def place(world: World, created: SessionCreated) -> int:
    return places(world)[created.session_id]


def available(world: World, created: SessionCreated) -> int:
    return {shown.session_id: shown.mechanics_available for shown in queue_positions(world.app)}[created.session_id]


def listed(world: World, mechanic: Mechanic) -> list[UUID]:
    return [shown.session_id for shown in fetch_queue(world.app, mechanic.user_id, "100").assignments]


# --- the place ------------------------------------------------------------------------------------


def test_the_place_is_the_one_in_the_queue(world: World) -> None:
    mechanic = world.mechanic()
    calm, urgent = [world.queued() for _ in range(3)], [world.urgent() for _ in range(2)]
    assert listed(world, mechanic) == [created.session_id for created in [*urgent, *calm]]
    assert places(world) == {session_id: number for number, session_id in enumerate(listed(world, mechanic), 1)}


def test_who_is_accepted_or_gone_makes_room(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    first, second, third = world.queued(), world.queued(customer), world.queued()
    world.accept(mechanic, first)
    assert (place(world, second), place(world, third)) == (1, 2)
    world.end(customer, second.session_id)
    assert places(world) == {third.session_id: 1}
    world.mechanic()
    release(world.app, mechanic.user_id, first.session_id)
    assert (place(world, first), place(world, third)) == (1, 1), "in the lists of the two mechanics"


def test_a_request_is_not_behind_those_of_a_workshop_while_others_are_on_duty(world: World) -> None:
    workshop = world.workshop()
    world.mechanic(workshop)
    of_workshop = [world.queued(workshopId=workshop) for _ in range(2)]
    general = world.queued()
    assert place(world, general) == 3  # nobody else is on duty
    independent = world.mechanic()
    assert place(world, general) == 1
    assert [place(world, created) for created in of_workshop] == [1, 2]
    world.owner.execute("UPDATE mechanics SET available_until = NULL WHERE id = %s", [independent.id])
    assert place(world, general) == 3


def test_a_workshop_s_request_stands_among_the_general_ones(world: World) -> None:
    workshop, other = world.workshop(), world.workshop()
    for each in (workshop, other):
        world.mechanic(each)
    world.mechanic()
    world.queued()
    world.queued(workshopId=other)
    assert place(world, world.queued(workshopId=workshop)) == 2


def test_an_offer_stands_in_the_list_of_its_mechanic_only(world: World) -> None:
    mechanic, other = world.mechanic(), world.mechanic()
    before = world.queued()
    offered = world.queued(preferredMechanicId=mechanic.id)
    after = world.queued()
    assert (place(world, before), place(world, offered), place(world, after)) == (1, 2, 2)
    assert (available(world, offered), available(world, after)) == (1, 2)
    world.owner.execute("UPDATE mechanics SET available_until = NULL WHERE id = %s", [other.id])
    assert place(world, after) == 3  # for the only one on duty, the offer is first


def test_an_offer_that_lapsed_keeps_its_place_before_the_sweep_and_after(world: World) -> None:
    first = world.queued(preferredMechanicId=world.mechanic().id)
    world.mechanic()
    second = world.queued()
    world.let_time_pass(121)
    before = places(world)
    assert world.one("SELECT expire_lapsed_offers()") == 1
    assert before == places(world) == {first.session_id: 1, second.session_id: 2}


def test_who_declined_is_not_counted(world: World) -> None:
    mechanic, other = world.mechanic(), world.mechanic()
    declined = world.queued(preferredMechanicId=mechanic.id)
    after = world.queued()
    decline(world.app, mechanic.user_id, declined.assignment_id)
    assert (available(world, declined), available(world, after)) == (1, 2)
    assert (place(world, declined), place(world, after)) == (1, 1)  # each is the next of one of them
    world.owner.execute("UPDATE mechanics SET available_until = NULL WHERE id = %s", [mechanic.id])
    assert (place(world, declined), place(world, after)) == (1, 2)
    world.accept(other, after)
    assert (place(world, declined), available(world, declined)) == (1, 0)


def test_a_mechanic_who_asks_does_not_wait_for_themselves(world: World) -> None:
    mechanic = world.mechanic()
    other = world.queued()
    own = world.queued(mechanic.user_id)
    assert (place(world, own), available(world, own)) == (2, 0)
    world.mechanic()
    assert (available(world, own), available(world, other)) == (1, 2)


def test_a_mechanic_who_asks_another_by_name_has_the_list_of_the_others(world: World) -> None:
    asked, asking = world.mechanic(), world.mechanic()
    other = world.queued()
    own = world.queued(asking.user_id, preferredMechanicId=asked.id)
    assert (available(world, own), available(world, other)) == (1, 2)


def test_while_nobody_is_on_duty_the_place_is_that_in_the_queue(world: World) -> None:
    workshop = world.workshop()
    world.mechanic(workshop, available_until=None)
    world.mechanic(available_until=None)
    first, of_workshop, third = world.queued(), world.queued(workshopId=workshop), world.queued()
    assert [place(world, created) for created in (first, of_workshop, third)] == [1, 2, 2]
    assert {shown.mechanics_available for shown in queue_positions(world.app)} == {0}


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ("status = 'suspended'", 0),
        ("available_until = NULL", 0),
        ("available_until = now()", 0),
        ("available_until = now() + interval '1 minute'", 1),
    ],
)
def test_mechanics_available_are_those_who_could_take_it_now(world: World, change: str, count: int) -> None:
    world.mechanic()
    created = world.queued()
    world.owner.execute(f"UPDATE mechanics SET {change}")
    assert available(world, created) == count


def test_a_busy_mechanic_is_not_available(world: World) -> None:
    mechanic = world.mechanic()
    world.mechanic(world.workshop())
    created = world.queued()
    taken = world.waiting(mechanic, customer := new_id())
    assert (available(world, created), place(world, created)) == (1, 1)
    world.end(customer, taken.session_id)
    assert available(world, created) == 2


# --- who has one -----------------------------------------------------------------------------------


def scheduled_due(world: World, customer: UUID, minutes: float) -> SessionCreated:
    """Scheduled, with so many minutes left until its time; not swept."""
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    created = world.queued(customer, scheduledFor=in_an_hour)
    world.let_time_pass(3600 - minutes * 60)
    return created


NOT_WAITING: dict[str, Callable[[World, UUID], SessionCreated]] = {
    "unsigned": lambda world, customer: world.pending(customer),
    "accepted": lambda world, customer: world.waiting(world.mechanic(), customer),
    "live": lambda world, customer: world.live(world.mechanic(), customer),
    "scheduled, before its lead time": lambda world, customer: scheduled_due(world, customer, 16),
}


@pytest.mark.parametrize("state", NOT_WAITING)
def test_a_session_out_of_the_queue_has_none(world: World, state: str) -> None:
    created = NOT_WAITING[state](world, customer := new_id())
    assert waiting(world, customer, created) is None
    assert queue_positions(world.app) == []


def test_an_ended_session_has_none(world: World) -> None:
    created = world.queued(customer := new_id())
    world.end(customer, created.session_id)
    assert waiting(world, customer, created) is None


@pytest.mark.parametrize("swept", [False, True])
def test_a_scheduled_session_waits_from_its_lead_time(world: World, *, swept: bool) -> None:
    created = scheduled_due(world, customer := new_id(), 14)
    if swept:
        assert world.one("SELECT bring_due_sessions()") == 1
    shown = waiting(world, customer, created)
    assert shown is not None
    assert shown.position == 1


def test_the_detail_says_the_same_as_the_broadcast(world: World) -> None:
    world.mechanic()
    customers = [new_id() for _ in range(3)]
    sessions = [(world.urgent if customer == customers[2] else world.queued)(customer) for customer in customers]
    told = {shown.user_id: shown for shown in queue_positions(world.app)}
    for customer, created in zip(customers, sessions, strict=True):
        shown = waiting(world, customer, created)
        assert shown is not None
        assert told[customer] == CustomerQueuePosition(
            **shown.model_dump(), user_id=customer, session_id=created.session_id
        )
    assert [told[customer].position for customer in customers] == [2, 3, 1]


def test_only_those_asked_for_are_looked_up(world: World) -> None:
    customers = [new_id() for _ in range(3)]
    for customer in customers:
        world.queued(customer)
    assert [shown.user_id for shown in queue_positions(world.app, customers[1:2])] == customers[1:2]
    assert {shown.user_id for shown in queue_positions(world.app, customers[::2])} == set(customers[::2])
    assert queue_positions(world.app, [new_id()]) == queue_positions(world.app, []) == []


def test_on_the_wire_it_is_three_numbers(world: World) -> None:
    created = world.queued(customer := new_id())
    shown = json.loads(session_detail(world.app, customer, created.session_id).model_dump_json(by_alias=True))
    assert shown["waiting"] == {"position": 1, "mechanicsAvailable": 0, "estimatedWaitSeconds": None}


# --- the estimate ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "seconds"),
    [
        ((1, 1, 1.0, 1 / 60, 1200.0), 60),  # a queue: the pace decides
        ((20, 0, 1.0, 1 / 60, 1200.0), 1200),
        ((1, 5, 1.0, 1 / 3600, 30.0), 30),  # no queue: the usual wait does
        ((5, 5, 1.0, 1 / 3600, 30.0), 30),
        ((6, 5, 1.0, 1 / 3600, 30.0), 60),
        ((3, 0, 1.0, 1 / 3600, 30.0), 90),
        ((1, 0, 0.5, 1 / 60, 1200.0), 120),  # half of those on duty are shown it
        ((1, 1, 1.0, 1 / 60, 0.2), 1),
        ((1000, 0, 1.0, 1 / 3600, 3600.0), 7200),
    ],
)
def test_the_estimate_is_little_s_law_or_the_usual_wait(
    world: World, of: tuple[int, int, float, float, float], seconds: int
) -> None:
    """Of place, free mechanics, share, accepts a second and usual wait."""
    assert world.one("SELECT estimated_wait(%s, %s, %s::float8, %s::float8, %s::float8, orphan_age())", *of) == seconds


def test_a_later_place_is_never_a_shorter_wait(world: World) -> None:
    shorter = world.one(
        "SELECT count(*) FROM generate_series(1, 200) place, (VALUES (0), (1), (3), (50)) f (free),"
        " (VALUES (0.1), (0.0001)) p (pace), (VALUES (0.3), (20), (900)) u (usual)"
        " WHERE estimated_wait(place, free, 0.7, pace, usual, orphan_age())"
        " > estimated_wait(place + 1, free, 0.7, pace, usual, orphan_age())"
    )
    assert shorter == 0


def accepts(world: World, mechanic: Mechanic, count: int, after_seconds: float = 30, every: float = 60) -> None:
    """So many sessions, one after another, each accepted after it waited so long."""
    for _ in range(count):
        created = world.queued(customer := new_id())
        world.let_time_pass(after_seconds)
        world.accept(mechanic, created)
        world.let_time_pass(every - after_seconds)
        world.end(customer, created.session_id)


def estimates(world: World) -> list[int | None]:
    return [shown.estimated_wait_seconds for shown in queue_positions(world.app)]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_without_a_basis_there_is_no_estimate(world: World, count: int) -> None:
    mechanic = world.mechanic()
    accepts(world, mechanic, count)
    world.queued()
    assert estimates(world) == [None]


def test_with_three_recent_accepts_there_is_an_estimate(world: World) -> None:
    mechanic = world.mechanic()
    accepts(world, mechanic, 3)
    world.queued()
    (estimate,) = estimates(world)
    assert estimate in {30, 31}


def test_what_is_six_hours_old_is_no_basis(world: World) -> None:
    mechanic = world.mechanic()
    accepts(world, mechanic, 3)
    world.let_time_pass(6 * 3600)
    world.queued()
    assert estimates(world) == [None]


def test_one_who_waited_for_an_hour_changes_little(world: World) -> None:
    mechanic = world.mechanic()
    accepts(world, mechanic, 2)
    accepts(world, mechanic, 1, after_seconds=3600, every=3660)
    accepts(world, mechanic, 2)
    world.queued()
    (estimate,) = estimates(world)
    assert estimate in {30, 31}


def test_the_later_in_the_queue_the_longer(world: World) -> None:
    mechanic = world.mechanic()
    accepts(world, mechanic, 5)
    for _ in range(5):
        world.queued()
    said = [estimate or 0 for estimate in estimates(world)]
    assert said == sorted(said)
    assert said[0] < said[-1]


# --- what it costs --------------------------------------------------------------------------------


def buffers(world: World, query: str) -> int:
    """Pages touched by the whole statement, functions included, with plans made before."""
    plans = [world.owner.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {query}").fetchall() for _ in range(2)]
    hits = re.search(r"Buffers: shared (.*)", "\n".join(row["QUERY PLAN"] for row in plans[-1]))
    assert hits is not None
    return sum(int(number) for number in re.findall(r"(?:hit|read)=(\d+)", hits[1]))


def test_the_cost_does_not_grow_with_history(world: World) -> None:
    """A page for another level of an index is all that 2,000 and 60,000 ended sessions may differ by."""
    for _ in range(20):
        world.mechanic()
    accepts(world, world.mechanic(), 5)
    customers = [new_id() for _ in range(20)]
    for customer in customers:
        world.queued(customer)
    measured = []
    with psycopg.connect(world.urls.superuser_url, autocommit=True) as superuser:
        for first, last in ((0, 2_000), (2_000, 30_000)):
            history.load(superuser, first, last, lambda _done: None)
            superuser.execute("VACUUM ANALYZE")
            world.close()  # plans that were made for another size of table
            one = f"SELECT * FROM queue_positions(ARRAY['{customers[0]}'::uuid])"
            measured.append((buffers(world, "SELECT * FROM queue_positions()"), buffers(world, one)))
    (all_before, one_before), (all_after, one_after) = measured
    assert all_after <= all_before * 1.1
    assert one_after <= one_before * 1.1
    assert all_after < 20 * 20


def test_who_does_not_wait_pays_nothing(world: World) -> None:
    """The function is not even entered."""
    created = world.waiting(world.mechanic(), customer := new_id())
    with psycopg.connect(world.urls.superuser_url, autocommit=True) as superuser:
        superuser.execute(
            "DROP FUNCTION queue_positions(uuid[]);"
            "CREATE FUNCTION queue_positions(user_ids uuid[]) RETURNS TABLE (user_id uuid, session_id uuid,"
            " place integer, mechanics_available integer, estimated_wait_seconds integer) LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'entered'; END $$"
        )
    assert waiting(world, customer, created) is None
