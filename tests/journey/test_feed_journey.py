"""The feed as a client uses it, over HTTP and WebSocket, against the functions of template.yaml."""

import time

import pytest

from autodoctor.ids import new_id
from support.account import Account, Caller
from support.events.feed_client import FeedClient

PATIENCE_SECONDS = 60.0


def identified(caller: Caller) -> tuple[FeedClient, str]:
    """A feed that knows its own id."""
    client = FeedClient.of(caller)
    client.send({"action": "identify"})
    return client, client.wait_for_type("connected", PATIENCE_SECONDS).payload["connectionId"]


def left(account: Account, session_id: str) -> int:
    """How often somebody has left the session."""
    count: int = account.world.one(
        "SELECT count(*) FROM session_presence WHERE session_id = %s AND until IS NOT NULL", session_id
    )
    return count


@pytest.mark.parametrize("ends", ["close", "vanish"])
def test_a_socket_that_was_named_at_join_means_leaving_when_it_ends(account: Account, ends: str) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    client, connection_id = identified(customer)
    intake = account.queued(customer)
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    session = f"/api/sessions/{intake['sessionId']}"
    customer.post(f"{session}/join", {"connectionId": connection_id})
    assert mechanic.post(f"{session}/join")["sessionStatus"] == "live"
    getattr(client, ends)()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not left(account, intake["sessionId"]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left(account, intake["sessionId"]) == 1
    (party,) = [each for each in customer.get(session)["participants"] if each["role"] == "customer"]
    assert party["present"] is False


def test_a_client_that_has_seen_nothing_yet_knows_from_where_to_ask(account: Account) -> None:
    mechanic, customer = account.mechanic(), account.customer()
    client, _ = identified(mechanic)
    since = client.last_seq
    client.close()
    intake = account.queued(customer)
    with FeedClient.of(mechanic, since=since) as again:
        frame = again.wait_for_type("new_assignment", PATIENCE_SECONDS)
    assert frame.payload["sessionId"] == intake["sessionId"]
    assert set(frame.payload) == {
        *(
            "assignmentId",
            "sessionId",
            "customerName",
            "vehicleSummary",
            "concern",
            "pictureId",
            "urgent",
            "scheduledFor",
        ),
    }


@pytest.mark.parametrize("message", ["", "x", "[]", "null", '{"action": 7}', '{"action": "ping"}', "[" * 5000])
def test_whatever_else_a_client_says_only_keeps_its_connection_alive(account: Account, message: str) -> None:
    client = FeedClient.of(account.customer())
    client.send(message)
    client.send({"action": "identify"})
    client.wait_for_type("connected", PATIENCE_SECONDS)
    client.close()
    assert [frame.type for frame in client.received] == ["connected"]


def test_a_client_that_asks_again_and_again_is_told_once(account: Account) -> None:
    customer = account.customer()
    client, _ = identified(customer)
    for _ in range(50):
        client.send({"action": "identify"})
    account.queued(customer)
    client.wait_for_type("session_updated", PATIENCE_SECONDS)
    client.close()
    assert len(client.of_type("connected")) == 1


def test_who_missed_very_much_starts_afresh_and_holds_nobody_up(account: Account) -> None:
    mechanic, customer = account.mechanic(), account.customer()
    client, _ = identified(mechanic)
    since = client.last_seq
    intake = account.queued(customer)
    client.wait_for_type("new_assignment", PATIENCE_SECONDS)
    client.close()
    account.sql(
        "WITH more AS (UPDATE feed_head SET seq = seq + 300 RETURNING seq - 300 AS before) "
        "INSERT INTO feed (seq, event_id, type, session_id, assignment_id, session_seq, status, sent_at) "
        "SELECT before + n, gen_random_uuid(), 'new_assignment', %s, %s, 2, 'queued', now() "
        "FROM more, generate_series(1, 300) AS n",
        intake["sessionId"],
        intake["assignmentId"],
    )
    with FeedClient.of(mechanic, since=since) as again:
        told = again.wait_for(lambda _frame: True, PATIENCE_SECONDS)
    assert told.type == "resync"
    assert told.payload == {"feed": str(account.world.one("SELECT feed_id()"))}
    with FeedClient.of(mechanic, since=told.seq, feed=told.payload["feed"]) as up_to_date:
        up_to_date.send({"action": "identify"})
        assert up_to_date.wait_for(lambda _frame: True, PATIENCE_SECONDS).type == "connected"


def test_a_client_of_another_feed_is_told_to_start_afresh(account: Account) -> None:
    """Its numbers are of a database that was reset, or of the days after the backup that is in place now."""
    mechanic = account.mechanic()
    client, _ = identified(mechanic)
    account.queued(account.customer())
    since = client.wait_for_type("new_assignment", PATIENCE_SECONDS).seq
    feed = client.of_type("connected")[0].payload["feed"]
    client.close()
    with FeedClient.of(mechanic, since=since, feed=str(new_id())) as lost:
        assert lost.wait_for_type("resync", PATIENCE_SECONDS).payload == {"feed": feed}


def test_a_user_s_sixth_connection_closes_the_oldest_and_the_others_get_every_message(account: Account) -> None:
    mechanic, customer = account.mechanic(), account.customer()
    clients = [identified(mechanic)[0] for _ in range(6)]
    oldest = clients.pop(0)
    assert oldest.wait_for_type("superseded", PATIENCE_SECONDS).message == {"type": "superseded"}
    oldest.wait_closed(PATIENCE_SECONDS)
    account.queued(customer)
    for client in clients:
        client.wait_for_type("new_assignment", PATIENCE_SECONDS)
        client.close()
    assert oldest.of_type("new_assignment") == []
