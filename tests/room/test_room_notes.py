"""What the system says in a room, and the counters that begin again with another mechanic."""

import psycopg
import pytest

from autodoctor.db import Row
from autodoctor.events.model import MessageEvent, event_of
from autodoctor.ids import new_id
from autodoctor.sessions.presence import release
from support.world import World

NOTE = "SELECT room_note(%s, %s)"


def rows(world: World) -> list[Row]:
    return world.owner.execute("SELECT seq, role, kind, note, text FROM session_messages ORDER BY seq").fetchall()


def test_a_note_is_a_message_with_the_next_number(world: World) -> None:
    session = world.queued().session_id
    assert [world.one(NOTE, session, what) for what in ("accepted", "mechanic_joined")] == [1, 2]
    assert [(row["seq"], row["note"]) for row in rows(world)] == [(1, "accepted"), (2, "mechanic_joined")]
    assert rows(world)[0]["text"] == "A mechanic has accepted the request."
    assert world.one("SELECT latest FROM rooms WHERE session_id = %s", session) == 2


def test_who_is_there_is_said_when_it_changes(world: World) -> None:
    session = world.queued().session_id
    world.one(NOTE, session, "customer_joined")
    assert world.one(NOTE, session, "customer_joined") is None
    assert world.one(NOTE, session, "customer_left") == 2
    assert world.one(NOTE, session, "customer_joined") == 3
    world.let_time_pass(61)
    assert world.one(NOTE, session, "customer_joined") == 4
    assert world.one("SELECT latest FROM rooms WHERE session_id = %s", session) == 4


def test_what_happens_is_said_each_time(world: World) -> None:
    session = world.queued().session_id
    assert [world.one(NOTE, session, what) for what in ("accepted", "released") * 2] == [1, 2, 3, 4]


def test_a_note_that_there_is_not_is_refused(world: World) -> None:
    session = world.queued().session_id
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        world.one(NOTE, session, "sneezed")
    assert rows(world) == []


def test_the_bus_hears_of_a_note_and_not_its_words(world: World) -> None:
    session = world.queued().session_id
    world.one(NOTE, session, "accepted")
    event = event_of(world.app.all("SELECT * FROM outbox_events WHERE type = 'message.posted'", ())[0])
    assert isinstance(event, MessageEvent)
    assert (event.session_id, event.seq, event.role, event.pushed) == (session, 1, "system", False)
    assert "accepted" not in event.model_dump_json()


def test_a_message_is_fixed_but_for_blanking(world: World) -> None:
    session = world.queued().session_id
    world.one(NOTE, session, "accepted")
    for change in ("text = 'Hello'", "seq = 2", "at = now()", "role = 'customer'"):
        with pytest.raises(psycopg.errors.DatabaseError) as refused:
            world.owner.execute(f"UPDATE session_messages SET {change}")
        assert refused.value.sqlstate == "AD004"
    with pytest.raises(psycopg.errors.DatabaseError, match="its rows are kept"):
        world.owner.execute("DELETE FROM session_messages")
    assert world.owner.execute("UPDATE session_messages SET text = ''").rowcount == 1


def test_another_mechanic_begins_anew(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session = world.waiting(mechanic, customer).session_id
    world.owner.execute(
        "UPDATE rooms SET latest = 3, customer_read = 3, mechanic_read = 2, customer_written = 2, mechanic_written = 1"
    )
    release(world.app, mechanic.user_id, session)
    [room] = world.owner.execute("SELECT * FROM rooms").fetchall()
    assert (room["mechanic_read"], room["mechanic_written"]) == (0, 0)
    assert (room["customer_read"], room["customer_written"]) == (3, 2)
