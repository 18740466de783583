"""A mechanic never receives what their queue would not show, whatever random people do in whatever order.

After each step all events are broadcast, and compared with the queues at that moment.
"""

from collections import defaultdict
from uuid import UUID

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from autodoctor.db import Row
from autodoctor.errors import MechanicNotActive
from autodoctor.events.feed import connections, messages
from autodoctor.events.feed.tickets import issue_ticket
from autodoctor.events.model import AssignmentEvent, Event, event_of
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated
from autodoctor.sessions import active
from autodoctor.sessions.end import Ender, end_session
from autodoctor.sessions.queue import fetch_queue
from concurrency.test_state_machine import CUSTOMERS, MECHANICS, Consultations, Wish
from support.world import World

GONE = {"assignment_accepted", "assignment_cancelled", "assignment_expired"}
NEWLY_SHOWN = {"queued", "offered"}


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("WEBSOCKET_URL", "wss://example.com/live")
    return world


class Listeners(Consultations):
    """The random people of the state machine, each with an open messages."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.seen: defaultdict[UUID, set[UUID]] = defaultdict(set)
        self.unseen: set[UUID] = set()

    @invariant()
    def nothing_is_violated(self) -> None:
        """Leaves invariants 1 to 8 to the other machine."""

    @rule(target=Consultations.sessions, customer=CUSTOMERS, preferred=st.none() | MECHANICS)
    def ask_the_workshop_anew(self, customer: int, preferred: int | None) -> SessionCreated:
        """Whose wishes the machine's own people rarely come to: most have a session already."""
        user = self.customers[customer]
        present = active.customer_active_session(self.world.app, user).session
        if present is not None:
            self.attempt(lambda: end_session(self.world.app, Ender(user), present.session_id))
        wish = Wish(signed=True, to_workshop=True, urgent=False, in_minutes=None)
        return self.ask(customer=customer, wish=wish, preferred=preferred, key=None)  # type: ignore[return-value]

    @invariant()
    def everybody_is_told_what_is_theirs_and_nothing_else(self) -> None:
        listening = self.listening()
        events = self.happened()
        messages.record(self.world.app, events)
        told: defaultdict[tuple[str, UUID], set[UUID]] = defaultdict(set)
        for row in messages.unsent(self.world.app, events):
            user = listening[row["connection_id"]]
            if row["type"] == "session_updated":
                assert user in self.parties_of(row), "a stranger was told of a session"
            else:
                told[row["type"], row["assignment_id"]].add(user)
        messages.mark_sent(self.world.app, events)
        self.compare(events, told, self.shown())

    def compare(
        self, events: list[Event], told: dict[tuple[str, UUID], set[UUID]], shown: dict[UUID, set[UUID]]
    ) -> None:
        """Compare what was told with the queues: now for what is new, before for what is gone."""
        for (kind, assignment_id), users in told.items():
            viewers = {user for user, assignments in shown.items() if assignment_id in assignments}
            if kind == "new_assignment":
                assert users == viewers
                event("told of a new one")
            elif assignment_id in self.unseen or not any(assignment_id in seen for seen in self.seen.values()):
                event("came and went within one step")
            else:
                assert kind in GONE
                assert users <= {user for user, seen in self.seen.items() if assignment_id in seen}
                event(f"told that it is {kind}")
        for each in events:
            new = isinstance(each, AssignmentEvent) and each.status in NEWLY_SHOWN
            if new and any(each.assignment_id in assignments for assignments in shown.values()):  # type: ignore[union-attr]
                assert ("new_assignment", each.assignment_id) in told, "shown in a queue, and nobody was told"  # type: ignore[union-attr]
        for user, assignments in shown.items():
            self.seen[user] |= assignments
        rows = self.world.owner.execute("SELECT id FROM session_assignments WHERE available_at > now()")
        self.unseen = {row["id"] for row in rows}

    def happened(self) -> list[Event]:
        """The unpublished events, marked as published."""
        rows = self.world.owner.execute("SELECT * FROM outbox_events ORDER BY id").fetchall()
        self.world.owner.execute("DELETE FROM outbox")
        return [event_of(row) for row in rows]

    def listening(self) -> dict[str, UUID]:
        """Everybody's connection; who has none, or one that has lapsed or hears nothing, opens one."""
        people = {mechanic.user_id: "mechanics" for mechanic in self.mechanics}
        people = {**dict.fromkeys(self.customers, "customers"), **people}
        rows = self.world.owner.execute(
            "SELECT connection_id, user_id FROM realtime_connections"
            " WHERE ready AND expires_at > now() + interval '1 minute'"
        )
        listening = {row["connection_id"]: row["user_id"] for row in rows}
        for user in people.keys() - set(listening.values()):
            connection_id = str(new_id())
            ticket = issue_ticket(self.world.app, user, frozenset({people[user]})).ticket
            connections.connect(self.world.app, connection_id, ticket, None)
            connections.ready(self.world.app, connection_id)
            listening[connection_id] = user
        return listening

    def shown(self) -> dict[UUID, set[UUID]]:
        """The requests that each mechanic's queue shows."""
        shown: dict[UUID, set[UUID]] = {}
        for mechanic in self.mechanics:
            try:
                queue = fetch_queue(self.world.app, mechanic.user_id, "100")
            except MechanicNotActive:
                shown[mechanic.user_id] = set()
            else:
                shown[mechanic.user_id] = {each.assignment_id for each in queue.assignments}
        return shown

    def parties_of(self, row: Row) -> set[UUID]:
        """Whose session it is, and which mechanic has it, had it or gave it back."""
        parties = self.world.owner.execute(
            "SELECT c.user_id FROM sessions s JOIN customers c ON c.id = s.customer_id WHERE s.id = %(id)s"
            " UNION SELECT m.user_id FROM session_participants p JOIN mechanics m ON m.id = p.mechanic_id"
            " WHERE p.session_id = %(id)s",
            {"id": row["session_id"]},
        )
        return {each["user_id"] for each in parties}


def explore(world: World, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: Listeners(world),  # type: ignore[arg-type]  # it is called, and nothing else
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_mechanic_never_receives_what_their_queue_would_not_show(world: World) -> None:
    explore(world, examples=15, steps=40)


@pytest.mark.slow
def test_the_feed_never_shows_a_mechanic_more_than_their_queue(world: World) -> None:
    explore(world, examples=100, steps=80)
