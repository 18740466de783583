"""A waiting, connected customer receives their queue position when it changes, and only then."""

import json
from uuid import UUID

import pytest

from autodoctor.events.feed import queue_position
from autodoctor.ids import new_id
from autodoctor.sessions.availability import AvailabilityRequest, set_availability
from support.world import World


def connect(world: World, customer: UUID, *, ready: bool = True, groups: str = "{customers}") -> None:
    world.owner.execute(
        "INSERT INTO realtime_connections (connection_id, user_id, groups, since, ready, expires_at)"
        " VALUES (%s, %s, %s, 0, %s, now() + interval '1 hour')",
        [f"of {customer}", customer, groups, ready],
    )


def pushed(world: World) -> dict[str, tuple[int, int]]:
    """Place and mechanics of the messages that are due now, by connection; they count as sent."""
    rows = queue_position.changed(world.app)
    frames = queue_position.frames(world.app, rows)
    queue_position.mark_sent(world.app, rows)
    payloads = {connection: json.loads(sent[0])["payload"] for connection, sent in frames.items()}
    return {name: (payload["position"], payload["mechanicsAvailable"]) for name, payload in payloads.items()}


def test_who_waits_is_told_each_change_once(world: World) -> None:
    customers = [new_id() for _ in range(2)]
    first, _second = [world.queued(customer) for customer in customers]
    for customer in customers:
        connect(world, customer)
    one, other = (f"of {customer}" for customer in customers)
    assert pushed(world) == {one: (1, 0), other: (2, 0)}
    assert pushed(world) == {}
    mechanic = world.mechanic(available_until=None)
    assert pushed(world) == {}
    set_availability(world.app, mechanic.user_id, AvailabilityRequest(available=True))
    assert pushed(world) == {one: (1, 1), other: (2, 1)}
    world.accept(mechanic, first)
    assert pushed(world) == {other: (1, 0)}


def test_a_message_names_the_session_and_three_numbers(world: World) -> None:
    created = world.queued(customer := new_id())
    connect(world, customer)
    ((frame,),) = queue_position.frames(world.app, queue_position.changed(world.app)).values()
    message = json.loads(frame)
    assert message["type"] == "waiting_updated"
    assert message["payload"] == {
        "sessionId": str(created.session_id),
        "position": 1,
        "mechanicsAvailable": 0,
        "estimatedWaitSeconds": None,
    }


@pytest.mark.parametrize("connection", [{"ready": False}, {"groups": "{mechanics}"}])
def test_who_does_not_listen_as_a_customer_is_told_nothing(world: World, connection: dict[str, object]) -> None:
    world.queued(customer := new_id())
    connect(world, customer, **connection)  # type: ignore[arg-type]
    assert pushed(world) == {}
