"""The WebSocket API as API Gateway runs it: handshake, routes, limits, and `$disconnect` after any end."""

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.uri import parse_uri

from localcloud.gateway.socket_connection import Lifetime
from support.events.feed_client import FeedClient
from support.events.socket_probe import Probe, running_probe
from support.wait import wait_until


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """Run the stack of the probe once for all tests here."""
    with running_probe(tmp_path_factory.mktemp("sockets")) as probe:
        yield probe


def without(event: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in names}


def test_connects_with_the_event_of_a_proxy_integration(probe: Probe) -> None:
    with FeedClient(probe.url(ticket="a b", since="7"), headers={"X-Twice": "one"}):
        pass
    event = probe.events("CONNECT")[-1]
    context = event["requestContext"]
    assert event["queryStringParameters"] == {"ticket": "a b", "since": "7"}
    assert event["multiValueQueryStringParameters"] == {"ticket": ["a b"], "since": ["7"]}
    assert event["headers"]["X-Twice"] == "one"
    assert event["multiValueHeaders"]["X-Twice"] == ["one"]
    assert not {"Connection", "Upgrade"} & set(event["headers"])
    assert event["isBase64Encoded"] is False
    assert without(context, "requestId", "extendedRequestId", "requestTime", "connectionId", "identity") == {
        "routeKey": "$connect",
        "eventType": "CONNECT",
        "messageDirection": "IN",
        "stage": "live",
        "connectedAt": context["connectedAt"],
        "requestTimeEpoch": context["requestTimeEpoch"],
        "domainName": urlsplit(probe.cloud.api_url).netloc,
        "apiId": "ProbeApi",
    }
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert abs(context["connectedAt"] / 1000 - time.time()) < 30


def test_a_request_without_query_has_no_parameters(probe: Probe) -> None:
    with probe.connect():
        assert "queryStringParameters" not in probe.events("CONNECT")[-1]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"status": "401"}, 401),
        ({"status": "403"}, 403),
        ({"status": "302"}, 302),
        ({"status": "500"}, 500),
        ({"raise": "no"}, 502),
        ({"exit": "now"}, 502),
        ({"malformed": "yes"}, 502),
        ({"sleep": "30"}, 502),
    ],
)
def test_refuses_the_handshake_with_the_status_of_connect(probe: Probe, query: dict[str, str], status: int) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(probe.url(**query), proxy=None, open_timeout=60):
        pass
    assert refused.value.response.status_code == status
    assert probe.events("DISCONNECT", probe.last_id()) == []


@pytest.mark.parametrize("path", ["/_ws/ProbeApi/live", "/_ws/ProbeApi/nowhere", "/_ws/Nothing/live"])
def test_answers_what_is_no_handshake_without_a_function(probe: Probe, path: str) -> None:
    before = len(probe.events("CONNECT"))
    connection = http.client.HTTPConnection(urlsplit(probe.cloud.api_url).netloc)
    connection.request("GET", path)
    assert connection.getresponse().status in (403, 426)
    connection.close()
    assert len(probe.events("CONNECT")) == before


def test_routes_a_message_by_its_action(probe: Probe) -> None:
    with probe.connect() as client:
        connection_id = probe.last_id()
        messages = ['{"action": "custom", "n": 1}', '{"action": "$connect"}', "[1]", "no JSON", '{"action": {}}']
        for number, message in enumerate(messages, start=1):
            client.send(message)
            probe.wait_for_events("MESSAGE", connection_id, number)
    events = probe.events("MESSAGE", connection_id)
    assert [event["body"] for event in events] == messages
    routes = [event["requestContext"]["routeKey"] for event in events]
    assert routes == ["custom", "$default", "$default", "$default", "$default"]
    assert len({event["requestContext"]["messageId"] for event in events}) == 5


@pytest.mark.parametrize("order", [{"raise": "no"}, {"malformed": 1}, {"action": "hasty", "sleep": 0.6}])
def test_reports_a_failing_integration_to_the_client(probe: Probe, order: dict[str, object]) -> None:
    with probe.connect() as client:
        client.send(order)
        report = client.wait_for(lambda _: True).message
        assert report["message"] == "Internal server error"
        assert report["connectionId"] == probe.last_id()
        assert report["requestId"]


def test_answers_nothing_by_itself(probe: Probe) -> None:
    with probe.connect() as client:
        client.send({"status": 500})
        probe.wait_for_events("MESSAGE", probe.last_id())
        client.send({"raise": "no"})  # its report comes after whatever the first was answered with
        client.wait_for(lambda frame: frame.message["message"] == "Internal server error")
        assert len(client.received) == 1


def test_forbids_a_message_without_a_route(probe: Probe) -> None:
    with FeedClient(probe.url("OtherApi")) as client:
        client.send({"do": {"what": "unknown"}})
        assert client.wait_for(lambda _: True).message["message"] == "Forbidden"
        client.send({"do": {"what": "known"}})
        connection_id = client.received[0].message["connectionId"]
        [event] = probe.wait_for_events("MESSAGE", connection_id)
        assert event["requestContext"]["routeKey"] == "known"


def test_fires_disconnect_once_with_what_the_client_said(probe: Probe) -> None:
    client = probe.connect()
    connection_id = probe.last_id()
    client.close(4001, "enough")
    assert probe.farewell(connection_id) == (4001, "enough")
    [event] = probe.events("DISCONNECT", connection_id)
    assert (
        event["requestContext"]["connectedAt"]
        == probe.events("CONNECT", connection_id)[0]["requestContext"]["connectedAt"]
    )


def test_fires_disconnect_for_a_client_that_vanishes(probe: Probe) -> None:
    client = probe.connect()
    connection_id = probe.last_id()
    client.vanish()
    assert probe.farewell(connection_id) == (1006, "")


def test_fires_disconnect_for_a_client_that_vanishes_during_connect(probe: Probe) -> None:
    before = len(probe.events("CONNECT"))
    url = urlsplit(probe.url(sleep="2"))
    with socket.create_connection((url.hostname, url.port)) as raw:
        handshake = ClientProtocol(parse_uri(url.geturl()))
        handshake.send_request(handshake.connect())
        raw.sendall(b"".join(handshake.data_to_send()))
        wait_until(lambda: len(probe.events("CONNECT")) > before)
    [event] = probe.wait_for_events("DISCONNECT", probe.last_id())
    assert event["requestContext"]["disconnectStatusCode"] == 1006


@pytest.mark.parametrize("frames", [["x" * (32 * 1024)], ["x" * (32 * 1024)] * 4], ids=["one", "four"])
def test_takes_frames_and_messages_up_to_the_limits(probe: Probe, frames: list[str]) -> None:
    with connect(probe.url(), proxy=None, compression=None) as client:
        connection_id = probe.last_id()
        client.send(frames if len(frames) > 1 else frames[0])
        [event] = probe.wait_for_events("MESSAGE", connection_id)
        assert event["body"] == "".join(frames)


@pytest.mark.parametrize(
    ("message", "code"),
    [("x" * (32 * 1024 + 1), 1009), (["x" * (32 * 1024)] * 4 + ["y"], 1009), (b"bytes", 1003)],
    ids=["frame", "message", "binary"],
)
def test_closes_on_what_is_too_large_or_binary(probe: Probe, message: str | bytes | list[str], code: int) -> None:
    with connect(probe.url(), proxy=None, compression=None) as client:
        connection_id = probe.last_id()
        with contextlib.suppress(ConnectionClosed):  # it may have hung up before the last frame was written
            client.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=60)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code
        assert probe.farewell(connection_id)[0] == code


def test_answers_pings(probe: Probe) -> None:
    with connect(probe.url(), proxy=None) as client:
        assert client.ping().wait(60)


def test_closes_an_idle_connection_and_an_old_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_probe(tmp_path_factory.mktemp("sockets"), Lifetime(1.0, 2.5)) as probe:
        idle, busy = probe.connect(), probe.connect()
        idle_id, busy_id = (event["requestContext"]["connectionId"] for event in probe.events("CONNECT"))
        with contextlib.suppress(ConnectionClosed):
            while True:
                busy.send("still here")
                time.sleep(0.05)
        assert idle.wait_closed() == busy.wait_closed() == (1001, "Going away")
        assert probe.farewell(idle_id) == probe.farewell(busy_id) == (1001, "Going away")


def connects_and_leaves(probe: Probe) -> str:
    """Open and end a connection; what the start has fired is noted by then. Return its id."""
    with probe.connect():
        connection_id = probe.last_id()
    assert probe.farewell(connection_id)[0] == 1000
    return connection_id


def test_fires_disconnect_at_the_next_start_for_what_was_open(tmp_path_factory: pytest.TempPathFactory) -> None:
    data_dir = tmp_path_factory.mktemp("sockets")
    with running_probe(data_dir) as probe:
        gone, kept = probe.connect(), probe.connect()
        gone_id, kept_id = (event["requestContext"]["connectionId"] for event in probe.events("CONNECT"))
        gone.close()
        assert probe.farewell(gone_id)[0] == 1000
        with running_probe(data_dir) as beside:
            gone_too = connects_and_leaves(beside)
            assert beside.events("DISCONNECT", kept_id) == []
    assert kept.wait_closed()[0] == 1001
    with running_probe(data_dir) as probe:
        assert probe.farewell(kept_id) == (1006, "")
    with running_probe(data_dir) as probe:
        last = connects_and_leaves(probe)
        left = [event["requestContext"]["connectionId"] for event in probe.events("DISCONNECT")]
        assert left == [gone_id, gone_too, kept_id, last]


def test_workers_find_the_api_here(probe: Probe) -> None:
    origin = urlsplit(probe.cloud.api_url).netloc
    assert probe.cloud.invoke("ProbeFunction", {"look": True}).payload == {
        "WEBSOCKET_URL": f"ws://{origin}/_ws/ProbeApi/live",
        "WEBSOCKET_ENDPOINT": f"http://{origin}/_ws/ProbeApi/live",
    }


def test_logs_no_ticket(probe: Probe) -> None:
    with probe.connect(ticket="very-secret"):
        pass
    assert any("GET /_ws/ProbeApi/live 101" in str(line) for line in probe.lines)
    assert not any("very-secret" in str(line) for line in probe.lines)
