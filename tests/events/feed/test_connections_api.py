"""`@connections` as boto3 sees it: posts, descriptions, deletions, and connections that are gone."""

import http.client
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from websockets.sync.client import connect

from support.events.feed_client import FeedClient
from support.events.socket_probe import Probe, running_probe
from support.wait import wait_until


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """Run the stack of the probe once for all tests here."""
    with running_probe(tmp_path_factory.mktemp("sockets")) as probe:
        yield probe


@pytest.fixture
def client(probe: Probe) -> Iterator[FeedClient]:
    """Open a connection."""
    with probe.connect() as client:
        yield client


@pytest.fixture(scope="module")
def management(probe: Probe) -> Any:  # noqa: ANN401 (boto3 has no types)
    """Make one boto3 client, which takes a while."""
    return probe.management()


def refused(call: Any, **arguments: object) -> tuple[str, int]:  # noqa: ANN401 (boto3 has no types)
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_posts_to_a_connection_in_order(probe: Probe, client: FeedClient, management: Any) -> None:  # noqa: ANN401
    connection_id = probe.last_id()
    messages = ["first", '{"type": "é", "seq": 2}', "x" * 128 * 1024]
    for message in messages:
        management.post_to_connection(ConnectionId=connection_id, Data=message.encode())
    last = client.wait_for(lambda frame: frame.text == messages[-1])
    assert [frame.text for frame in client.received] == messages
    assert client.received[1].seq == client.last_seq == 2
    assert last.at >= client.received[0].at


def test_refuses_what_is_too_large(probe: Probe, client: FeedClient, management: Any) -> None:  # noqa: ANN401
    too_large = b"x" * (128 * 1024 + 1)
    answer = refused(management.post_to_connection, ConnectionId=probe.last_id(), Data=too_large)
    assert answer == ("PayloadTooLargeException", 413)
    assert client.received == []


def test_describes_a_connection(probe: Probe, client: FeedClient, management: Any) -> None:  # noqa: ANN401
    connection_id = probe.last_id()
    before = management.get_connection(ConnectionId=connection_id)
    assert before["Identity"]["SourceIp"] == "127.0.0.1"

    def active_since() -> bool:
        client.send("hello")
        return bool(management.get_connection(ConnectionId=connection_id)["LastActiveAt"] > before["LastActiveAt"])

    wait_until(active_since)
    after = management.get_connection(ConnectionId=connection_id)
    assert after["ConnectedAt"] == before["ConnectedAt"] <= before["LastActiveAt"]


def test_ends_a_connection(probe: Probe, management: Any) -> None:  # noqa: ANN401
    client = probe.connect()
    connection_id = probe.last_id()
    management.delete_connection(ConnectionId=connection_id)
    gone = {
        refused(management.post_to_connection, ConnectionId=connection_id, Data=b"x"),
        refused(management.get_connection, ConnectionId=connection_id),
        refused(management.delete_connection, ConnectionId=connection_id),
    }
    assert gone == {("GoneException", 410)}
    assert client.wait_closed() == (1000, "Connection Closed Normally")
    assert probe.farewell(connection_id) == (1000, "Connection Closed Normally")


def test_a_connection_is_gone_until_connect_has_answered(probe: Probe, management: Any) -> None:  # noqa: ANN401
    before = len(probe.events("CONNECT"))
    opened: list[FeedClient] = []
    opening = threading.Thread(target=lambda: opened.append(probe.connect(sleep="2")))
    opening.start()
    wait_until(lambda: len(probe.events("CONNECT")) > before)
    connection_id = probe.last_id()
    answer = refused(management.post_to_connection, ConnectionId=connection_id, Data=b"early")
    assert answer == ("GoneException", 410)
    opening.join()
    management.post_to_connection(ConnectionId=connection_id, Data=b"now")
    assert opened[0].wait_for(lambda _: True).text == "now"
    opened[0].close()


def test_an_id_of_another_shape_is_a_bad_request(management: Any) -> None:  # noqa: ANN401
    answer = refused(management.post_to_connection, ConnectionId="nobody", Data=b"x")
    assert answer == ("BadRequestException", 400)


@pytest.mark.parametrize("authorization", [None, "Bearer token", "AWS4-HMAC-SHA256 nothing"])
def test_wants_a_signature(probe: Probe, client: FeedClient, authorization: str | None) -> None:
    connection = http.client.HTTPConnection(urlsplit(probe.cloud.api_url).netloc)
    headers = {"Authorization": authorization} if authorization else {}
    connection.request("POST", f"/_ws/ProbeApi/live/@connections/{probe.last_id()}", b"x", headers)
    assert connection.getresponse().status == 403
    connection.close()
    assert client.received == []


def test_a_client_that_does_not_read_stalls_nobody(probe: Probe, client: FeedClient, management: Any) -> None:  # noqa: ANN401
    reader = probe.last_id()
    raw = socket.create_connection(("127.0.0.1", urlsplit(probe.cloud.api_url).port))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with connect(probe.url(), sock=raw, proxy=None, compression=None, max_queue=1, close_timeout=0.1) as deaf:
        deaf_id = probe.last_id()
        data = b"x" * 128 * 1024
        outcome = ("", 0)
        for _ in range(200):
            try:
                management.post_to_connection(ConnectionId=deaf_id, Data=data)
            except management.exceptions.LimitExceededException as full:
                outcome = full.response["Error"]["Code"], full.response["ResponseMetadata"]["HTTPStatusCode"]
                break
        assert outcome == ("LimitExceededException", 429)
        management.post_to_connection(ConnectionId=reader, Data=b"you")
        client.wait_for(lambda frame: frame.text == "you")
        management.delete_connection(ConnectionId=deaf_id)
        assert probe.farewell(deaf_id)[0] == 1000
        assert deaf.socket is raw
