"""The wire to SES, a push service, a socket and the bus fails at each of its messages, and whoever called comes again.

A mail leaves at most once, and surely where the wire was only slow; a browser shows each call once; an event arrives at
the bus and at a client at least once, in the order of its session. Calls of the database and of
Stripe's have test_every_message.py.
"""

import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest

from autodoctor.events import bus, outbox
from autodoctor.events.feed import connections
from autodoctor.events.feed.broadcast import broadcast
from autodoctor.events.feed.push import PushFailed
from autodoctor.events.feed.tickets import issue_ticket
from autodoctor.events.model import detail, event_of
from autodoctor.events.relay import relay
from autodoctor.ids import new_id
from autodoctor.notifications import sender
from autodoctor.notifications.notify import BeingSent
from autodoctor.notifications.sender import NotSent
from autodoctor.push.calls import NotCalled
from localcloud.database.postgres import Database
from support.events.mail_env import MailEnv, ScriptedSes, environment
from support.events.scripted_bus import ScriptedBus, scripted_bus
from support.events.scripted_sockets import Sockets
from support.faults.wire import FAULTS, Fault, Wire, through, wire_to
from support.push_env import PushEnv, open_push_env
from support.world import World

MOST_MESSAGES: Final = 20


@pytest.fixture
def mails(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[MailEnv, Wire]]:
    """Mails that go through a wire."""
    with ScriptedSes().serving() as ses, wire_to(ses.url) as wire:
        for name, value in environment(through(wire, ses.url)).items():
            monkeypatch.setenv(name, value)
        sender._client.cache_clear()  # noqa: SLF001 (an execution environment of the test's own)
        mail_env = MailEnv(database, ses)
        yield mail_env, wire
        mail_env.close()
        sender._client.cache_clear()  # noqa: SLF001


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ScriptedBus, Wire]]:
    """A bus at the end of a wire."""
    with scripted_bus(monkeypatch) as scripted, wire_to(scripted.url) as wire:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", through(wire, scripted.url))
        with _anew():
            yield scripted, wire


@pytest.fixture
def calls(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PushEnv, Wire]]:
    """Browsers whose push service is at the end of a wire."""
    with ExitStack() as stack:
        wires: list[Wire] = []

        def rewire(url: str) -> str:
            wires.append(stack.enter_context(wire_to(url)))
            return through(wires[0], url)

        push_env = stack.enter_context(open_push_env(database, tmp_path, monkeypatch, rewire))
        yield push_env, wires[0]


def connected(world: World, user_id: UUID) -> str:
    """A connection of a customer that takes part."""
    connection_id = str(new_id())
    ticket = issue_ticket(world.app, user_id, frozenset({"customers"})).ticket
    connections.connect(world.app, connection_id, ticket, None)
    assert connections.ready(world.app, connection_id)
    return connection_id


def broadcast_whole(world: World, session_id: UUID) -> None:
    """Have a session's events broadcast until nothing fails, as the feed's queue does."""
    rows = outbox.pending(world.app, session_id)
    made = [event_of(row) for row in rows]
    records = [{"body": json.dumps({"detail-type": e.type, "detail": json.loads(detail(e))})} for e in made]
    for _ in range(5):
        with suppress(PushFailed):
            broadcast(world.app, records)
            outbox.mark_of(world.app, session_id, rows)
            return
    pytest.fail("never broadcast")


@contextmanager
def _anew() -> Iterator[None]:
    bus._bus.cache_clear()  # noqa: SLF001 (an execution environment of the test's own)
    yield
    bus._bus().close()  # noqa: SLF001
    bus._bus.cache_clear()  # noqa: SLF001


def told(mail_env: MailEnv, session_id: UUID) -> None:
    """Have the consumer told until it has nothing left to do, as the queue does."""
    event = mail_env.event(session_id, "session.created")
    for _ in range(5):
        with suppress(NotSent, BeingSent):
            mail_env.tell(event)
            return
        mail_env.owner.execute("UPDATE mail_deliveries SET claimed_at = claimed_at - interval '1 minute'")
    pytest.fail("never told")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mail_leaves_once_whatever_befalls_the_wire_to_ses(mails: tuple[MailEnv, Wire], fault: Fault) -> None:
    mail_env, wire = mails
    for number in itertools.count():
        assert number < MOST_MESSAGES
        before = len(mail_env.ses.asked)
        session_id = mail_env.queued(new_id()).session_id
        wire.fail_at(number, fault)
        told(mail_env, session_id)
        fired = not wire.relent()
        told(mail_env, session_id)
        (*_, mail) = mail_env.deliveries()
        left = len(mail_env.ses.asked) - before
        assert left <= 1
        assert mail["state"] in ("sent", "unknown")
        assert left == 1 or mail["state"] == "unknown"
        assert mail["state"] == "sent" or (fired and fault != "delay")
        if not fired:
            break
    assert number >= 2
    assert wire.fired[fault] == number


@pytest.mark.parametrize("fault", FAULTS)
def test_a_call_reaches_its_browser_whatever_befalls_the_wire_to_the_push_service(
    calls: tuple[PushEnv, Wire], fault: Fault
) -> None:
    push_env, wire = calls
    for number in itertools.count():
        assert number < MOST_MESSAGES
        mechanic = push_env.mechanic()
        browser = push_env.browser(mechanic.user_id)
        created = push_env.queued(new_id())
        wire.fail_at(number, fault)
        with suppress(NotCalled):
            push_env.told(created.session_id)
        fired = not wire.relent()
        push_env.told(created.session_id)
        assert [each["topic"] for each in browser.read()] == [created.assignment_id.hex]
        push_env.owner.execute("UPDATE mechanics SET available_until = NULL WHERE id = %s", [mechanic.id])
        if not fired:
            break
    assert number >= 2
    assert wire.fired[fault] == number


@pytest.mark.parametrize("fault", FAULTS)
def test_an_event_arrives_in_order_whatever_befalls_the_wire_to_the_bus(
    world: World, events: tuple[ScriptedBus, Wire], fault: Fault
) -> None:
    scripted, wire = events
    for number in itertools.count():
        assert number < MOST_MESSAGES
        session_id = world.waiting(world.mechanic()).session_id
        many = world.one("SELECT count(*) FROM outbox WHERE subject_id = %s", session_id)
        wire.fail_at(number, fault)
        for _ in range(5):
            with suppress(OSError):
                relay(world.app, lambda: 60.0, grace_seconds=0)
            if world.one("SELECT count(*) FROM outbox") == 0:
                break
        fired = not wire.relent()
        assert world.one("SELECT count(*) FROM outbox") == 0
        first = list(dict.fromkeys(scripted.of(session_id)))
        assert first == list(range(1, many + 1))
        if not fired:
            break
    assert number >= 2
    assert wire.fired[fault] == number


@pytest.mark.parametrize("fault", FAULTS)
def test_a_client_sees_its_session_in_order_whatever_befalls_the_wire_to_its_socket(
    world: World, sockets: tuple[Sockets, Wire], fault: Fault
) -> None:
    scripted, wire = sockets
    for number in itertools.count():
        assert number < MOST_MESSAGES
        customer = new_id()
        session_id = world.waiting(world.mechanic(), customer).session_id
        client = connected(world, customer)
        wire.fail_at(number, fault)
        broadcast_whole(world, session_id)
        fired = not wire.relent()
        numbers = scripted.numbers(client)
        assert numbers == sorted(numbers)
        statuses = [each["payload"]["status"] for each in scripted.got[client] if each["type"] == "session_updated"]
        assert [status for status, _ in itertools.groupby(statuses)] == ["pending", "waiting"]
        if not fired:
            break
    assert number >= 4
    assert wire.fired[fault] == number
