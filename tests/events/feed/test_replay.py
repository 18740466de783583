"""Missed messages after a reconnect, duplicate and late events, and the messages to the parties of a session."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest

from autodoctor.db import Database as Connections
from autodoctor.errors import Unauthenticated, Unprocessable
from autodoctor.events.feed import connections, messages
from autodoctor.events.feed.tickets import issue_ticket
from autodoctor.ids import new_id
from autodoctor.sessions.accept import decline
from autodoctor.sessions.presence import join, release
from events.feed.test_feed import connected, events_of, send_messages
from localcloud.database.postgres import Database
from support.world import World


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("WEBSOCKET_URL", "wss://example.com/live")
    return world


def opened(world: World, user_id: UUID, group: str, since: int | None = None) -> str:
    """A connection that has not been welcomed yet."""
    connection_id = str(new_id())
    ticket = issue_ticket(world.app, user_id, frozenset({group})).ticket
    connections.connect(world.app, connection_id, ticket, None if since is None else str(since))
    return connection_id


def missed(world: World, connection_id: str) -> list[tuple[str, str]]:
    """Type and status of what a connection is owed."""
    owed = connections.owed(world.app, connection_id)
    assert owed is not None
    assert not owed.lost
    return [(row["type"], row["status"]) for row in messages.missed(world.app, connection_id, owed.since, 100)]


def head(world: World) -> int:
    """The last number given out."""
    seq: int = world.one("SELECT seq FROM feed_head")
    return seq


def test_a_ticket_opens_one_connection(world: World) -> None:
    ticket = issue_ticket(world.app, new_id(), frozenset({"customers"})).ticket
    connections.connect(world.app, "first", ticket, None)
    with pytest.raises(Unauthenticated):
        connections.connect(world.app, "second", ticket, None)
    connections.connect(world.app, "first", ticket, None)  # the answer to the first attempt was lost


def test_a_ticket_is_good_for_a_minute(world: World) -> None:
    ticket = issue_ticket(world.app, new_id(), frozenset({"customers"})).ticket
    world.owner.execute("UPDATE realtime_tickets SET expires_at = expires_at - interval '61 seconds'")
    with pytest.raises(Unauthenticated):
        connections.connect(world.app, "late", ticket, None)


@pytest.mark.parametrize("since", ["", "-1", "1.5", "x", "9" * 40, "0" * 20 + "9" * 40, "\u0661"])
def test_a_since_that_is_no_number_is_refused_and_the_ticket_stays_good(world: World, since: str) -> None:
    ticket = issue_ticket(world.app, new_id(), frozenset({"customers"})).ticket
    with pytest.raises(Unprocessable):
        connections.connect(world.app, "connection", ticket, since)
    connections.connect(world.app, "connection", ticket, "0")


@pytest.mark.parametrize("feed", ["", "1", "this one"])
def test_a_feed_that_is_no_id_is_refused(world: World, feed: str) -> None:
    ticket = issue_ticket(world.app, new_id(), frozenset({"customers"})).ticket
    with pytest.raises(Unprocessable):
        connections.connect(world.app, "connection", ticket, "0", feed)


@pytest.mark.parametrize("same", [True, False])
def test_numbers_count_only_within_their_feed(world: World, *, same: bool) -> None:
    """Another database may have given the same numbers to other messages."""
    send_messages(world, world.queued().session_id)
    feed = world.one("SELECT feed_id()") if same else new_id()
    ticket = issue_ticket(world.app, new_id(), frozenset({"mechanics"})).ticket
    connections.connect(world.app, "connection", ticket, str(head(world)), str(feed))
    owed = connections.owed(world.app, "connection")
    assert owed is not None
    assert owed.lost is not same


def test_a_feed_is_another_one_after_a_backup_was_put_in_place(world: World) -> None:
    before = world.one("SELECT feed_id()")
    assert world.one("SELECT feed_id()") == before
    world.owner.execute("SELECT republish_events(now())")
    assert world.one("SELECT feed_id()") != before


def test_a_user_s_oldest_connections_are_too_many(world: World) -> None:
    user, another = new_id(), new_id()
    mine = [opened(world, user, "customers") for _ in range(7)]
    opened(world, another, "customers")
    owed = connections.owed(world.app, mine[-1])
    assert owed is not None
    assert sorted(owed.surplus) == sorted(mine[:2])
    world.owner.execute("INSERT INTO settings (key, value) VALUES ('sockets_per_user', '1')")
    owed = connections.owed(world.app, mine[0])
    assert owed is not None
    assert set(owed.surplus) == set(mine[:-1])


def test_who_was_away_gets_what_they_missed_and_only_that(world: World) -> None:
    mechanic, colleague = world.mechanic(), world.mechanic()
    first = world.queued()
    send_messages(world, first.session_id)
    since = head(world)
    second = world.queued()
    send_messages(world, second.session_id)
    world.accept(colleague, second)
    send_messages(world, second.session_id)
    third = world.queued()
    send_messages(world, third.session_id)
    connection = opened(world, mechanic.user_id, "mechanics", since)
    assert missed(world, connection) == [("assignment_accepted", "accepted"), ("new_assignment", "queued")]


def test_resync_when_since_is_unknown(world: World) -> None:
    send_messages(world, world.queued().session_id)
    old = opened(world, new_id(), "mechanics", 0)
    ahead = opened(world, new_id(), "mechanics", head(world) + 1)
    world.owner.execute("UPDATE feed SET created_at = created_at - interval '61 minutes'")
    messages.prune(world.app)
    for connection in (old, ahead):
        owed = connections.owed(world.app, connection)
        assert owed is not None
        assert owed.lost
    assert world.one("SELECT count(*) FROM feed") == 0
    send_messages(world, world.queued().session_id)
    assert head(world) > 2, "numbers never start again"


def test_what_happens_while_a_connection_is_opened_is_not_missed(world: World) -> None:
    mechanic = world.mechanic()
    connection = opened(world, mechanic.user_id, "mechanics")
    created = world.queued()
    assert connection not in {row["connection_id"] for row in send_messages(world, created.session_id)}
    assert missed(world, connection) == [("new_assignment", "queued")]


def test_a_repeated_event_is_pushed_once_and_an_unsent_one_again(world: World) -> None:
    connected(world, world.mechanic().user_id, "mechanics")
    events = events_of(world, world.queued().session_id)
    messages.record(world.app, events)
    first = messages.unsent(world.app, events)
    messages.record(world.app, events)
    again = messages.unsent(world.app, events)
    assert [row["seq"] for row in first] == [row["seq"] for row in again] != []
    messages.mark_sent(world.app, events)
    messages.record(world.app, events)
    assert messages.unsent(world.app, events) == []


def test_an_event_that_comes_late_tells_nothing_any_more(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    connected(world, mechanic.user_id, "mechanics")
    connected(world, customer, "customers")
    created = world.live(mechanic, customer)
    events = events_of(world, created.session_id)
    live = [event for event in events if event.type == "session.live"]
    messages.record(world.app, live)
    messages.record(world.app, [event for event in events if event.type != "session.live"])
    kinds = [(row["type"], row["status"]) for row in messages.unsent(world.app, events)]
    assert ("session_updated", "waiting") not in kinds
    assert kinds.count(("session_updated", "live")) == 2


def test_both_parties_are_told_each_change_and_nobody_else_is(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    party = {connected(world, customer, "customers"), connected(world, mechanic.user_id, "mechanics")}
    connected(world, new_id(), "customers")
    connected(world, world.mechanic().user_id, "mechanics")
    created = world.live(mechanic, customer)
    rows = [row for row in send_messages(world, created.session_id) if row["type"] == "session_updated"]
    statuses = [(row["status"], row["connection_id"]) for row in rows]
    assert {who for status, who in statuses if status == "live"} == party
    world.end(customer, created.session_id)
    rows = [row for row in send_messages(world, created.session_id) if row["type"] == "session_updated"]
    assert {row["connection_id"] for row in rows} == party
    assert {(row["status"], row["reason"]) for row in rows} == {("cancelled", "too_short")}


def test_a_mechanic_who_gave_a_session_back_is_told_so_and_then_no_more(world: World) -> None:
    mechanic, other, customer = world.mechanic(), world.mechanic(), new_id()
    connection, another = (connected(world, each.user_id, "mechanics") for each in (mechanic, other))
    created = world.waiting(mechanic, customer)
    send_messages(world, created.session_id)
    release(world.app, mechanic.user_id, created.session_id)
    updates = [row for row in send_messages(world, created.session_id) if row["connection_id"] == connection]
    assert ("session_updated", "pending") in {(row["type"], row["status"]) for row in updates}
    world.accept_current(other, created.session_id)
    assert {row["connection_id"] for row in send_messages(world, created.session_id)} == {another}


def test_the_feed_follows_the_groups_of_the_token(world: World) -> None:
    mechanic = world.mechanic()
    as_customer = connected(world, mechanic.user_id, "customers")
    rows = send_messages(world, world.waiting(mechanic).session_id)
    assert as_customer not in {row["connection_id"] for row in rows}


def test_a_declined_offer_is_pushed_to_their_other_devices_and_to_the_queue(
    world: World,
) -> None:
    asked, other = world.mechanic(), world.mechanic()
    mine, theirs = (connected(world, each.user_id, "mechanics") for each in (asked, other))
    created = world.queued(preferredMechanicId=asked.id)
    assert created.assignment_status == "offered"
    send_messages(world, created.session_id)
    decline(world.app, asked.user_id, created.assignment_id)
    rows = send_messages(world, created.session_id)
    to = {(row["connection_id"], row["type"], row["status"]) for row in rows}
    assert (mine, "assignment_expired", "declined") in to
    assert (theirs, "new_assignment", "queued") in to
    assert (mine, "new_assignment", "queued") not in to


def test_who_joined_with_two_sockets_leaves_with_the_last(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    before, after = connected(world, customer, "customers"), connected(world, customer, "customers")
    created = world.waiting(mechanic, customer)
    join(world.app, customer, created.session_id, before)
    join(world.app, mechanic.user_id, created.session_id)
    join(world.app, customer, created.session_id, after)  # the page was loaded again
    connections.drop(world.app, [before])
    assert world.one("SELECT customer_present FROM sessions WHERE id = %s", created.session_id)
    connections.drop(world.app, [after])
    assert not world.one("SELECT customer_present FROM sessions WHERE id = %s", created.session_id)
    assert world.one("SELECT count(*) FROM session_presence WHERE until IS NOT NULL") == 2


def test_of_two_sockets_that_end_at_once_one_takes_the_party_along(world: World, database: Database) -> None:
    mechanic, customer = world.mechanic(), new_id()
    world.lift_limits()
    for _ in range(20):
        both = [connected(world, customer, "customers") for _ in range(2)]
        created = world.waiting(mechanic, customer)
        for connection in both:
            join(world.app, customer, created.session_id, connection)
        together = Barrier(2)

        def end(connection_id: str, together: Barrier = together) -> None:
            own = Connections(lambda: database.app_url)
            own.one("SELECT 1 AS warm", {})
            together.wait()
            connections.drop(own, [connection_id])
            own.close()

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(end, both))
        assert not world.one("SELECT customer_present FROM sessions WHERE id = %s", created.session_id)
        world.end(customer, created.session_id)


def test_an_older_event_is_still_told_to_whom_the_newer_one_is_not_for(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    connection = connected(world, mechanic.user_id, "mechanics")
    created = world.waiting(mechanic, customer)
    send_messages(world, created.session_id)
    release(world.app, mechanic.user_id, created.session_id)
    events = events_of(world, created.session_id)
    messages.record(world.app, [event for event in events if event.type != "session.pending"])
    messages.record(world.app, [event for event in events if event.type == "session.pending"])
    mine = [row["type"] for row in messages.unsent(world.app, events) if row["connection_id"] == connection]
    assert "session_updated" in mine


def test_a_socket_that_ends_takes_its_party_along(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    connection = connected(world, customer, "customers")
    created = world.waiting(mechanic, customer)
    join(world.app, customer, created.session_id, connection)
    join(world.app, mechanic.user_id, created.session_id)
    connections.drop(world.app, [connected(world, customer, "customers")])
    assert world.one("SELECT customer_present FROM sessions WHERE id = %s", created.session_id), "another socket's end"
    connections.drop(world.app, [connection])
    assert not world.one("SELECT customer_present FROM sessions WHERE id = %s", created.session_id)
    assert world.one("SELECT parted_at IS NOT NULL FROM sessions WHERE id = %s", created.session_id)
    connections.drop(world.app, [connection])
    assert world.one("SELECT count(*) FROM session_presence WHERE until IS NOT NULL") == 1
