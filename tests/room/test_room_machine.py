"""Two parties talk over a network that loses, repeats and reorders; devices reconnect, mechanics change, one is erased.

Whatever happens: no gap, no duplicate, nothing for a stranger; and whoever asks has everything.
"""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from autodoctor.db import Database, Row
from autodoctor.errors import Problem
from autodoctor.events.feed import connections
from autodoctor.events.feed.tickets import issue_ticket
from autodoctor.ids import FIRST, LAST, new_id
from autodoctor.integrity.checks import rooms
from autodoctor.operations.privacy import CustomerBusy, erase_customer
from autodoctor.room.frames import MessagePushed, entered, frame
from autodoctor.room.messages import Message, MessageRequest, Posted, mark, post
from autodoctor.sessions.presence import join, leave, release
from support.room.device import Device
from support.world import World

WORDS = st.text(st.characters(categories=("L", "N", "P", "S", "Z")), min_size=1, max_size=40).map(
    lambda text: f"{text}."
)
DEVICES = st.integers(0, 4)
BIND = "SELECT * FROM bind_room(%(connection_id)s, %(session_id)s, %(after)s, 5)"
UNPUSHED = "SELECT id, payload FROM outbox WHERE type = 'message.posted'"
AUDIENCE = "SELECT * FROM room_audience(%(session_id)s, %(seq)s, NULL)"


class Rooms(RuleBasedStateMachine):
    """Two devices of a customer, one of each of two mechanics, one of a stranger."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.erased = True

    @initialize()
    def meet(self) -> None:
        self.world.clear()
        self.world.lift_limits()
        self.customer, self.stranger = new_id(), new_id()
        self.mechanics = [self.world.mechanic(), self.world.mechanic()]
        self.session = self.world.waiting(self.mechanics[0], self.customer).session_id
        users = [self.customer, self.customer, *(each.user_id for each in self.mechanics), self.stranger]
        self.devices = [Device(user) for user in users]
        self.unanswered: list[tuple[Device, MessageRequest]] = []
        self.erased = False

    # --- what people do -----------------------------------------------------------------------------

    @rule(device=DEVICES, words=WORDS, answered=st.booleans(), pushed=st.booleans())
    def say(self, device: int, words: str, *, answered: bool, pushed: bool) -> None:
        """Write; the answer may be lost, and the process may die before it pushes."""
        user = self.devices[device].user_id
        request = MessageRequest.model_validate({"clientId": new_id(), "text": words})
        posted = self.attempt(lambda: post(self.world.app, user, self.session, request))
        if posted is not None:
            self.after(posted, pushed=pushed)
            if not answered:
                self.unanswered.append((self.devices[device], request))

    @precondition(lambda self: self.unanswered)
    @rule(pushed=st.booleans())
    def say_again(self, *, pushed: bool) -> None:
        """What got no answer is sent once more."""
        device, request = self.unanswered.pop()
        before = self.latest()
        posted = self.attempt(lambda: post(self.world.app, device.user_id, self.session, request))
        assert self.latest() == before
        if posted is not None:
            self.after(posted, pushed=pushed)

    @rule(device=DEVICES, seq=st.integers(0, 9))
    def read(self, device: int, seq: int) -> None:
        user = self.devices[device].user_id
        before = self.room()
        if self.attempt(lambda: mark(self.world.app, user, self.session, seq)) is not None:
            after = self.room()
            assert (after["customer_read"], after["mechanic_read"]) >= (
                before["customer_read"],
                before["mechanic_read"],
            )

    @rule(device=DEVICES)
    def come(self, device: int) -> None:
        self.attempt(lambda: join(self.world.app, self.devices[device].user_id, self.session))

    @rule(device=DEVICES)
    def go(self, device: int) -> None:
        self.attempt(lambda: leave(self.world.app, self.devices[device].user_id, self.session))

    @rule(which=st.integers(0, 1))
    def give_back(self, which: int) -> None:
        self.attempt(lambda: release(self.world.app, self.mechanics[which].user_id, self.session))

    @rule(which=st.integers(0, 1))
    def accept(self, which: int) -> None:
        self.attempt(lambda: self.world.accept_current(self.mechanics[which], self.session))

    @rule(device=st.integers(0, 3))
    def end(self, device: int) -> None:
        self.attempt(lambda: self.world.end(self.devices[device].user_id, self.session))

    @rule()
    def erase(self) -> None:
        owner = Database(lambda: self.world.urls.owner_url)
        try:
            erase_customer(owner, self.customer, "ada")
        except CustomerBusy:
            return
        finally:
            owner.close()
        self.erased = True
        for device in self.devices:
            device.connection_id, device.wire = None, []

    # --- what the network does ----------------------------------------------------------------------

    @rule(device=DEVICES)
    def connect(self, device: int) -> None:
        """Open a connection, the old one being gone, and enter with what one has."""
        self.enter(self.devices[device])

    @rule(device=DEVICES, frame_number=st.integers(0, 5), again=st.booleans())
    def arrive(self, device: int, frame_number: int, *, again: bool) -> None:
        """One of the frames on the way arrives, perhaps before earlier ones, perhaps to arrive once more."""
        wire = self.devices[device].wire
        if wire:
            sent = wire[frame_number % len(wire)] if again else wire.pop(frame_number % len(wire))
            self.devices[device].take(sent)

    @rule(device=DEVICES)
    def lose(self, device: int) -> None:
        """The connection is cut, and what was on the way with it."""
        self.cut(self.devices[device])

    @rule()
    def deliver(self) -> None:
        """The relay publishes what no process did, and the consumer pushes it."""
        for row in self.world.owner.execute(UNPUSHED).fetchall():
            audience = self.world.app.one(AUDIENCE, {"session_id": self.session, "seq": row["payload"]["seq"]})
            assert audience is not None
            self.push(audience["connections"], Message(**audience["messages"][0]))
            self.world.owner.execute("DELETE FROM outbox WHERE id = %s", [row["id"]])

    # --- what is always true ------------------------------------------------------------------------

    @invariant()
    def the_rooms_are_as_verify_wants_them(self) -> None:
        assert list(rooms.check(self.world.owner, FIRST, LAST)) == []

    @invariant()
    def devices_show_every_message_once_and_in_order(self) -> None:
        written = self.written()
        for device in self.devices:
            assert list(device.shown) == list(range(1, len(device.shown) + 1))
            for seq, text in device.shown.items():
                assert text == written[seq] or (self.erased and written[seq] == "")

    @invariant()
    def a_stranger_hears_nothing(self) -> None:
        stranger = self.devices[-1]
        assert (stranger.shown, stranger.wire) == ({}, [])

    def teardown(self) -> None:
        """Whoever asks has everything, and who may not has nothing more."""
        for device in [] if self.erased else self.devices:
            before = len(device.shown)
            for _ in range(self.latest() + 2):
                self.enter(device)
                while device.wire:
                    device.take(device.wire.pop(0))
            assert device.connection_id is None or device.shown == self.written()
            assert device.connection_id is not None or len(device.shown) == before

    # --- how ----------------------------------------------------------------------------------------

    def attempt[T](self, act: Callable[[], T]) -> T | None:
        """Do something that the contract may refuse, with a typed problem."""
        try:
            return act()
        except Problem:
            return None

    def after(self, posted: Posted, *, pushed: bool) -> None:
        """What a call does once it has committed, unless its process dies first."""
        told = posted.told
        assert told is not None
        if pushed and told.message is not None:
            self.push(told.connections, told.message)
            if told.event is not None:
                self.world.owner.execute("DELETE FROM outbox WHERE id = %s", [told.event["id"]])

    def push(self, audience: list[str], message: Message) -> None:
        sent = frame(MessagePushed(session_id=self.session, message=message))
        for device in self.devices:
            if device.connection_id in audience:
                device.wire.append(sent)

    def enter(self, device: Device) -> None:
        self.cut(device)
        connection_id = str(new_id())
        ticket = issue_ticket(self.world.app, device.user_id, frozenset()).ticket
        connections.connect(self.world.app, connection_id, ticket, None)
        parameters = {"connection_id": connection_id, "session_id": self.session, "after": device.last}
        row = self.world.app.one(BIND, parameters)
        if row is not None:
            device.connection_id = connection_id
            device.wire.extend(entered(self.session, row))

    def cut(self, device: Device) -> None:
        if device.connection_id is not None:
            connections.drop(self.world.app, [device.connection_id])
        device.connection_id, device.wire = None, []

    def room(self) -> Row:
        row = self.world.owner.execute("SELECT * FROM rooms WHERE session_id = %s", [self.session]).fetchone()
        assert row is not None
        return row

    def latest(self) -> int:
        latest: int = self.room()["latest"]
        return latest

    def written(self) -> dict[int, str | None]:
        rows = self.world.owner.execute("SELECT seq, text FROM session_messages ORDER BY seq").fetchall()
        return {row["seq"]: row["text"] for row in rows}


def test_no_gap_no_duplicate_no_stranger(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSOCKET_URL", "wss://example.com/live")
    run_state_machine_as_test(
        lambda: Rooms(world),  # type: ignore[arg-type]  # it is called, and nothing else
        settings=settings(max_examples=25, stateful_step_count=30, suppress_health_check=list(HealthCheck)),
    )
