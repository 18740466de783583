"""Functions are fed from queues as Lambda's pollers do it, and no kill loses a message."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localcloud.messaging.event_sources import failures_named
from support.events.bus_app import BusApp, RunningBusApp, open_bus_app
from support.wait import wait_until

TESTS = Path(__file__).parents[2]


@pytest.fixture
def bus_app(tmp_path: Path) -> Iterator[RunningBusApp]:
    with open_bus_app(tmp_path) as bus_app:
        yield bus_app


def test_gives_records_as_lambda_does(bus_app: RunningBusApp) -> None:
    kind = {"DataType": "String", "StringValue": "greeting"}
    sent = bus_app.send("OrderedQueue.fifo", '{"name": 1}', MessageGroupId="g", MessageAttributes={"kind": kind})
    wait_until(lambda: bus_app.names() == [1])
    [record] = bus_app.noted()[0]["records"]
    assert record["messageId"] == sent["MessageId"]
    assert record["md5OfBody"] == sent["MD5OfMessageBody"]
    assert record["md5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert record["messageAttributes"]["kind"]["stringValue"] == "greeting"
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].endswith(":OrderedQueue.fifo")
    assert record["awsRegion"] == "eu-central-1"
    assert record["attributes"]["MessageGroupId"] == "g"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"]["SequenceNumber"] == sent["SequenceNumber"]
    wait_until(lambda: bus_app.cloud.depth("OrderedQueue").in_flight == 0)


def test_works_on_one_batch_of_a_group_at_a_time_in_order(bus_app: RunningBusApp) -> None:
    bus_app.tell_functions(seconds=0.2)
    bus_app.put(0)
    wait_until(lambda: bus_app.names() == [0])
    bus_app.put(*range(1, 8))
    wait_until(lambda: len(bus_app.names()) == 8)
    assert bus_app.batches() == [[0], [1, 2, 3, 4, 5, 6, 7]]


def test_keeps_only_the_messages_that_the_answer_names(bus_app: RunningBusApp) -> None:
    bus_app.tell_functions(names=["bad"])
    bus_app.put("good", "bad", "fine")
    wait_until(lambda: bus_app.cloud.depth("OrderedDeadLetterQueue").visible == 1)
    assert bus_app.names().count("bad") == 2  # its maxReceiveCount
    assert (bus_app.names().count("good"), bus_app.names().count("fine")) == (1, 1)


@pytest.mark.parametrize("wish", [{"raise": True}, {"die": True}, {"answer": {"batchItemFailures": [{"id": "x"}]}}])
def test_gives_the_whole_batch_again_when_all_of_it_failed(bus_app: RunningBusApp, wish: dict[str, object]) -> None:
    bus_app.tell_functions(**wish)
    bus_app.put("a", "b")
    wait_until(lambda: bool(bus_app.names()))
    bus_app.tell_functions()
    wait_until(lambda: len(bus_app.names()) >= 4)
    assert bus_app.names() == ["a", "b", "a", "b"]


def test_runs_no_more_at_once_than_the_mapping_allows(bus_app: RunningBusApp) -> None:
    bus_app.tell_functions(seconds=0.3)
    for name in range(4):
        bus_app.send("PlainQueue", json.dumps({"name": name}))
    wait_until(lambda: len(bus_app.names()) == 2)
    assert bus_app.cloud.depth("PlainQueue").visible == 2
    wait_until(lambda: len(bus_app.names()) == 4)


def test_a_throttled_batch_is_tried_again_without_a_receive(bus_app: RunningBusApp) -> None:
    bus_app.tell_functions(seconds=0.5)
    for group in ("one", "two"):  # each a batch of its own; the function's concurrency is 1
        bus_app.send("OrderedQueue.fifo", json.dumps({"name": group}), MessageGroupId=group)
        wait_until(lambda: bool(bus_app.noted()))
    wait_until(lambda: bus_app.names() == ["one", "two"])
    assert bus_app.noted()[1]["records"][0]["attributes"]["ApproximateReceiveCount"] == "1"


def test_a_killed_worker_only_delays_its_batch_and_not_for_its_time_out(tmp_path: Path) -> None:
    with open_bus_app(tmp_path, math.inf, OrderedVisibility="600") as bus_app:
        bus_app.tell_functions(seconds=30)
        bus_app.put("held")
        wait_until(lambda: bool(bus_app.noted()))
        bus_app.tell_functions()
        os.kill(bus_app.noted()[0]["pid"], signal.SIGKILL)
        wait_until(lambda: bus_app.names() == ["held", "held"])
        wait_until(lambda: bus_app.cloud.depth("OrderedQueue").in_flight == 0)


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (b"", set()),
        (b"null", set()),
        (b"{}", set()),
        (b'{"batchItemFailures": null}', set()),
        (b'{"batchItemFailures": []}', set()),
        (b'{"batchItemFailures": [{"itemIdentifier": "a"}]}', {"a"}),
        (b'{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "a"}]}', {"a"}),
        (b"{", None),
        (b'"done"', None),
        (b"[]", None),
        (b'{"batchItemFailures": "a"}', None),
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', None),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', None),
        (b'{"batchItemFailures": [{"messageId": "a"}]}', None),
        (b'{"batchItemFailures": ["a"]}', None),
    ],
)
def test_reads_partial_answers_as_lambda_documents_them(answer: bytes, failed: set[str] | None) -> None:
    assert failures_named(answer) == failed


def test_workers_reach_bus_and_queues_with_plain_boto3(bus_app: RunningBusApp) -> None:
    result = bus_app.cloud.invoke("PublisherFunction", {"DetailType": "order.made", "Detail": '{"name": "worker"}'})
    assert result.payload == 0, result.log
    [message] = bus_app.receive("UnreadQueue")
    assert message["Body"] == "from a worker"
    wait_until(lambda: bus_app.names() == ["worker"])
    [record] = bus_app.noted()[0]["records"]
    header = record["attributes"]["AWSTraceHeader"]  # of the invocation, through the bus as through the queue alone
    assert header.startswith("Root=1-")
    assert header == message["Attributes"]["AWSTraceHeader"]


@contextmanager
def server(folder: Path) -> Iterator[tuple[BusApp, "subprocess.Popen[str]"]]:
    """Run the stack in a process of its own, which is gone at the end, however."""
    command = [sys.executable, "-m", "support.events.bus_app_server", str(folder)]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield BusApp(process.stdout.readline().strip(), folder), process
        finally:
            process.kill()


def test_a_killed_localcloud_only_delays_what_it_had(tmp_path: Path) -> None:
    with server(tmp_path) as (bus_app, process):
        bus_app.tell_functions(seconds=30)
        bus_app.put("at work")
        wait_until(lambda: bool(bus_app.noted()))
        bus_app.put("waiting", "last")
        bus_app.send("UnreadQueue", "kept")
        bus_app.tell_functions()
        process.send_signal(signal.SIGKILL)
        process.wait()
    with server(tmp_path) as (bus_app, _):
        wait_until(lambda: len(bus_app.names()) >= 4)
        assert bus_app.names() == ["at work", "at work", "waiting", "last"]
        counts = [record["attributes"]["ApproximateReceiveCount"] for record in bus_app.noted()[1]["records"]]
        assert counts == ["1", "1", "1"]  # our kill does not count against a message
        assert bus_app.bodies("UnreadQueue") == ["kept"]
