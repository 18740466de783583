"""Random events in the queue: the test itself knows the order of arrivals, and does not read it from the database."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from autodoctor.errors import Problem
from autodoctor.ids import new_id
from autodoctor.sessions.accept import decline
from autodoctor.sessions.expiry import sweep
from autodoctor.sessions.presence import join, release
from autodoctor.sessions.queue import fetch_queue
from autodoctor.sessions.queue_position import queue_positions
from support.world import Mechanic, World

LEAD = timedelta(minutes=15)
CUSTOMERS = st.integers(0, 9)
MECHANICS = st.integers(0, 5)


@dataclass(frozen=True)
class Wish:
    """A customer's request."""

    urgent: bool
    signed: bool
    workshop: int | None
    mechanic: int | None
    in_minutes: int | None


WISHES = st.builds(
    Wish,
    signed=st.sampled_from([True, True, True, False]),
    workshop=st.sampled_from([None, None, 0, 1]),
    mechanic=st.sampled_from([None, None, *range(6)]),
    in_minutes=st.sampled_from([None, None, None, 16, 20, 45]),
)


@dataclass
class Visit:
    """A customer's session, and since when they wait, by the clock of the test."""

    session_id: UUID
    urgent: bool
    scheduled_for: datetime | None
    since: datetime | None = None


class QueueMachine(RuleBasedStateMachine):
    """Ten customers (the last one is also a mechanic) and six mechanics: three independent, three of two workshops."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.skipped = timedelta()

    @initialize()
    def meet(self) -> None:
        self.world.clear()
        self.customers = [new_id() for _ in range(10)]
        self.workshops = [self.world.workshop(), self.world.workshop()]
        self.mechanics = [
            self.world.mechanic(),
            self.world.mechanic(),
            self.world.mechanic(user_id=self.customers[-1]),
            self.world.mechanic(self.workshops[0]),
            self.world.mechanic(self.workshops[0]),
            self.world.mechanic(self.workshops[1]),
        ]
        self.visits: dict[int, Visit] = {}
        for customer in range(4):
            asked = 0 if customer == 1 else None
            self.ask(customer, Wish(customer == 3, signed=True, workshop=None, mechanic=asked, in_minutes=None))

    def now(self) -> datetime:
        """The instant of this step, had time really passed."""
        return datetime.fromtimestamp(time.time(), UTC) + self.skipped

    # --- who comes ----------------------------------------------------------------------------------

    @rule(customer=CUSTOMERS, wish=WISHES)
    def ask(self, customer: int, wish: Wish) -> None:
        scheduled_for = None if wish.in_minutes is None else datetime.now(UTC) + timedelta(minutes=wish.in_minutes)
        fields = {
            "urgent": wish.urgent,
            "workshopId": None if wish.workshop is None else self.workshops[wish.workshop],
            "preferredMechanicId": None if wish.mechanic is None else self.mechanics[wish.mechanic].id,
            "scheduledFor": scheduled_for,
        }
        start = self.world.queued if wish.signed else self.world.pending
        created = attempt(lambda: start(self.customers[customer], **fields))
        if created is not None:
            if wish.urgent:  # as if it were paid for
                self.world.one(
                    "UPDATE session_assignments SET precedence = 0 WHERE session_id = %s RETURNING 1",
                    created.session_id,
                )
            visit = Visit(created.session_id, wish.urgent, scheduled_for and scheduled_for + self.skipped)
            self.visits[customer] = visit
            if wish.signed:
                self.arrives(visit)

    @rule(customer=CUSTOMERS)
    def sign(self, customer: int) -> None:
        visit = self.visits.get(customer)
        if (
            visit is not None
            and attempt(lambda: self.world.sign(self.customers[customer], visit.session_id)) is not None
        ):
            self.arrives(visit)

    def arrives(self, visit: Visit) -> None:
        """From the signature on, but not before the lead time; once for all."""
        if visit.since is None:
            visit.since = self.now()
            if visit.scheduled_for is not None:
                visit.since = max(visit.since, visit.scheduled_for - LEAD)

    # --- what frees capacity, or takes it -------------------------------------------------------------

    @rule(mechanic=MECHANICS, which=st.integers(0, 3))
    def accept(self, mechanic: int, which: int) -> None:
        person = self.mechanics[mechanic]
        shown = attempt(lambda: fetch_queue(self.world.app, person.user_id))
        if shown is not None and len(shown.assignments) > which:
            wanted = shown.assignments[which].session_id
            attempt(lambda: self.world.accept_current(person, wanted))

    @rule()
    def decline(self) -> None:
        offer = self.world.owner.execute(
            "SELECT a.id, m.user_id FROM session_assignments a JOIN mechanics m ON m.id = a.mechanic_id"
            " WHERE a.status = 'offered' ORDER BY a.id LIMIT 1"
        ).fetchone()
        if offer is not None:
            attempt(lambda: decline(self.world.app, offer["user_id"], offer["id"]))

    @rule(mechanic=MECHANICS)
    def release(self, mechanic: int) -> None:
        person = self.mechanics[mechanic]
        taken = self.world.one("SELECT id FROM sessions WHERE mechanic_id = %s AND ended_at IS NULL", person.id)
        if taken is not None:
            attempt(lambda: release(self.world.app, person.user_id, taken))

    @rule(mechanic=MECHANICS, meet_first=st.booleans())
    def end(self, mechanic: int, *, meet_first: bool) -> None:
        person = self.mechanics[mechanic]
        taken = self.world.one("SELECT id FROM sessions WHERE mechanic_id = %s AND ended_at IS NULL", person.id)
        if taken is not None:
            if meet_first:
                for user in (person.user_id, *self.customers):
                    attempt(lambda user=user: join(self.world.app, user, taken))  # type: ignore[misc]
            self.world.end(person.user_id, taken)

    @rule(customer=CUSTOMERS)
    def withdraw(self, customer: int) -> None:
        if customer in self.visits:
            self.world.end(self.customers[customer], self.visits.pop(customer).session_id)

    @rule(
        mechanic=MECHANICS,
        change=st.sampled_from(
            [
                "status = CASE status WHEN 'active' THEN 'suspended' ELSE 'active' END",
                "available_until = CASE WHEN available_until IS NULL THEN timestamptz 'infinity' END",
                "workshop_id = CASE WHEN workshop_id IS NULL THEN (SELECT min(id::text)::uuid FROM workshops) END",
            ]
        ),
    )
    def change_a_mechanic(self, mechanic: int, change: str) -> None:
        self.world.owner.execute(f"UPDATE mechanics SET {change} WHERE id = %s", [self.mechanics[mechanic].id])

    @rule(seconds=st.sampled_from([1, 31, 121, 301, 601, 1801]), then_sweep=st.booleans())
    def time_passes(self, seconds: int, *, then_sweep: bool) -> None:
        self.world.let_time_pass(seconds)
        self.skipped += timedelta(seconds=seconds)
        if then_sweep:
            self.sweep()

    @rule()
    def sweep(self) -> None:
        sweep(self.world.app, lambda: 60.0)

    # --- what always holds ------------------------------------------------------------------------------

    @invariant()
    def everybody_is_listed_and_placed_fairly(self) -> None:
        shown = {index: attempt(lambda one=one: listed(self.world, one)) for index, one in enumerate(self.mechanics)}  # type: ignore[misc]
        lists = {index: sessions for index, sessions in shown.items() if sessions is not None}
        self.nobody_is_listed_behind_a_later_arrival(lists)
        self.the_places_are_those_of_the_lists(lists)

    def nobody_is_listed_behind_a_later_arrival(self, lists: dict[int, list[UUID]]) -> None:
        visits = {visit.session_id: visit for visit in self.visits.values()}
        for mechanic, shown in lists.items():
            order = [(not visits[one].urgent, visits[one].since) for one in shown]
            assert order == sorted(order), f"mechanic {mechanic}"

    def the_places_are_those_of_the_lists(self, lists: dict[int, list[UUID]]) -> None:
        """Each place is the best one in the lists of those on duty; an offer that lapsed is placed before the sweep."""
        lapsed = "SELECT count(*) FROM session_assignments WHERE status = 'offered' AND offer_expires_at <= now()"
        if self.world.one(lapsed):
            return
        on_duty, idle = self.on_duty()
        best: dict[UUID, int] = {}
        free: dict[UUID, int] = {}
        for mechanic in on_duty & set(lists):
            for place, session_id in enumerate(lists[mechanic], 1):
                best[session_id] = min(place, best.get(session_id, place))
                free[session_id] = free.get(session_id, 0) + (mechanic in idle)
        told = {shown.session_id: shown for shown in queue_positions(self.world.app)}
        assert best == {one: shown.position for one, shown in told.items() if one in best}
        assert free == {one: shown.mechanics_available for one, shown in told.items() if one in best}
        assert all(shown.mechanics_available == 0 for one, shown in told.items() if one not in best)

    def on_duty(self) -> tuple[set[int], set[int]]:
        """The mechanics who are available, and those who have no session."""
        rows = self.world.owner.execute(
            "SELECT m.id, m.available_until > now() AS on_duty, NOT EXISTS ("
            "SELECT FROM sessions s WHERE s.mechanic_id = m.id AND s.ended_at IS NULL) AS idle FROM mechanics m"
        ).fetchall()
        number = {mechanic.id: index for index, mechanic in enumerate(self.mechanics)}
        return {number[row["id"]] for row in rows if row["on_duty"]}, {number[row["id"]] for row in rows if row["idle"]}


def listed(world: World, mechanic: Mechanic) -> list[UUID]:
    """The sessions that the queue shows this mechanic, in its order."""
    return [shown.session_id for shown in fetch_queue(world.app, mechanic.user_id, "100").assignments]


def attempt[T](use_case: Callable[[], T]) -> T | None:
    """The answer of the use case; None if it raises a Problem."""
    try:
        return use_case()
    except Problem:
        return None


def explore(world: World, examples: int, steps: int, *phases: Phase) -> None:
    """Try so many sequences of so many steps."""
    run_state_machine_as_test(
        lambda: QueueMachine(world),  # type: ignore[arg-type]  # it is called, and nothing else
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=phases or tuple(Phase),
        ),
    )
