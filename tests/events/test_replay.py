"""What a client that was away gets, what comes twice or late, and what the parties of a session are told."""

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
from events.test_feed import connected, events_of, told
from integration.actors import Stage
from localcloud.database.postgres import Database


@pytest.fixture
def stage(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("WEBSOCKET_URL", "wss://example.com/live")
    return stage


def opened(stage: Stage, user_id: UUID, group: str, since: int | None = None) -> str:
    """A connection that has not been welcomed yet."""
    connection_id = str(new_id())
    ticket = issue_ticket(stage.app, user_id, frozenset({group})).ticket
    connections.connect(stage.app, connection_id, ticket, None if since is None else str(since))
    return connection_id


def missed(stage: Stage, connection_id: str) -> list[tuple[str, str]]:
    """Type and status of what a connection is owed."""
    owed = connections.owed(stage.app, connection_id)
    assert owed is not None
    assert not owed.lost
    return [(row["type"], row["status"]) for row in messages.missed(stage.app, connection_id, owed.since, 100)]


def head(stage: Stage) -> int:
    """The last number given out."""
    seq: int = stage.one("SELECT seq FROM feed_head")
    return seq


def test_a_ticket_opens_one_connection(stage: Stage) -> None:
    ticket = issue_ticket(stage.app, new_id(), frozenset({"customers"})).ticket
    connections.connect(stage.app, "first", ticket, None)
    with pytest.raises(Unauthenticated):
        connections.connect(stage.app, "second", ticket, None)
    connections.connect(stage.app, "first", ticket, None)  # the answer to the first attempt was lost


def test_a_ticket_is_good_for_a_minute(stage: Stage) -> None:
    ticket = issue_ticket(stage.app, new_id(), frozenset({"customers"})).ticket
    stage.owner.execute("UPDATE realtime_tickets SET expires_at = expires_at - interval '61 seconds'")
    with pytest.raises(Unauthenticated):
        connections.connect(stage.app, "late", ticket, None)


@pytest.mark.parametrize("since", ["", "-1", "1.5", "x", "9" * 40, "\u0661"])
def test_a_since_that_is_no_number_is_refused_and_the_ticket_stays_good(stage: Stage, since: str) -> None:
    ticket = issue_ticket(stage.app, new_id(), frozenset({"customers"})).ticket
    with pytest.raises(Unprocessable):
        connections.connect(stage.app, "connection", ticket, since)
    connections.connect(stage.app, "connection", ticket, "0")


def test_who_was_away_gets_what_they_missed_and_only_that(stage: Stage) -> None:
    mechanic, colleague = stage.mechanic(), stage.mechanic()
    first = stage.queued()
    told(stage, first.session_id)
    since = head(stage)
    second = stage.queued()
    told(stage, second.session_id)
    stage.accept(colleague, second)
    told(stage, second.session_id)
    third = stage.queued()
    told(stage, third.session_id)
    connection = opened(stage, mechanic.user_id, "mechanics", since)
    assert missed(stage, connection) == [("assignment_accepted", "accepted"), ("new_assignment", "queued")]


def test_who_comes_back_with_a_number_that_is_forgotten_or_none_of_ours_has_to_start_afresh(stage: Stage) -> None:
    told(stage, stage.queued().session_id)
    old = opened(stage, new_id(), "mechanics", 0)
    ahead = opened(stage, new_id(), "mechanics", head(stage) + 1)
    stage.owner.execute("UPDATE feed SET created_at = created_at - interval '61 minutes'")
    messages.prune(stage.app)
    for connection in (old, ahead):
        owed = connections.owed(stage.app, connection)
        assert owed is not None
        assert owed.lost
    assert stage.one("SELECT count(*) FROM feed") == 0
    told(stage, stage.queued().session_id)
    assert head(stage) > 2, "numbers never start again"


def test_what_happens_while_a_connection_is_opened_is_not_missed(stage: Stage) -> None:
    mechanic = stage.mechanic()
    connection = opened(stage, mechanic.user_id, "mechanics")
    created = stage.queued()
    assert connection not in {row["connection_id"] for row in told(stage, created.session_id)}
    assert missed(stage, connection) == [("new_assignment", "queued")]


def test_an_event_that_comes_again_is_told_once_and_one_that_was_not_sent_is_told_again(stage: Stage) -> None:
    connected(stage, stage.mechanic().user_id, "mechanics")
    events = events_of(stage, stage.queued().session_id)
    messages.record(stage.app, events)
    first = messages.unsent(stage.app, events)
    messages.record(stage.app, events)
    again = messages.unsent(stage.app, events)
    assert [row["seq"] for row in first] == [row["seq"] for row in again] != []
    messages.mark_sent(stage.app, events)
    messages.record(stage.app, events)
    assert messages.unsent(stage.app, events) == []


def test_an_event_that_comes_late_tells_nothing_any_more(stage: Stage) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    connected(stage, mechanic.user_id, "mechanics")
    connected(stage, customer, "customers")
    created = stage.live(mechanic, customer)
    events = events_of(stage, created.session_id)
    live = [event for event in events if event.type == "session.live"]
    messages.record(stage.app, live)
    messages.record(stage.app, [event for event in events if event.type != "session.live"])
    kinds = [(row["type"], row["status"]) for row in messages.unsent(stage.app, events)]
    assert ("session_updated", "waiting") not in kinds
    assert kinds.count(("session_updated", "live")) == 2


def test_both_parties_are_told_each_change_and_nobody_else_is(stage: Stage) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    party = {connected(stage, customer, "customers"), connected(stage, mechanic.user_id, "mechanics")}
    connected(stage, new_id(), "customers")
    connected(stage, stage.mechanic().user_id, "mechanics")
    created = stage.live(mechanic, customer)
    rows = [row for row in told(stage, created.session_id) if row["type"] == "session_updated"]
    statuses = [(row["status"], row["connection_id"]) for row in rows]
    assert {who for status, who in statuses if status == "live"} == party
    stage.end(customer, created.session_id)
    rows = [row for row in told(stage, created.session_id) if row["type"] == "session_updated"]
    assert {row["connection_id"] for row in rows} == party
    assert {(row["status"], row["reason"]) for row in rows} == {("cancelled", "too_short")}


def test_a_mechanic_who_gave_a_session_back_is_told_so_and_then_no_more(stage: Stage) -> None:
    mechanic, other, customer = stage.mechanic(), stage.mechanic(), new_id()
    connection = connected(stage, mechanic.user_id, "mechanics")
    created = stage.waiting(mechanic, customer)
    told(stage, created.session_id)
    release(stage.app, mechanic.user_id, created.session_id)
    updates = [row for row in told(stage, created.session_id) if row["connection_id"] == connection]
    assert ("session_updated", "pending") in {(row["type"], row["status"]) for row in updates}
    stage.accept_current(other, created.session_id)
    after = [row["type"] for row in told(stage, created.session_id) if row["connection_id"] == connection]
    assert after == ["assignment_accepted"]


def test_the_feed_follows_the_groups_of_the_token(stage: Stage) -> None:
    mechanic = stage.mechanic()
    as_customer = connected(stage, mechanic.user_id, "customers")
    rows = told(stage, stage.waiting(mechanic).session_id)
    assert as_customer not in {row["connection_id"] for row in rows}


def test_a_declined_offer_is_told_to_the_other_devices_of_who_declined_and_to_everybody_it_is_queued_for(
    stage: Stage,
) -> None:
    asked, other = stage.mechanic(), stage.mechanic()
    mine, theirs = (connected(stage, each.user_id, "mechanics") for each in (asked, other))
    created = stage.queued(preferredMechanicId=asked.id)
    assert created.assignment_status == "offered"
    told(stage, created.session_id)
    decline(stage.app, asked.user_id, created.assignment_id)
    rows = told(stage, created.session_id)
    to = {(row["connection_id"], row["type"], row["status"]) for row in rows}
    assert (mine, "assignment_expired", "declined") in to
    assert (theirs, "new_assignment", "queued") in to
    assert (mine, "new_assignment", "queued") not in to


def test_who_joined_with_two_sockets_leaves_with_the_last(stage: Stage) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    before, after = connected(stage, customer, "customers"), connected(stage, customer, "customers")
    created = stage.waiting(mechanic, customer)
    join(stage.app, customer, created.session_id, before)
    join(stage.app, mechanic.user_id, created.session_id)
    join(stage.app, customer, created.session_id, after)  # the page was loaded again
    connections.drop(stage.app, [before])
    assert stage.one("SELECT customer_present FROM sessions WHERE id = %s", created.session_id)
    connections.drop(stage.app, [after])
    assert not stage.one("SELECT customer_present FROM sessions WHERE id = %s", created.session_id)
    assert stage.one("SELECT count(*) FROM session_events WHERE type = 'left'") == 1


def test_of_two_sockets_that_end_at_once_one_takes_the_party_along(stage: Stage, database: Database) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    for _ in range(20):
        both = [connected(stage, customer, "customers") for _ in range(2)]
        created = stage.waiting(mechanic, customer)
        for connection in both:
            join(stage.app, customer, created.session_id, connection)
        together = Barrier(2)

        def end(connection_id: str, together: Barrier = together) -> None:
            own = Connections(lambda: database.app_url)
            own.one("SELECT 1 AS warm", {})
            together.wait()
            connections.drop(own, [connection_id])
            own.close()

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(end, both))
        assert not stage.one("SELECT customer_present FROM sessions WHERE id = %s", created.session_id)
        stage.end(customer, created.session_id)


def test_a_connection_of_somebody_else_stands_for_nobody(stage: Stage) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    theirs = connected(stage, new_id(), "customers")
    created = stage.waiting(mechanic, customer)
    join(stage.app, customer, created.session_id, theirs)
    connections.drop(stage.app, [theirs])
    assert stage.one("SELECT customer_present FROM sessions WHERE id = %s", created.session_id)


def test_an_older_event_is_still_told_to_whom_the_newer_one_is_not_for(stage: Stage) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    connection = connected(stage, mechanic.user_id, "mechanics")
    created = stage.waiting(mechanic, customer)
    told(stage, created.session_id)
    release(stage.app, mechanic.user_id, created.session_id)
    events = events_of(stage, created.session_id)
    messages.record(stage.app, [event for event in events if event.type != "session.pending"])
    messages.record(stage.app, [event for event in events if event.type == "session.pending"])
    mine = [row["type"] for row in messages.unsent(stage.app, events) if row["connection_id"] == connection]
    assert "session_updated" in mine


def test_a_socket_that_ends_takes_its_party_along(stage: Stage) -> None:
    mechanic, customer = stage.mechanic(), new_id()
    connection = connected(stage, customer, "customers")
    created = stage.waiting(mechanic, customer)
    join(stage.app, customer, created.session_id, connection)
    join(stage.app, mechanic.user_id, created.session_id)
    connections.drop(stage.app, [connected(stage, customer, "customers")])
    assert stage.one("SELECT customer_present FROM sessions WHERE id = %s", created.session_id), "another socket's end"
    connections.drop(stage.app, [connection])
    assert not stage.one("SELECT customer_present FROM sessions WHERE id = %s", created.session_id)
    assert stage.one("SELECT parted_at IS NOT NULL FROM sessions WHERE id = %s", created.session_id)
    connections.drop(stage.app, [connection])
    assert stage.one("SELECT count(*) FROM session_events WHERE type = 'left'") == 1
