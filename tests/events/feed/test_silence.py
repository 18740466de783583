"""The sweep that asks API Gateway about the sockets in rooms: who is gone or silent is there no more."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from autodoctor.events.feed import push
from autodoctor.events.feed.silence import AskedSockets, ask_sockets
from autodoctor.ids import new_id
from autodoctor.sessions.presence import join
from support.events.feed_client import FeedClient
from support.events.socket_probe import Probe, running_probe
from support.world import World

PATIENT = 3600.0


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """Run the stack of the probe once for all tests here: its `$disconnect` tells our database nothing."""
    with running_probe(tmp_path_factory.mktemp("sockets")) as probe:
        yield probe


@pytest.fixture
def gateway(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the sweep ask that API."""
    monkeypatch.setenv("WEBSOCKET_ENDPOINT", f"{probe.cloud.api_url}/_ws/ProbeApi/live")
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "eu-central-1"),
    ):
        monkeypatch.setenv(name, value)
    push._pool.cache_clear()  # noqa: SLF001 - it is made for one endpoint
    yield
    used = push._pool()._idle  # noqa: SLF001
    while not used.empty():
        used.get().close()
    push._pool.cache_clear()  # noqa: SLF001


@pytest.fixture
def client(probe: Probe) -> Iterator[FeedClient]:
    """Open a connection."""
    with probe.connect() as client:
        yield client


def in_the_room(world: World, socket: str) -> UUID:
    """A session whose customer is in the room by this socket."""
    customer = new_id()
    session_id = world.waiting(world.mechanic(), customer).session_id
    join(world.app, customer, session_id, world.socket(customer, socket))
    return session_id


def one_silent(session_id: UUID) -> AskedSockets:
    """What the sweep says where the one socket that it asked about, in this room, said nothing."""
    return AskedSockets(asked=1, gone=0, silent=1, rooms=frozenset({session_id}))


def seen(world: World, session_id: UUID) -> dict[str, Any]:
    """Whether the customer is there, and their stretch."""
    row = world.owner.execute(
        "SELECT s.customer_present, p.since, p.until FROM sessions s JOIN session_presence p ON p.session_id = s.id"
        " WHERE s.id = %s",
        [session_id],
    ).fetchone()
    assert row is not None
    return row


@pytest.mark.usefixtures("gateway")
def test_who_says_something_stays(world: World, probe: Probe, client: FeedClient) -> None:
    session_id = in_the_room(world, probe.last_id())
    client.send({"action": "ping"})
    assert ask_sockets(world.app, lambda: PATIENT) == AskedSockets(asked=1, gone=0, silent=0)
    assert seen(world, session_id)["customer_present"]
    assert world.one("SELECT seen_at > connected_at - interval '1 h' FROM realtime_connections")


@pytest.mark.usefixtures("gateway")
def test_who_is_silent_was_there_until_their_last_word(world: World, probe: Probe, client: FeedClient) -> None:
    session_id = in_the_room(world, probe.last_id())
    assert ask_sockets(world.app, lambda: PATIENT, silent_seconds=0.0) == one_silent(session_id)
    row = seen(world, session_id)
    last_word: Any = world.one("SELECT seen_at FROM realtime_connections")
    assert (row["customer_present"], row["until"]) == (False, max(last_word, row["since"]))
    assert client.wait_closed()  # so that its page connects again


@pytest.mark.usefixtures("gateway")
def test_what_is_pushed_to_somebody_keeps_them_not(world: World, probe: Probe, client: FeedClient) -> None:
    """API Gateway's word for activity may cover both directions: the other side could pay itself by typing."""
    session_id = in_the_room(world, probe.last_id())
    world.let_time_pass(91)
    said: Any = world.one("SELECT heard_at FROM realtime_connections")
    push.push({probe.last_id(): [b'{"type": "typing"}']})
    client.wait_for_type("typing")
    assert ask_sockets(world.app, lambda: PATIENT) == one_silent(session_id)
    row = seen(world, session_id)
    assert row["until"] == max(said, row["since"])


@pytest.mark.usefixtures("gateway")
def test_who_is_gone_without_a_word_was_there_as_long_as_we_knew(world: World, probe: Probe) -> None:
    with probe.connect():
        session_id = in_the_room(world, socket := probe.last_id())
        ask_sockets(world.app, lambda: PATIENT)
        known: Any = world.one("SELECT seen_at FROM realtime_connections")
    probe.wait_for_events("DISCONNECT", socket)
    asked = ask_sockets(world.app, lambda: PATIENT, farewell_seconds=0.0)
    assert asked == AskedSockets(asked=1, gone=1, silent=0, rooms=frozenset({session_id}))
    row = seen(world, session_id)
    assert (row["customer_present"], row["until"]) == (False, max(known, row["since"]))
    assert world.one("SELECT count(*) FROM realtime_connections") == 0


@pytest.mark.usefixtures("gateway")
def test_without_time_nobody_is_asked(world: World, probe: Probe, client: FeedClient) -> None:
    assert client.closed_with is None
    session_id = in_the_room(world, probe.last_id())
    assert ask_sockets(world.app, lambda: 1.0) == AskedSockets(asked=0, gone=0, silent=0)
    assert seen(world, session_id)["customer_present"]
