"""What the parties of a session write: numbers, repetitions, who may, and until when.

The system writes too, so numbers are counted from what was there before.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from threading import Barrier
from uuid import UUID

import pytest

from autodoctor.errors import (
    SessionEnded,
    SessionNotFound,
    SessionNotOpen,
    TooManyRequests,
    Unprocessable,
)
from autodoctor.events.feed import connections
from autodoctor.events.feed.tickets import issue_ticket
from autodoctor.events.model import MessageEvent, event_of
from autodoctor.events.outbox import prefetched
from autodoctor.ids import new_id
from autodoctor.room.messages import Message, MessageRequest, Posted, listed, mark, post
from autodoctor.sessions.presence import join, release
from support.world import Mechanic, World


def request(
    text: str | None = "Hello", client_id: UUID | None = None, attachment_id: UUID | None = None
) -> MessageRequest:
    return MessageRequest.model_validate(
        {"clientId": client_id or new_id(), "text": text, "attachmentId": attachment_id}
    )


def say(world: World, user: UUID, session: UUID, text: str = "Hello", client_id: UUID | None = None) -> Posted:
    return post(world.app, user, session, request(text, client_id))


def said(world: World, user: UUID, session: UUID, **query: str) -> list[Message]:
    """What the parties have said."""
    return [each for each in listed(world.app, user, session, query).messages if each.role != "system"]


def latest(world: World, session: UUID) -> int:
    number: int = world.one("SELECT latest FROM rooms WHERE session_id = %s", session)
    return number


def written(world: World, session: UUID) -> tuple[int, int]:
    row = world.owner.execute("SELECT * FROM rooms WHERE session_id = %s", [session]).fetchone()
    assert row is not None
    return row["customer_written"], row["mechanic_written"]


@pytest.fixture
def session(world: World, mechanic: Mechanic, customer: UUID) -> UUID:
    """Give a session that the mechanic has accepted."""
    return world.waiting(mechanic, customer).session_id


def test_both_read_the_same_in_the_same_order(world: World, mechanic: Mechanic, customer: UUID, session: UUID) -> None:
    before = latest(world, session)
    say(world, customer, session, "It squeals.")
    say(world, mechanic.user_id, session, "When you brake?")
    say(world, customer, session, "Yes.")
    for reader in (customer, mechanic.user_id):
        assert [(each.seq - before, each.role, each.text) for each in said(world, reader, session)] == [
            (1, "customer", "It squeals."),
            (2, "mechanic", "When you brake?"),
            (3, "customer", "Yes."),
        ]
    assert written(world, session) == (2, 1)


def test_the_same_client_id_is_the_same_message(
    world: World, mechanic: Mechanic, customer: UUID, session: UUID
) -> None:
    client_id = new_id()
    first = say(world, customer, session, "Hello", client_id)
    again = say(world, customer, session, "Hello", client_id)
    assert (again.seq, again.at) == (first.seq, first.at)
    assert say(world, mechanic.user_id, session, "Hi", client_id).seq == first.seq + 1  # each side has its own ids
    world.end(customer, session)
    assert say(world, customer, session, "Hello", client_id).seq == first.seq
    assert [each.text for each in said(world, customer, session)] == ["Hello", "Hi"]
    assert written(world, session) == (1, 1)


@pytest.mark.parametrize("erased", [False, True])
def test_a_client_id_used_again_tells_what_stands_and_no_other_words(
    world: World, customer: UUID, session: UUID, *, erased: bool
) -> None:
    client_id = new_id()
    first = say(world, customer, session, "Hello", client_id)
    if erased:
        world.end(customer, session)
        world.owner.execute("SELECT blank_room(%s)", [session])
    again = say(world, customer, session, "Goodbye", client_id)
    assert again.told is not None
    assert again.told.message is not None
    assert again.told.message == said(world, customer, session)[0]
    assert (again.seq, again.told.message.text) == (first.seq, "" if erased else "Hello")


def test_the_customer_may_write_while_they_wait(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session = world.pending(customer).session_id
    say(world, customer, session)
    with pytest.raises(SessionNotFound):
        said(world, mechanic.user_id, session)
    world.sign(customer, session)
    world.accept_current(mechanic, session)
    assert said(world, mechanic.user_id, session)[0].text == "Hello"


def test_a_scheduled_room_is_not_open(world: World, customer: UUID) -> None:
    session = world.queued(customer, scheduledFor=world.one("SELECT now() + interval '2 hours'")).session_id
    with pytest.raises(SessionNotOpen):
        say(world, customer, session)
    assert latest(world, session) == 0


def test_after_the_end_the_room_is_read_only(world: World, mechanic: Mechanic, customer: UUID, session: UUID) -> None:
    say(world, customer, session)
    world.end(customer, session)
    before = latest(world, session)
    for party in (customer, mechanic.user_id):
        with pytest.raises(SessionEnded):
            say(world, party, session)
        assert [each.text for each in said(world, party, session)] == ["Hello"]
    assert latest(world, session) == before
    assert mark(world.app, mechanic.user_id, session, 1).read.mechanic == 1


def test_a_mechanic_who_gave_it_back_sees_nothing_of_it(world: World, mechanic: Mechanic, session: UUID) -> None:
    say(world, mechanic.user_id, session, "One moment")
    release(world.app, mechanic.user_id, session)
    with pytest.raises(SessionNotFound):
        say(world, mechanic.user_id, session)
    with pytest.raises(SessionNotFound):
        said(world, mechanic.user_id, session)
    with pytest.raises(SessionNotFound):
        mark(world.app, mechanic.user_id, session, 1)
    second = world.mechanic()
    world.accept_current(second, session)
    assert [each.text for each in said(world, second.user_id, session)] == ["One moment"]
    assert written(world, session) == (0, 0)
    say(world, second.user_id, session)
    assert written(world, session) == (0, 1)


def test_strangers_and_admins(world: World, customer: UUID, session: UUID) -> None:
    say(world, customer, session)
    for stranger in (new_id(), world.mechanic().user_id):
        with pytest.raises(SessionNotFound):
            say(world, stranger, session)
        with pytest.raises(SessionNotFound):
            said(world, stranger, session)
        with pytest.raises(SessionNotFound):
            mark(world.app, stranger, session, 1)
        shown = listed(world.app, stranger, session, {}, any_session=True)
        assert "Hello" in {each.text for each in shown.messages}
    with pytest.raises(SessionNotFound):
        listed(world.app, new_id(), new_id(), {}, any_session=True)


def test_a_mechanic_who_is_suspended_may_go_on_where_it_is_live(
    world: World, mechanic: Mechanic, customer: UUID, session: UUID
) -> None:
    """One that is not live is given back with the suspension."""
    for party in (customer, mechanic.user_id):
        join(world.app, party, session)
    world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [mechanic.id])
    say(world, mechanic.user_id, session)
    assert written(world, session) == (0, 1)


def test_who_writes_without_end_is_stopped_for_a_while(world: World, customer: UUID, session: UUID) -> None:
    world.owner.execute("UPDATE limits SET most = 3 WHERE name = 'messages'")
    for _ in range(3):
        say(world, customer, session)
    with pytest.raises(TooManyRequests):
        say(world, customer, session)
    assert written(world, session) == (3, 0)


def test_a_message_has_words_or_an_attachment(world: World, customer: UUID, session: UUID) -> None:
    before = latest(world, session)
    for unsendable, pointer in (
        (request(None), "/text"),
        (request(None, attachment_id=new_id()), "/attachmentId"),
        (request("Look", attachment_id=new_id()), "/attachmentId"),
    ):
        with pytest.raises(Unprocessable) as refused:
            post(world.app, customer, session, unsendable)
        assert [error["pointer"] for error in refused.value.body()["errors"]] == [pointer]  # type: ignore[attr-defined]
    assert latest(world, session) == before


def test_marks_only_grow_and_not_beyond_the_last(
    world: World, mechanic: Mechanic, customer: UUID, session: UUID
) -> None:
    for _ in range(3):
        say(world, customer, session)
    last = latest(world, session)
    marks = [mark(world.app, mechanic.user_id, session, seq).read.mechanic for seq in (2, 1, 9999)]
    assert marks == [2, 2, last]
    assert mark(world.app, customer, session, 1).read.model_dump() == {"customer": 1, "mechanic": last}


def test_a_part_of_a_room(world: World, customer: UUID) -> None:
    session = world.pending(customer).session_id
    for number in range(1, 8):
        assert say(world, customer, session, str(number)).seq == number

    def part(**query: str) -> list[int]:
        return [each.seq for each in said(world, customer, session, **query)]

    assert part() == [1, 2, 3, 4, 5, 6, 7]
    assert part(limit="2") == [6, 7]
    assert part(after="2", limit="3") == [3, 4, 5]
    assert part(before="4", limit="2") == [2, 3]
    assert part(after="2", before="5") == [3, 4]
    assert part(after="7") == []
    for name, wrong in (("after", "-1"), ("before", "x"), ("limit", "101"), ("after", "9" * 11), ("after", "²")):
        with pytest.raises(Unprocessable):
            part(**{name: wrong})


def test_the_bus_hears_who_wrote_and_no_words(world: World, customer: UUID, session: UUID) -> None:
    posted = say(world, customer, session, "My name is Cora")
    assert posted.told is not None
    assert posted.told.event is not None
    [row] = world.app.all("SELECT * FROM outbox_events WHERE id = %s", [posted.told.event["id"]])
    event = event_of(row)
    assert isinstance(event, MessageEvent)
    assert (event.session_id, event.seq, event.role, event.kind) == (session, posted.seq, "customer", "text")
    assert "Cora" not in event.model_dump_json()
    assert (
        event_of(*prefetched([posted.told.event])) == event
    )  # what is published at once is what the relay would publish


def test_a_flood_holds_up_no_transition_in_the_outbox(world: World, customer: UUID, session: UUID) -> None:
    world.owner.execute("DELETE FROM outbox")
    for _ in range(12):
        say(world, customer, session)
    world.end(customer, session)
    pending = world.app.all("SELECT status FROM pending_events(%s)", [session])
    assert "cancelled" in {row["status"] for row in pending}


def test_writers_at_once_leave_no_gap(world: World, mechanic: Mechanic, customer: UUID, session: UUID) -> None:
    barrier, before = Barrier(4), latest(world, session)

    def write(user: UUID) -> list[int]:
        with world.elsewhere() as database:
            barrier.wait()
            return [post(database, user, session, request()).seq - before for _ in range(10)]

    with ThreadPoolExecutor() as pool:
        numbers = list(pool.map(write, [customer, customer, mechanic.user_id, mechanic.user_id]))
    assert sorted(chain(*numbers)) == list(range(1, 41))
    assert all(each == sorted(each) for each in numbers)
    assert written(world, session) == (20, 20)


def test_the_same_message_at_once_is_written_once(world: World, customer: UUID, session: UUID) -> None:
    barrier, same = Barrier(3), request()

    def write(_attempt: int) -> Posted:
        with world.elsewhere() as database:
            barrier.wait()
            return post(database, customer, session, same)

    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(write, range(3)))
    assert len({(answer.seq, answer.at) for answer in answers}) == 1
    assert written(world, session) == (1, 0)


def test_a_connection_that_enters_while_somebody_writes_misses_nothing(
    world: World, customer: UUID, session: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either the message is in what it is given, or the writer sees the connection."""
    monkeypatch.setenv("WEBSOCKET_URL", "wss://example.com/live")
    ticket = issue_ticket(world.app, customer, frozenset()).ticket
    connections.connect(world.app, "connection", ticket, None)
    bind = "SELECT * FROM bind_room('connection', %s, 0, 100)"
    write = "SELECT * FROM post_message(%s, %s, %s, 'Hello', NULL)"
    with ThreadPoolExecutor() as pool, world.elsewhere() as other:
        with world.owner.transaction():
            world.owner.execute(write, [session, customer, new_id()])
            entering = pool.submit(other.one, bind, [session])
            world.wait_until_sent("bind_room")
        entered = entering.result()
        assert entered is not None
        assert "Hello" in {each["text"] for each in entered["messages"]}
        world.owner.execute("UPDATE realtime_connections SET room = NULL")
        with world.owner.transaction():
            world.owner.execute(bind, [session])
            writing = pool.submit(other.one, write, [session, customer, new_id()])
            world.wait_until_sent("post_message")
        written = writing.result()
    assert written is not None
    assert written["connections"] == ["connection"]


def test_a_message_waits_for_who_closes_the_room(world: World, customer: UUID, session: UUID) -> None:
    """A note locks the room, and so does the end: a message that has begun meanwhile finds the room closed."""
    before = latest(world, session)
    with ThreadPoolExecutor() as pool, world.elsewhere() as other:
        with world.owner.transaction():
            world.owner.execute("SELECT room_note(%s, 'minutes_1')", [session])
            late = pool.submit(post, other, customer, session, request())
            world.wait_until_sent("post_message")
            world.owner.execute("UPDATE sessions SET status = 'cancelled' WHERE id = %s", [session])
        with pytest.raises(SessionEnded):
            late.result()
    assert latest(world, session) == before + 2
    assert written(world, session) == (0, 0)
