"""Who waits and is connected is told their place when it has changed, and only then."""

import json
from uuid import UUID

import pytest

from autodoctor.events.feed import queue_position
from autodoctor.ids import new_id
from autodoctor.sessions.availability import AvailabilityRequest, set_availability
from integration.actors import Stage


def connect(stage: Stage, customer: UUID, *, ready: bool = True, groups: str = "{customers}") -> None:
    stage.owner.execute(
        "INSERT INTO realtime_connections (connection_id, user_id, groups, since, ready, expires_at)"
        " VALUES (%s, %s, %s, 0, %s, now() + interval '1 hour')",
        [f"of {customer}", customer, groups, ready],
    )


def told(stage: Stage) -> dict[str, tuple[int, int]]:
    """Place and mechanics of the messages that are due now, by connection; they count as sent."""
    rows = queue_position.changed(stage.app)
    frames = queue_position.frames(stage.app, rows)
    queue_position.mark_sent(stage.app, rows)
    payloads = {connection: json.loads(sent[0])["payload"] for connection, sent in frames.items()}
    return {name: (payload["position"], payload["mechanicsAvailable"]) for name, payload in payloads.items()}


def test_who_waits_is_told_each_change_once(stage: Stage) -> None:
    customers = [new_id() for _ in range(2)]
    first, _second = [stage.queued(customer) for customer in customers]
    for customer in customers:
        connect(stage, customer)
    one, other = (f"of {customer}" for customer in customers)
    assert told(stage) == {one: (1, 0), other: (2, 0)}
    assert told(stage) == {}
    mechanic = stage.mechanic(available_until=None)
    assert told(stage) == {}
    set_availability(stage.app, mechanic.user_id, AvailabilityRequest(available=True))
    assert told(stage) == {one: (1, 1), other: (2, 1)}
    stage.accept(mechanic, first)
    assert told(stage) == {other: (1, 0)}


def test_a_message_names_the_session_and_three_numbers(stage: Stage) -> None:
    created = stage.queued(customer := new_id())
    connect(stage, customer)
    ((frame,),) = queue_position.frames(stage.app, queue_position.changed(stage.app)).values()
    message = json.loads(frame)
    assert message["type"] == "waiting_updated"
    assert message["payload"] == {
        "sessionId": str(created.session_id),
        "position": 1,
        "mechanicsAvailable": 0,
        "estimatedWaitSeconds": None,
    }


@pytest.mark.parametrize("connection", [{"ready": False}, {"groups": "{mechanics}"}])
def test_who_does_not_listen_as_a_customer_is_told_nothing(stage: Stage, connection: dict[str, object]) -> None:
    stage.queued(customer := new_id())
    connect(stage, customer, **connection)  # type: ignore[arg-type]
    assert told(stage) == {}
