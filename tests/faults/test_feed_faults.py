"""The feed over real sockets: refusals, vanishing sockets, filled gaps, and nothing shown to the wrong user."""

import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from websockets.exceptions import InvalidStatus

from support.account import Caller
from support.cloud.dev_process import eventually
from support.events.feed_client import FeedClient, Received, feeds
from support.events.pipeline import Pipeline

WITHIN = 30.0


@pytest.fixture(autouse=True)
def _settled(pipeline: Pipeline) -> Iterator[None]:
    """Leave the next test no news of this one's."""
    yield
    pipeline.backlog.work_off()


def present(pipeline: Pipeline, session_id: str, role: str) -> bool:
    """Whether a party is in the session."""
    columns = {
        "customer": "SELECT customer_present FROM sessions WHERE id = %s",
        "mechanic": "SELECT mechanic_present FROM sessions WHERE id = %s",
    }
    here: bool = pipeline.world.one(columns[role], session_id)
    return here


def connections_of(pipeline: Pipeline, caller: Caller, *, ready: bool = True) -> list[str]:
    """The ids of somebody's connections."""
    rows = pipeline.world.owner.execute(
        "SELECT connection_id FROM realtime_connections WHERE user_id = %s AND ready >= %s ORDER BY connected_at",
        [caller.user_id, ready],
    )
    return [row["connection_id"] for row in rows]


def taking_part(pipeline: Pipeline, caller: Caller, count: int = 1) -> list[str]:
    """The same, once there are so many that take part."""
    assert eventually(lambda: len(connections_of(pipeline, caller)) == count, within=WITHIN)
    return connections_of(pipeline, caller)


def assignments_told(feed: FeedClient) -> set[str]:
    """The assignments a mechanic was shown."""
    return {frame.payload["assignmentId"] for frame in feed.of_type("new_assignment")}


def refused(url: str) -> int:
    """The HTTP status that a handshake is refused with."""
    with pytest.raises(InvalidStatus) as refusal:
        FeedClient(url)
    return refusal.value.response.status_code


def test_a_handshake_is_refused_with_its_http_status(pipeline: Pipeline) -> None:
    customer = pipeline.account.customer()
    ticket = customer.post("/api/realtime/ticket")
    url = ticket["url"]
    assert refused(url) == 401
    assert refused(f"{url}?ticket=guessed") == 401
    assert refused(f"{url}?{urlencode({'ticket': ticket['ticket'], 'since': 'x'})}") == 422
    FeedClient.with_ticket(url, ticket["ticket"]).close()
    assert refused(f"{url}?{urlencode({'ticket': ticket['ticket']})}") == 401, "a ticket opens one connection"
    late = customer.post("/api/realtime/ticket")
    pipeline.world.let_time_pass(61)
    assert refused(f"{url}?{urlencode({'ticket': late['ticket']})}") == 401


def test_a_socket_that_vanishes_has_left_its_session(pipeline: Pipeline) -> None:
    customer, mechanic = pipeline.account.customer(), pipeline.account.mechanic()
    feed = FeedClient.of(customer)
    [connection] = taking_part(pipeline, customer)
    intake = pipeline.account.queued(customer)
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    customer.post(f"/api/sessions/{intake['sessionId']}/join", {"connectionId": connection})
    assert present(pipeline, intake["sessionId"], "customer")
    feed.vanish()
    assert eventually(lambda: not present(pipeline, intake["sessionId"], "customer"), within=WITHIN)
    assert connections_of(pipeline, customer) == []
    customer.post(f"/api/sessions/{intake['sessionId']}/end")


def test_a_connection_whose_disconnect_nobody_heard_is_dropped_at_the_first_push(pipeline: Pipeline) -> None:
    """API Gateway promises no $disconnect: here its row is put back after the fact."""
    customer, mechanic = pipeline.account.customer(), pipeline.account.mechanic()
    feed = FeedClient.of(customer)
    [connection] = taking_part(pipeline, customer)
    intake = pipeline.account.queued(customer)
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    pipeline.backlog.work_off()
    feed.close()
    assert eventually(lambda: connections_of(pipeline, customer) == [], within=WITHIN)
    pipeline.account.sql(
        "INSERT INTO realtime_connections (connection_id, user_id, groups, since, ready, expires_at)"
        " SELECT %s, %s, '{customers}', seq, true, now() + interval '1 hour' FROM feed_head",
        connection,
        customer.user_id,
    )
    mechanic.post(f"/api/sessions/{intake['sessionId']}/join")
    customer.post(f"/api/sessions/{intake['sessionId']}/join", {"connectionId": connection})  # live: nobody hears of it
    assert eventually(lambda: connections_of(pipeline, customer) == [], within=WITHIN)
    assert eventually(lambda: not present(pipeline, intake["sessionId"], "customer"), within=WITHIN)
    assert pipeline.world.status(intake["sessionId"]) == "live", "leaving is not ending"
    mechanic.post(f"/api/sessions/{intake['sessionId']}/end")


def test_after_a_gap_a_mechanic_gets_exactly_what_they_missed_and_then_what_happens(pipeline: Pipeline) -> None:
    witness, mechanic, taker = (pipeline.account.mechanic() for _ in range(3))
    with FeedClient.of(witness) as all_along:
        before = FeedClient.of(mechanic)
        first = pipeline.account.queued(pipeline.account.customer())
        before.wait_for(lambda frame: frame.payload.get("assignmentId") == first["assignmentId"], WITHIN)
        since = before.last_seq
        before.vanish()
        second = pipeline.account.queued(pipeline.account.customer())
        taker.post(f"/api/mechanic/assignments/{first['assignmentId']}/accept")
        pipeline.backlog.work_off()
        with FeedClient.of(mechanic, since=since) as after:
            third = pipeline.account.queued(pipeline.account.customer())
            for feed in (all_along, after):
                feed.wait_for(lambda frame: frame.payload.get("assignmentId") == third["assignmentId"], WITHIN)
            pipeline.backlog.work_off()
            assert assignments_told(after) == {second["assignmentId"], third["assignmentId"]}
            assert numbers(before.received) + numbers(after.received) == numbers(all_along.received)
            assert after.of_type("resync") == []


def numbers(received: list[Received]) -> list[tuple[int | None, str]]:
    """Number and type of what came, in order."""
    return [(frame.seq, frame.type) for frame in received if frame.type != "session_updated"]


def test_reconnecting_while_much_happens_misses_nothing_and_repeats_nothing(pipeline: Pipeline) -> None:
    witness, mechanic = pipeline.account.mechanic(), pipeline.account.mechanic()
    with FeedClient.of(witness) as all_along:
        feed = FeedClient.of(mechanic)
        first = pipeline.account.queued(pipeline.account.customer())
        for client in (all_along, feed):
            client.wait_for(lambda frame: frame.payload.get("assignmentId") == first["assignmentId"], WITHIN)
        received: list[Received] = []
        for _ in range(6):
            pipeline.account.queued(pipeline.account.customer())
            feed.vanish()
            received += feed.received
            pipeline.account.queued(pipeline.account.customer())
            feed = FeedClient.of(mechanic, since=max(frame.seq for frame in received if frame.seq is not None))
        pipeline.backlog.work_off()
        deadline = time.monotonic() + WITHIN
        while all_along.last_seq != feed.last_seq and time.monotonic() < deadline:
            time.sleep(0.05)
        received += feed.received
        feed.close()
        assert len(received) == 13
        assert numbers(received) == numbers(all_along.received)


def test_who_was_away_too_long_is_told_to_fetch_everything_anew(pipeline: Pipeline) -> None:
    mechanic = pipeline.account.mechanic()
    pipeline.account.queued(pipeline.account.customer())
    pipeline.backlog.work_off()
    pipeline.world.let_time_pass(2 * 3600)
    assert pipeline.relay()["depth"] == 0  # which also forgets old messages
    for since in (0, 10**9):
        with FeedClient.of(mechanic, since=since) as feed:
            feed.wait_for_type("resync", WITHIN)
            intake = pipeline.account.queued(pipeline.account.customer())
            shown = feed.wait_for_type("new_assignment", WITHIN)
            assert shown.payload["assignmentId"] == intake["assignmentId"], "and takes part from then on"


def test_a_suspended_mechanic_is_shown_nothing_and_others_only_their_queue(pipeline: Pipeline) -> None:
    world, account = pipeline.world, pipeline.account
    workshop, other = world.workshop(), world.workshop()
    people = {
        "independent": world.mechanic(),
        "of the workshop": world.mechanic(workshop),
        "of another": world.mechanic(other),
        "suspended before": world.mechanic(),
        "suspended after": world.mechanic(),
    }
    callers = {name: account.mechanic(person) for name, person in people.items()}
    account.sql("UPDATE mechanics SET status = 'suspended' WHERE id = %s", people["suspended before"].id)
    stranger = account.customer()
    with feeds(*callers.values(), stranger) as opened:
        for caller in (*callers.values(), stranger):
            taking_part(pipeline, caller)
        account.sql("UPDATE mechanics SET status = 'suspended' WHERE id = %s", people["suspended after"].id)
        customers = [account.customer() for _ in range(3)]
        general, own, offered = (
            account.queued(customers[0], urgent=True),
            account.queued(customers[1], workshopId=str(workshop)),
            account.queued(customers[2], preferredMechanicId=str(people["independent"].id)),
        )
        for customer, intake in zip(customers, (general, own, offered), strict=True):
            customer.post(f"/api/sessions/{intake['sessionId']}/end")
        pipeline.backlog.work_off()
        told = {name: assignments_told(feed) for name, feed in zip(callers, opened, strict=False)}
        gone = {
            name: {frame.payload.get("assignmentId") for frame in feed.of_type("assignment_cancelled")}
            for name, feed in zip(callers, opened, strict=False)
        }
        assert opened[-1].received == []
    # by the time of a push the request may be over: then only its end is told, and that to whom it was shown
    queues = {
        "independent": {general["assignmentId"], offered["assignmentId"]},
        "of the workshop": {general["assignmentId"], own["assignmentId"]},
        "of another": {general["assignmentId"]},
        "suspended before": set(),
        "suspended after": set(),
    }
    for name, shown in queues.items():
        assert told[name] <= shown, name
        assert gone[name] == shown, name
