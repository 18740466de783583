"""A hundred people talk at once, two as much as the limits allow; judged by what came and by counts, not by time.

Nothing is lost, doubled or out of order, and nobody who asks for help, or takes a request, waits for a room.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import pytest

from autodoctor.ids import new_id
from support.account import Account, Caller
from support.events.feed_client import FeedClient
from support.room.member import Member
from support.wait import wait_until

ROOMS = 50
SOCKETS = 5  # a user's most
MESSAGES = 60  # a user's most at once
AT_LEAST = 25  # of each device in the flooded room: more than its user may in all
REQUESTS = 3


@dataclass
class Talk:
    """A session, and who is in its room.

    Attributes:
        parties: customer and mechanic.
        members: their devices, each in the room.
        said: what each writer was told is written, in order.
    """

    session: str
    parties: tuple[Caller, Caller]
    members: list[Member] = field(default_factory=list)
    said: dict[str, list[str]] = field(default_factory=dict)

    @property
    def id_(self) -> UUID:
        return UUID(self.session.rpartition("/")[2])


def accepted(account: Account) -> Talk:
    """A session of two new people, which the mechanic has accepted."""
    customer, mechanic = new_id(), account.world.mechanic()
    session = account.world.waiting(mechanic, customer).session_id
    return Talk(f"/api/sessions/{session}", (account.customer(customer), account.mechanic(mechanic)))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Give people who act at once."""
    with ThreadPoolExecutor(2 * SOCKETS + 8) as pool:
        yield pool


@pytest.fixture
def talks(account: Account, pool: ThreadPoolExecutor) -> Iterator[list[Talk]]:
    """Give fifty rooms with both parties in each; in the first one, each has all the sockets that they may have."""
    talks = [accepted(account) for _ in range(ROOMS)]
    sockets = [(talks[0], who) for who in talks[0].parties * (SOCKETS - 1)]
    sockets += [(talk, who) for talk in talks for who in talk.parties]
    with ExitStack() as stack:
        for talk, member in pool.map(lambda wanted: (wanted[0], Member(wanted[1], wanted[0].session)), sockets):
            talk.members.append(stack.enter_context(member))
        yield talks


def flood(talk: Talk, member: Member, name: str, over: threading.Event) -> int:
    """Write without a pause until it is over, refused or not; returns how many were too many."""
    mine, refused, number = talk.said.setdefault(name, []), 0, 0
    while number < AT_LEAST or not over.is_set():
        number += 1
        answer = member.caller.send(
            "POST", f"{talk.session}/messages", {"clientId": str(new_id()), "text": f"{name} {number}"}
        )
        if answer.status_code == 201:
            mine.append(f"{name} {number}")
        else:
            assert (answer.status_code, answer.json()["limit"]) == (429, "messages")
            refused += 1
    return refused


def talk_of(talk: Talk) -> None:
    """Each of two says something and the other answers, twice."""
    for number in range(2):
        for member, name in zip(talk.members, ("first", "second"), strict=True):
            member.say(f"{name} {number} of {talk.id_}")
            talk.said.setdefault(name, []).append(f"{name} {number} of {talk.id_}")


def is_taken(account: Account, duty: FeedClient) -> None:
    """Somebody asks for help; a mechanic on duty hears of it and accepts."""
    asked = account.queued(account.customer())
    duty.wait_for(lambda frame: frame.type == "new_assignment" and frame.payload["sessionId"] == asked["sessionId"])
    taken = account.mechanic().post(f"/api/mechanic/assignments/{asked['assignmentId']}/accept")
    assert taken["sessionId"] == asked["sessionId"]
    duty.wait_for(
        lambda frame: frame.type == "assignment_accepted" and frame.payload["sessionId"] == asked["sessionId"]
    )


def told_on_the_bus(account: Account) -> list[str]:
    """The events of messages, each with the queues that it went to."""
    return [line.text for line in account.lines if line.kind == "bus" and line.text.startswith("message.posted -> ")]


def room_of(account: Account, talk: Talk) -> dict[int, tuple[str, str]]:
    """What is written in a room by its parties: role and words by `seq`; fails where there is a gap."""
    rows = account.world.owner.execute(
        "SELECT seq, role, text FROM session_messages WHERE session_id = %s ORDER BY seq", [talk.id_]
    ).fetchall()
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    return {row["seq"]: (row["role"], row["text"]) for row in rows if row["role"] != "system"}


def has_everything(account: Account, talk: Talk) -> None:
    """What was said is written, once and in order, and each device has it, and nothing of another room."""
    written = room_of(account, talk)
    words = [text for _, text in written.values()]
    assert sorted(words) == sorted(text for said in talk.said.values() for text in said)
    for said in talk.said.values():
        assert [text for text in words if text in set(said)] == said
    for member in talk.members:
        wait_until(lambda member=member: written.keys() <= member.texts.keys())  # type: ignore[misc]
        theirs = [text for _, text in sorted(member.texts.items()) if text in set(words)]
        assert theirs == words
        assert {frame["sessionId"] for kind in ("message", "room") for frame in member.pushed(kind)} == {str(talk.id_)}


def test_a_hundred_people_have_everything_once_and_the_queue_goes_on(
    account: Account, pool: ThreadPoolExecutor, talks: list[Talk]
) -> None:
    flooded, over = talks[0], threading.Event()
    with FeedClient.of(account.mechanic()) as duty:
        floods: list[Future[int]] = [
            pool.submit(flood, flooded, member, f"device {number}", over)
            for number, member in enumerate(flooded.members)
        ]
        others = [pool.submit(talk_of, talk) for talk in talks[1:]]
        try:
            for _ in range(REQUESTS):
                is_taken(account, duty)
        finally:
            over.set()
        for other in others:
            other.result()
        assert sum(each.result() for each in floods) > 0
        assert duty.of_type("message") == duty.of_type("room") == []
    written = "SELECT least(customer_written, mechanic_written) FROM rooms WHERE session_id = %s"
    assert account.world.one(written, flooded.id_) >= MESSAGES
    for talk in talks:
        has_everything(account, talk)
    wait_until(lambda: len(told_on_the_bus(account)) >= 2 * MESSAGES + 4 * (ROOMS - 1))
    assert [text for text in told_on_the_bus(account) if "FeedQueue" in text] == []  # the one FIFO group has no word


def test_nobody_else_waits_for_the_lock_of_a_room(account: Account, pool: ThreadPoolExecutor) -> None:
    """What did would be refused: the lock is held as long as it takes, and nobody's patience is longer."""
    locked, free = accepted(account), accepted(account)
    client_id = str(new_id())
    with (
        FeedClient.of(account.mechanic()) as duty,
        Member(free.parties[0], free.session) as driver,
        Member(free.parties[1], free.session) as helper,
        psycopg.connect(account.world.urls.owner_url) as holder,
    ):
        holder.execute("SELECT FROM rooms WHERE session_id = %s FOR UPDATE", [locked.id_])
        body = {"clientId": client_id, "text": "Hello?"}
        writing = pool.submit(locked.parties[0].send, "POST", f"{locked.session}/messages", body)
        account.world.wait_until_sent("post_message")
        is_taken(account, duty)
        driver.say("Here we talk.")
        helper.hears("Here we talk.")
        assert locked.parties[1].get(f"{locked.session}/messages")["messages"] != []  # to read waits for nobody
        holder.rollback()
        assert writing.result().status_code in {201, 409}  # whoever writes there waits two seconds at most
    locked.parties[0].post(f"{locked.session}/messages", body, 201)
    assert [text for _, text in room_of(account, locked).values()] == ["Hello?"]
