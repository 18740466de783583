"""Whatever frees capacity, nobody of equal urgency is listed behind a later arrival, for any mechanic who sees both."""

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
from integration.actors import Mechanic, Stage
from integration.market import explore, listed

# --- each way, by name ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """One mechanic of each kind; `asked` and `employed` work for the workshop."""

    stage: Stage
    urgent: bool
    workshop: UUID
    asked: Mechanic
    employed: Mechanic
    independent: Mechanic
    elsewhere: Mechanic

    def queued(self, customer: UUID | None = None, **fields: object) -> SessionCreated:
        return self.stage.queued(customer, **{"urgent": self.urgent, **fields})

    def suspend(self, *mechanics: Mechanic) -> None:
        for mechanic in mechanics:
            self.stage.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [mechanic.id])

    def sweep(self) -> None:
        sweep(self.stage.app, lambda: 60.0)


@pytest.fixture(params=[False, True], ids=["calm", "urgent"])
def scene(stage: Stage, request: pytest.FixtureRequest) -> Scene:
    workshop = stage.workshop()
    return Scene(
        stage,
        request.param,
        workshop,
        asked=stage.mechanic(workshop),
        employed=stage.mechanic(workshop),
        independent=stage.mechanic(),
        elsewhere=stage.mechanic(stage.workshop()),
    )


def decline_of_an_offer(scene: Scene) -> Iterator[SessionCreated]:
    early = scene.queued(preferredMechanicId=scene.asked.id)
    yield early
    decline(scene.stage.app, scene.asked.user_id, early.assignment_id)


def decline_within_the_workshop(scene: Scene) -> Iterator[SessionCreated]:
    early = scene.queued(preferredMechanicId=scene.asked.id, workshopId=scene.workshop)
    yield early
    decline(scene.stage.app, scene.asked.user_id, early.assignment_id)


def lapse_of_an_offer(scene: Scene) -> Iterator[SessionCreated]:
    yield scene.queued(preferredMechanicId=scene.asked.id)
    scene.stage.let_time_pass(121)
    scene.sweep()


def suspension_of_who_was_asked(scene: Scene) -> Iterator[SessionCreated]:
    yield scene.queued(preferredMechanicId=scene.asked.id)
    scene.suspend(scene.asked)


def release_by_the_mechanic(scene: Scene) -> Iterator[SessionCreated]:
    early = scene.queued()
    scene.stage.accept(scene.independent, early)
    yield early
    release(scene.stage.app, scene.independent.user_id, early.session_id)


def mechanic_who_never_came(scene: Scene) -> Iterator[SessionCreated]:
    early = scene.queued()
    scene.stage.accept(scene.independent, early)
    yield early
    scene.stage.let_time_pass(601)
    scene.sweep()


def end_of_another_session(scene: Scene) -> Iterator[SessionCreated]:
    busy = scene.stage.live(scene.independent, customer := new_id())
    yield scene.queued()
    scene.stage.end(customer, busy.session_id)


def scheduled_session_come_due(scene: Scene) -> Iterator[SessionCreated]:
    early = scene.queued(scheduledFor=datetime.now(UTC) + timedelta(minutes=20))
    scene.stage.let_time_pass(301)  # its lead time began a second before the later one arrives
    yield early
    scene.sweep()


def workshop_without_mechanics(scene: Scene) -> Iterator[SessionCreated]:
    yield scene.queued(workshopId=scene.workshop)
    scene.suspend(scene.asked, scene.employed)


def mechanics_who_leave_their_workshop(scene: Scene) -> Iterator[SessionCreated]:
    yield scene.queued(workshopId=scene.workshop)
    scene.stage.owner.execute("UPDATE mechanics SET workshop_id = NULL WHERE workshop_id = %s", [scene.workshop])


def wish_for_who_is_not_there(scene: Scene) -> Iterator[SessionCreated]:
    scene.stage.owner.execute("UPDATE mechanics SET available_until = NULL WHERE id = %s", [scene.asked.id])
    yield scene.queued(preferredMechanicId=scene.asked.id)


def lease_that_lapses_with_the_offer(scene: Scene) -> Iterator[SessionCreated]:
    scene.stage.owner.execute(
        "UPDATE mechanics SET available_until = now() + interval '1 minute' WHERE id = %s", [scene.asked.id]
    )
    yield from lapse_of_an_offer(scene)


WAYS: list[Callable[[Scene], Iterator[SessionCreated]]] = [
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
def test_the_longest_waiting_is_seen_first(scene: Scene, way: Callable[[Scene], Iterator[SessionCreated]]) -> None:
    steps = way(scene)
    early = next(steps)
    later = scene.queued()
    assert next(steps, None) is None
    seen_by_both = 0
    for mechanic in (scene.independent, scene.employed, scene.elsewhere, scene.asked):
        if scene.stage.one("SELECT status FROM mechanics WHERE id = %s", mechanic.id) == "active":
            seen = [one for one in listed(scene.stage, mechanic) if one in {early.session_id, later.session_id}]
            assert seen in ([early.session_id, later.session_id], [later.session_id])
            seen_by_both += len(seen) == 2
    assert seen_by_both > 0
    place = {shown.session_id: shown.position for shown in queue_positions(scene.stage.app)}
    assert place[early.session_id] == 1


def test_only_who_is_urgent_overtakes(stage: Stage) -> None:
    mechanic, asked = stage.mechanic(), stage.mechanic()
    early = stage.queued(preferredMechanicId=asked.id)
    later, urgent = stage.queued(), stage.queued(urgent=True)
    decline(stage.app, asked.user_id, early.assignment_id)
    assert listed(stage, mechanic) == [urgent.session_id, early.session_id, later.session_id]


# --- whatever happens, in any order ---------------------------------------------------------------


def test_whatever_happens_nobody_is_listed_behind_a_later_arrival(stage: Stage) -> None:
    explore(stage, examples=50, steps=40)


@pytest.mark.parametrize(
    "forgetting",
    [
        "NEW.queued_at := CASE WHEN NEW.attempt > 1 THEN clock_timestamp() ELSE NEW.queued_at END",
        "NEW.queued_at := CASE WHEN NEW.status = 'queued' THEN now() - random() * interval '1 hour' END",
    ],
)
def test_a_queue_that_forgot_who_came_first_would_be_noticed(stage: Stage, forgetting: str) -> None:
    stage.owner.execute(
        f"CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {forgetting}; RETURN NEW; END $$"
    )
    stage.owner.execute(
        "CREATE TRIGGER zz_forget BEFORE INSERT ON session_assignments FOR EACH ROW"
        " WHEN (NEW.status = 'queued') EXECUTE FUNCTION forget()"
    )
    with pytest.raises(AssertionError):
        explore(stage, 60, 40, Phase.generate)
