"""The recipients of messages: a mechanic's feed shows exactly what their queue shows, or showed until now."""

from datetime import timedelta
from itertools import product
from uuid import UUID

import pytest

from autodoctor.db import Row
from autodoctor.events import outbox
from autodoctor.events.feed import connections, messages
from autodoctor.events.feed.tickets import issue_ticket
from autodoctor.events.model import Event, event_of
from autodoctor.ids import new_id
from autodoctor.sessions.queue import fetch_queue
from autodoctor.web.schemas import now
from support.world import Mechanic, World


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("WEBSOCKET_URL", "wss://example.com/live")
    return world


def connected(world: World, user_id: UUID, *groups: str) -> str:
    """A connection of this user that takes part."""
    connection_id = str(new_id())
    ticket = issue_ticket(world.app, user_id, frozenset(groups)).ticket
    connections.connect(world.app, connection_id, ticket, None)
    assert connections.ready(world.app, connection_id)
    return connection_id


def events_of(world: World, session_id: UUID) -> list[Event]:
    """The unpublished events of this session, taken out of the outbox."""
    rows = outbox.pending(world.app, session_id)
    outbox.mark_of(world.app, session_id, rows)
    return [event_of(row) for row in rows]


def send_messages(world: World, session_id: UUID) -> list[Row]:
    """Mark a session's messages as sent; a row for each message and connection, as a broadcast finds them."""
    events = events_of(world, session_id)
    messages.record(world.app, events)
    rows = messages.unsent(world.app, events)
    messages.mark_sent(world.app, events)
    return rows


class Garage:
    """One of every kind of mechanic, each connected."""

    def __init__(self, world: World, customer: UUID) -> None:
        self.workshop, elsewhere = world.workshop(), world.workshop()
        self.mechanics = {
            "independent": world.mechanic(),
            "of the workshop": world.mechanic(self.workshop),
            "of another workshop": world.mechanic(elsewhere),
            "asked for": world.mechanic(),
            "asked for at the workshop": world.mechanic(self.workshop),
            "busy": world.mechanic(),
            "suspended": world.mechanic(),
            "the customer": world.mechanic(user_id=customer),
        }
        world.waiting(self.mechanics["busy"])
        world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [self["suspended"].id])
        self.connections = {
            connected(world, mechanic.user_id, "mechanics"): kind for kind, mechanic in self.mechanics.items()
        }

    def __getitem__(self, kind: str) -> Mechanic:
        return self.mechanics[kind]

    def shown(self, world: World, session_id: UUID) -> set[str]:
        """The mechanics whose queue shows the session."""
        return {
            kind
            for kind, mechanic in self.mechanics.items()
            if kind != "suspended"
            and session_id in {each.session_id for each in fetch_queue(world.app, mechanic.user_id, "100").assignments}
        }

    def receivers(self, rows: list[Row], kind: str) -> set[str]:
        """The recipients of a message of this kind."""
        return {self.connections[row["connection_id"]] for row in rows if row["type"] == kind}


REQUESTS: dict[str, dict[str, str | bool]] = {
    "general": {},
    "of a workshop": {"workshop": True},
    "offered": {"preferred": "asked for"},
    "offered within a workshop": {"workshop": True, "preferred": "asked for at the workshop"},
    "asking for one who is busy": {"preferred": "busy"},
    "urgent": {"urgent": True},
    "scheduled": {"scheduled": True},
    "unsigned": {"unsigned": True},
}


def requested(world: World, garage: Garage, customer: UUID, kind: str) -> UUID:
    """A request of this kind; returns its session."""
    wish = REQUESTS[kind]
    fields: dict[str, object] = {"urgent": bool(wish.get("urgent"))}
    if wish.get("workshop"):
        fields["workshopId"] = garage.workshop
    if "preferred" in wish:
        fields["preferredMechanicId"] = garage[str(wish["preferred"])].id
    if wish.get("scheduled"):
        fields["scheduledFor"] = (now() + timedelta(hours=3)).isoformat()
    make = world.pending if wish.get("unsigned") else world.queued
    return make(customer, **fields).session_id


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_new_request_is_told_to_exactly_those_whose_queue_shows_it(world: World, kind: str) -> None:
    customer = new_id()
    garage = Garage(world, customer)
    session_id = requested(world, garage, customer, kind)
    rows = send_messages(world, session_id)
    assert garage.receivers(rows, "new_assignment") == garage.shown(world, session_id)


HAPPENINGS = ("accepted", "cancelled", "expired")


@pytest.mark.parametrize(("kind", "happening"), list(product(REQUESTS, HAPPENINGS)))
def test_its_end_is_told_to_exactly_those_whose_queue_showed_it(world: World, kind: str, happening: str) -> None:
    customer = new_id()
    garage = Garage(world, customer)
    session_id = requested(world, garage, customer, kind)
    events_of(world, session_id)
    shown = garage.shown(world, session_id)
    if happening == "accepted":
        takers = sorted(shown - {"busy"})
        if not takers:
            return
        world.accept_current(garage[takers[0]], session_id)
    elif happening == "cancelled":
        world.end(customer, session_id)
    else:
        world.owner.execute("UPDATE sessions SET status = 'expired' WHERE id = %s", [session_id])
    rows = send_messages(world, session_id)
    assert garage.receivers(rows, f"assignment_{happening}") == shown
    assert garage.receivers(rows, "new_assignment") == set()
