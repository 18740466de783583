"""What happened to a session stands in its room, in the order in which it happened, once."""

from uuid import UUID

import pytest

from autodoctor.events.feed import connections
from autodoctor.events.feed.tickets import issue_ticket
from autodoctor.ids import new_id
from autodoctor.sessions.expiry import sweep
from autodoctor.sessions.presence import join, leave, release
from support.world import World


def notes(world: World, session: UUID) -> list[str]:
    rows = world.owner.execute(
        "SELECT note FROM session_messages WHERE session_id = %s AND role = 'system' ORDER BY seq", [session]
    )
    return [row["note"] for row in rows.fetchall()]


def connected(world: World, monkeypatch: pytest.MonkeyPatch, user: UUID) -> str:
    monkeypatch.setenv("WEBSOCKET_URL", "wss://example.com/live")
    connection_id = str(new_id())
    connections.connect(world.app, connection_id, issue_ticket(world.app, user, frozenset()).ticket, None)
    return connection_id


def test_a_consultation_from_accept_to_end(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session = world.waiting(mechanic, customer).session_id
    join(world.app, customer, session)
    join(world.app, mechanic.user_id, session)
    leave(world.app, customer, session)
    world.end(mechanic.user_id, session)
    assert notes(world, session) == [
        *("accepted", "customer_joined", "mechanic_joined", "started", "customer_left", "ended_by_mechanic"),
    ]
    assert world.one("SELECT latest FROM rooms WHERE session_id = %s", session) == 6


def test_a_mechanic_who_gives_it_back(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session = world.waiting(mechanic, customer).session_id
    join(world.app, mechanic.user_id, session)
    release(world.app, mechanic.user_id, session)
    world.accept_current(world.mechanic(), session)
    assert notes(world, session) == ["accepted", "mechanic_joined", "released", "accepted"]
    world.end(customer, session)
    assert notes(world, session)[-1] == "ended_by_customer"


def test_a_connection_that_is_lost_is_not_a_leave(
    world: World, customer: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = world.waiting(world.mechanic(), customer).session_id
    first, second = (connected(world, monkeypatch, customer) for _ in range(2))
    for connection_id in (first, second):
        join(world.app, customer, session, connection_id)
    assert connections.drop(world.app, [first]) == [session]
    assert notes(world, session) == ["accepted", "customer_joined"]  # the other device is still there
    connections.drop(world.app, [second])
    assert notes(world, session) == ["accepted", "customer_joined", "customer_lost"]


def test_what_nobody_did(world: World, customer: UUID) -> None:
    session = world.waiting(world.mechanic(), customer).session_id
    world.let_time_pass(3 * 60 * 60)
    sweep(world.app, lambda: 60.0)
    assert notes(world, session)[-1] in {"expired", "mechanic_absent"}
    another = world.queued().session_id
    world.owner.execute("UPDATE sessions SET status = 'cancelled' WHERE id = %s", [another])
    assert notes(world, another) == ["ended_by_admin"]


def test_the_next_mechanic_comes_and_gives_it_back_within_the_minute(world: World, customer: UUID) -> None:
    first, second = world.mechanic(), world.mechanic()
    session = world.waiting(first, customer).session_id
    join(world.app, first.user_id, session)
    release(world.app, first.user_id, session)
    world.accept_current(second, session)
    join(world.app, second.user_id, session)
    release(world.app, second.user_id, session)
    assert notes(world, session) == ["accepted", "mechanic_joined", "released"] * 2


def test_a_room_ends_with_what_is_true(world: World, customer: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    session = world.waiting(world.mechanic(), customer).session_id
    for _ in range(2):
        connection_id = connected(world, monkeypatch, customer)
        join(world.app, customer, session, connection_id)
        connections.drop(world.app, [connection_id])
    join(world.app, customer, session, connected(world, monkeypatch, customer))
    assert notes(world, session) == ["accepted", *["customer_joined", "customer_lost"] * 2, "customer_joined"]


def test_a_suspended_mechanic_is_not_said_to_have_stayed_away(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session = world.waiting(mechanic, customer).session_id
    world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [mechanic.id])
    assert notes(world, session) == ["accepted", "taken_back"]


def test_a_party_that_comes_and_goes_fills_no_room(world: World, customer: UUID) -> None:
    session = world.waiting(world.mechanic(), customer).session_id
    for _ in range(20):
        join(world.app, customer, session)
        leave(world.app, customer, session)
    assert notes(world, session) == ["accepted", *["customer_joined", "customer_left"] * 5]
