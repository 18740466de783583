"""When capacity is freed, no mechanic sees anybody of equal urgency listed behind a later arrival."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import Phase

from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated
from autodoctor.sessions.accept import decline
from autodoctor.sessions.expiry import sweep
from autodoctor.sessions.presence import release
from autodoctor.sessions.queue_position import queue_positions
from support.concurrency.queue_machine import explore, listed
from support.world import Mechanic, World

# --- each way, by name ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """One mechanic of each kind; `asked` and `employed` work for the workshop."""

    world: World
    urgent: bool
    workshop: UUID
    asked: Mechanic
    employed: Mechanic
    independent: Mechanic
    elsewhere: Mechanic

    def queued(self, customer: UUID | None = None, **fields: object) -> SessionCreated:
        return self.world.queued(customer, **{"urgent": self.urgent, **fields})

    def suspend(self, *mechanics: Mechanic) -> None:
        for mechanic in mechanics:
            self.world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [mechanic.id])

    def sweep(self) -> None:
        sweep(self.world.app, lambda: 60.0)


@pytest.fixture(params=[False, True], ids=["calm", "urgent"])
def scenario(world: World, request: pytest.FixtureRequest) -> Scenario:
    workshop = world.workshop()
    return Scenario(
        world,
        request.param,
        workshop,
        asked=world.mechanic(workshop),
        employed=world.mechanic(workshop),
        independent=world.mechanic(),
        elsewhere=world.mechanic(world.workshop()),
    )


def decline_of_an_offer(scenario: Scenario) -> Iterator[SessionCreated]:
    early = scenario.queued(preferredMechanicId=scenario.asked.id)
    yield early
    decline(scenario.world.app, scenario.asked.user_id, early.assignment_id)


def decline_within_the_workshop(scenario: Scenario) -> Iterator[SessionCreated]:
    early = scenario.queued(preferredMechanicId=scenario.asked.id, workshopId=scenario.workshop)
    yield early
    decline(scenario.world.app, scenario.asked.user_id, early.assignment_id)


def lapse_of_an_offer(scenario: Scenario) -> Iterator[SessionCreated]:
    yield scenario.queued(preferredMechanicId=scenario.asked.id)
    scenario.world.let_time_pass(121)
    scenario.sweep()


def suspension_of_who_was_asked(scenario: Scenario) -> Iterator[SessionCreated]:
    yield scenario.queued(preferredMechanicId=scenario.asked.id)
    scenario.suspend(scenario.asked)


def release_by_the_mechanic(scenario: Scenario) -> Iterator[SessionCreated]:
    early = scenario.queued()
    scenario.world.accept(scenario.independent, early)
    yield early
    release(scenario.world.app, scenario.independent.user_id, early.session_id)


def mechanic_who_never_came(scenario: Scenario) -> Iterator[SessionCreated]:
    early = scenario.queued()
    scenario.world.accept(scenario.independent, early)
    yield early
    scenario.world.let_time_pass(601)
    scenario.sweep()


def end_of_another_session(scenario: Scenario) -> Iterator[SessionCreated]:
    busy = scenario.world.live(scenario.independent, customer := new_id())
    yield scenario.queued()
    scenario.world.end(customer, busy.session_id)


def scheduled_session_come_due(scenario: Scenario) -> Iterator[SessionCreated]:
    early = scenario.queued(scheduledFor=datetime.now(UTC) + timedelta(minutes=20))
    scenario.world.let_time_pass(301)  # its lead time began a second before the later one arrives
    yield early
    scenario.sweep()


def workshop_without_mechanics(scenario: Scenario) -> Iterator[SessionCreated]:
    yield scenario.queued(workshopId=scenario.workshop)
    scenario.suspend(scenario.asked, scenario.employed)


def mechanics_who_leave_their_workshop(scenario: Scenario) -> Iterator[SessionCreated]:
    yield scenario.queued(workshopId=scenario.workshop)
    scenario.world.owner.execute("UPDATE mechanics SET workshop_id = NULL WHERE workshop_id = %s", [scenario.workshop])


def wish_for_who_is_not_there(scenario: Scenario) -> Iterator[SessionCreated]:
    scenario.world.owner.execute("UPDATE mechanics SET available_until = NULL WHERE id = %s", [scenario.asked.id])
    yield scenario.queued(preferredMechanicId=scenario.asked.id)


def lease_that_lapses_with_the_offer(scenario: Scenario) -> Iterator[SessionCreated]:
    scenario.world.owner.execute(
        "UPDATE mechanics SET available_until = now() + interval '1 minute' WHERE id = %s", [scenario.asked.id]
    )
    yield from lapse_of_an_offer(scenario)


WAYS: list[Callable[[Scenario], Iterator[SessionCreated]]] = [
    decline_of_an_offer,
    decline_within_the_workshop,
    lapse_of_an_offer,
    suspension_of_who_was_asked,
    release_by_the_mechanic,
    mechanic_who_never_came,
    end_of_another_session,
    scheduled_session_come_due,
    workshop_without_mechanics,
    mechanics_who_leave_their_workshop,
    wish_for_who_is_not_there,
    lease_that_lapses_with_the_offer,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_longest_waiting_is_seen_first(
    scenario: Scenario, way: Callable[[Scenario], Iterator[SessionCreated]]
) -> None:
    steps = way(scenario)
    early = next(steps)
    later = scenario.queued()
    assert next(steps, None) is None
    seen_by_both = 0
    for mechanic in (scenario.independent, scenario.employed, scenario.elsewhere, scenario.asked):
        if scenario.world.one("SELECT status FROM mechanics WHERE id = %s", mechanic.id) == "active":
            seen = [one for one in listed(scenario.world, mechanic) if one in {early.session_id, later.session_id}]
            assert seen in ([early.session_id, later.session_id], [later.session_id])
            seen_by_both += len(seen) == 2
    assert seen_by_both > 0
    place = {shown.session_id: shown.position for shown in queue_positions(scenario.world.app)}
    assert place[early.session_id] == 1


def test_only_who_is_urgent_overtakes(world: World) -> None:
    mechanic, asked = world.mechanic(), world.mechanic()
    early = world.queued(preferredMechanicId=asked.id)
    later, urgent = world.queued(), world.urgent()
    decline(world.app, asked.user_id, early.assignment_id)
    assert listed(world, mechanic) == [urgent.session_id, early.session_id, later.session_id]


# --- whatever happens, in any order ---------------------------------------------------------------


def test_whatever_happens_nobody_is_listed_behind_a_later_arrival(world: World) -> None:
    explore(world, examples=20, steps=40)


@pytest.mark.parametrize(
    "forgetting",
    [
        "NEW.queued_at := CASE WHEN NEW.attempt > 1 THEN clock_timestamp() ELSE NEW.queued_at END",
        "NEW.queued_at := CASE WHEN NEW.status = 'queued' THEN now() - random() * interval '1 hour' END",
    ],
)
def test_a_queue_that_forgot_who_came_first_would_be_noticed(world: World, forgetting: str) -> None:
    world.owner.execute(
        f"CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {forgetting}; RETURN NEW; END $$"
    )
    world.owner.execute(
        "CREATE TRIGGER zz_forget BEFORE INSERT ON session_assignments FOR EACH ROW"
        " WHEN (NEW.status = 'queued') EXECUTE FUNCTION forget()"
    )
    with pytest.raises(AssertionError):
        explore(world, 60, 40, Phase.generate)
