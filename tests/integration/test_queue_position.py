"""What a waiting customer is told: place in the queue, mechanics available, an estimated wait."""

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
from bench import history
from integration.actors import Mechanic, Stage


def waiting(stage: Stage, customer: UUID, created: SessionCreated) -> QueuePosition | None:
    return session_detail(stage.app, customer, created.session_id).waiting


def places(stage: Stage) -> dict[UUID, int]:
    """The place of each waiting session."""
    return {place.session_id: place.position for place in queue_positions(stage.app)}


def place(stage: Stage, created: SessionCreated) -> int:
    return places(stage)[created.session_id]


def available(stage: Stage, created: SessionCreated) -> int:
    return {shown.session_id: shown.mechanics_available for shown in queue_positions(stage.app)}[created.session_id]


def listed(stage: Stage, mechanic: Mechanic) -> list[UUID]:
    return [shown.session_id for shown in fetch_queue(stage.app, mechanic.user_id, "100").assignments]


# --- the place ------------------------------------------------------------------------------------


def test_the_place_is_the_one_in_the_queue(stage: Stage) -> None:
    mechanic = stage.mechanic()
    calm, urgent = [stage.queued() for _ in range(3)], [stage.queued(urgent=True) for _ in range(2)]
    assert listed(stage, mechanic) == [created.session_id for created in [*urgent, *calm]]
    assert places(stage) == {session_id: number for number, session_id in enumerate(listed(stage, mechanic), 1)}


def test_who_is_accepted_or_gone_makes_room(stage: Stage) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    first, second, third = stage.queued(), stage.queued(customer), stage.queued()
    stage.accept(mechanic, first)
    assert (place(stage, second), place(stage, third)) == (1, 2)
    stage.end(customer, second.session_id)
    assert places(stage) == {third.session_id: 1}
    release(stage.app, mechanic.user_id, first.session_id)
    assert (place(stage, first), place(stage, third)) == (1, 2)


def test_a_request_is_not_behind_those_of_a_workshop_while_others_are_on_duty(stage: Stage) -> None:
    workshop = stage.workshop()
    stage.mechanic(workshop)
    of_workshop = [stage.queued(workshopId=workshop) for _ in range(2)]
    general = stage.queued()
    assert place(stage, general) == 3  # nobody else is on duty
    independent = stage.mechanic()
    assert place(stage, general) == 1
    assert [place(stage, created) for created in of_workshop] == [1, 2]
    stage.owner.execute("UPDATE mechanics SET available_until = NULL WHERE id = %s", [independent.id])
    assert place(stage, general) == 3


def test_a_workshop_s_request_stands_among_the_general_ones(stage: Stage) -> None:
    workshop, other = stage.workshop(), stage.workshop()
    for each in (workshop, other):
        stage.mechanic(each)
    stage.mechanic()
    stage.queued()
    stage.queued(workshopId=other)
    assert place(stage, stage.queued(workshopId=workshop)) == 2


def test_an_offer_stands_in_the_list_of_its_mechanic_only(stage: Stage) -> None:
    mechanic, other = stage.mechanic(), stage.mechanic()
    before = stage.queued()
    offered = stage.queued(preferredMechanicId=mechanic.id)
    after = stage.queued()
    assert (place(stage, before), place(stage, offered), place(stage, after)) == (1, 2, 2)
    assert (available(stage, offered), available(stage, after)) == (1, 2)
    stage.owner.execute("UPDATE mechanics SET available_until = NULL WHERE id = %s", [other.id])
    assert place(stage, after) == 3  # for the only one on duty, the offer is first


def test_an_offer_that_lapsed_keeps_its_place_before_the_sweep_and_after(stage: Stage) -> None:
    first = stage.queued(preferredMechanicId=stage.mechanic().id)
    stage.mechanic()
    second = stage.queued()
    stage.let_time_pass(121)
    before = places(stage)
    assert stage.one("SELECT expire_lapsed_offers()") == 1
    assert before == places(stage) == {first.session_id: 1, second.session_id: 2}


def test_who_declined_is_not_counted(stage: Stage) -> None:
    mechanic, other = stage.mechanic(), stage.mechanic()
    declined = stage.queued(preferredMechanicId=mechanic.id)
    after = stage.queued()
    decline(stage.app, mechanic.user_id, declined.assignment_id)
    assert (available(stage, declined), available(stage, after)) == (1, 2)
    assert (place(stage, declined), place(stage, after)) == (1, 1)  # each is the next of one of them
    stage.owner.execute("UPDATE mechanics SET available_until = NULL WHERE id = %s", [mechanic.id])
    assert (place(stage, declined), place(stage, after)) == (1, 2)
    stage.accept(other, after)
    assert (place(stage, declined), available(stage, declined)) == (1, 0)


def test_a_mechanic_who_asks_does_not_wait_for_themselves(stage: Stage) -> None:
    mechanic = stage.mechanic()
    other = stage.queued()
    own = stage.queued(mechanic.user_id)
    assert (place(stage, own), available(stage, own)) == (2, 0)
    stage.mechanic()
    assert (available(stage, own), available(stage, other)) == (1, 2)


def test_while_nobody_is_on_duty_the_place_is_that_in_the_queue(stage: Stage) -> None:
    workshop = stage.workshop()
    stage.mechanic(workshop, available_until=None)
    stage.mechanic(available_until=None)
    first, of_workshop, third = stage.queued(), stage.queued(workshopId=workshop), stage.queued()
    assert [place(stage, created) for created in (first, of_workshop, third)] == [1, 2, 2]
    assert {shown.mechanics_available for shown in queue_positions(stage.app)} == {0}


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ("status = 'suspended'", 0),
        ("available_until = NULL", 0),
        ("available_until = now()", 0),
        ("available_until = now() + interval '1 minute'", 1),
    ],
)
def test_mechanics_available_are_those_who_could_take_it_now(stage: Stage, change: str, count: int) -> None:
    stage.mechanic()
    created = stage.queued()
    stage.owner.execute(f"UPDATE mechanics SET {change}")
    assert available(stage, created) == count


def test_a_busy_mechanic_is_not_available(stage: Stage) -> None:
    mechanic = stage.mechanic()
    stage.mechanic(stage.workshop())
    created = stage.queued()
    taken = stage.waiting(mechanic, customer := new_id())
    assert (available(stage, created), place(stage, created)) == (1, 1)
    stage.end(customer, taken.session_id)
    assert available(stage, created) == 2


# --- who is told ----------------------------------------------------------------------------------


def scheduled_due(stage: Stage, customer: UUID, minutes: float) -> SessionCreated:
    """Scheduled, with so many minutes left until its time; not swept."""
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    created = stage.queued(customer, scheduledFor=in_an_hour)
    stage.let_time_pass(3600 - minutes * 60)
    return created


NOT_WAITING: dict[str, Callable[[Stage, UUID], SessionCreated]] = {
    "unsigned": lambda stage, customer: stage.pending(customer),
    "accepted": lambda stage, customer: stage.waiting(stage.mechanic(), customer),
    "live": lambda stage, customer: stage.live(stage.mechanic(), customer),
    "scheduled, before its lead time": lambda stage, customer: scheduled_due(stage, customer, 16),
}


@pytest.mark.parametrize("state", NOT_WAITING)
def test_who_does_not_wait_is_told_nothing(stage: Stage, state: str) -> None:
    created = NOT_WAITING[state](stage, customer := new_id())
    assert waiting(stage, customer, created) is None
    assert queue_positions(stage.app) == []


def test_who_has_ended_is_told_nothing(stage: Stage) -> None:
    created = stage.queued(customer := new_id())
    stage.end(customer, created.session_id)
    assert waiting(stage, customer, created) is None


@pytest.mark.parametrize("swept", [False, True])
def test_a_scheduled_session_waits_from_its_lead_time(stage: Stage, *, swept: bool) -> None:
    created = scheduled_due(stage, customer := new_id(), 14)
    if swept:
        assert stage.one("SELECT bring_due_sessions()") == 1
    shown = waiting(stage, customer, created)
    assert shown is not None
    assert shown.position == 1


def test_the_detail_says_the_same_as_the_broadcast(stage: Stage) -> None:
    stage.mechanic()
    customers = [new_id() for _ in range(3)]
    sessions = [stage.queued(customer, urgent=customer == customers[2]) for customer in customers]
    told = {shown.user_id: shown for shown in queue_positions(stage.app)}
    for customer, created in zip(customers, sessions, strict=True):
        shown = waiting(stage, customer, created)
        assert shown is not None
        assert told[customer] == CustomerQueuePosition(
            **shown.model_dump(), user_id=customer, session_id=created.session_id
        )
    assert [told[customer].position for customer in customers] == [2, 3, 1]


def test_only_those_asked_for_are_looked_up(stage: Stage) -> None:
    customers = [new_id() for _ in range(3)]
    for customer in customers:
        stage.queued(customer)
    assert [shown.user_id for shown in queue_positions(stage.app, customers[1:2])] == customers[1:2]
    assert {shown.user_id for shown in queue_positions(stage.app, customers[::2])} == set(customers[::2])
    assert queue_positions(stage.app, [new_id()]) == queue_positions(stage.app, []) == []


def test_on_the_wire_it_is_three_numbers(stage: Stage) -> None:
    created = stage.queued(customer := new_id())
    shown = json.loads(session_detail(stage.app, customer, created.session_id).model_dump_json(by_alias=True))
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
    stage: Stage, of: tuple[int, int, float, float, float], seconds: int
) -> None:
    """Of place, free mechanics, share, accepts a second and usual wait."""
    assert stage.one("SELECT estimated_wait(%s, %s, %s::float8, %s::float8, %s::float8)", *of) == seconds


def test_a_later_place_is_never_a_shorter_wait(stage: Stage) -> None:
    shorter = stage.one(
        "SELECT count(*) FROM generate_series(1, 200) place, (VALUES (0), (1), (3), (50)) f (free),"
        " (VALUES (0.1), (0.0001)) p (pace), (VALUES (0.3), (20), (900)) u (usual)"
        " WHERE estimated_wait(place, free, 0.7, pace, usual) > estimated_wait(place + 1, free, 0.7, pace, usual)"
    )
    assert shorter == 0


def accepts(stage: Stage, mechanic: Mechanic, count: int, after_seconds: float = 30, every: float = 60) -> None:
    """So many sessions, one after another, each accepted after it waited so long."""
    for _ in range(count):
        created = stage.queued(customer := new_id())
        stage.let_time_pass(after_seconds)
        stage.accept(mechanic, created)
        stage.let_time_pass(every - after_seconds)
        stage.end(customer, created.session_id)


def estimates(stage: Stage) -> list[int | None]:
    return [shown.estimated_wait_seconds for shown in queue_positions(stage.app)]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_without_a_basis_there_is_no_estimate(stage: Stage, count: int) -> None:
    mechanic = stage.mechanic()
    accepts(stage, mechanic, count)
    stage.queued()
    assert estimates(stage) == [None]


def test_with_three_recent_accepts_there_is_an_estimate(stage: Stage) -> None:
    mechanic = stage.mechanic()
    accepts(stage, mechanic, 3)
    stage.queued()
    (estimate,) = estimates(stage)
    assert estimate in {30, 31}


def test_what_is_six_hours_old_is_no_basis(stage: Stage) -> None:
    mechanic = stage.mechanic()
    accepts(stage, mechanic, 3)
    stage.let_time_pass(6 * 3600)
    stage.queued()
    assert estimates(stage) == [None]


def test_one_who_waited_for_an_hour_changes_little(stage: Stage) -> None:
    mechanic = stage.mechanic()
    accepts(stage, mechanic, 2)
    accepts(stage, mechanic, 1, after_seconds=3600, every=3660)
    accepts(stage, mechanic, 2)
    stage.queued()
    (estimate,) = estimates(stage)
    assert estimate in {30, 31}


def test_the_later_in_the_queue_the_longer(stage: Stage) -> None:
    mechanic = stage.mechanic()
    accepts(stage, mechanic, 5)
    for _ in range(5):
        stage.queued()
    said = [estimate or 0 for estimate in estimates(stage)]
    assert said == sorted(said)
    assert said[0] < said[-1]


# --- what it costs --------------------------------------------------------------------------------


def buffers(stage: Stage, query: str) -> int:
    """Pages touched by the whole statement, functions included, with plans made before."""
    plans = [stage.owner.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {query}").fetchall() for _ in range(2)]
    hits = re.search(r"Buffers: shared (.*)", "\n".join(row["QUERY PLAN"] for row in plans[-1]))
    assert hits is not None
    return sum(int(number) for number in re.findall(r"(?:hit|read)=(\d+)", hits[1]))


def test_the_cost_does_not_grow_with_history(stage: Stage) -> None:
    """A page for another level of an index is all that 2,000 and 60,000 ended sessions may differ by."""
    for _ in range(20):
        stage.mechanic()
    accepts(stage, stage.mechanic(), 5)
    customers = [new_id() for _ in range(20)]
    for customer in customers:
        stage.queued(customer)
    measured = []
    with psycopg.connect(stage.urls.superuser_url, autocommit=True) as superuser:
        for first, last in ((0, 2_000), (2_000, 30_000)):
            history.load(superuser, first, last, lambda _done: None)
            superuser.execute("VACUUM ANALYZE")
            stage.close()  # plans that were made for another size of table
            one = f"SELECT * FROM waiting_places(ARRAY['{customers[0]}'::uuid])"
            measured.append((buffers(stage, "SELECT * FROM waiting_places()"), buffers(stage, one)))
    (all_before, one_before), (all_after, one_after) = measured
    assert all_after <= all_before * 1.1
    assert one_after <= one_before * 1.1
    assert all_after < 20 * 20


def test_who_does_not_wait_pays_nothing(stage: Stage) -> None:
    """The function is not even entered."""
    created = stage.waiting(stage.mechanic(), customer := new_id())
    with psycopg.connect(stage.urls.superuser_url, autocommit=True) as superuser:
        superuser.execute(
            "DROP FUNCTION waiting_places(uuid[]);"
            "CREATE FUNCTION waiting_places(user_ids uuid[]) RETURNS TABLE (user_id uuid, session_id uuid,"
            " place integer, mechanics_available integer, estimated_wait_seconds integer) LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'entered'; END $$"
        )
    assert waiting(stage, customer, created) is None
