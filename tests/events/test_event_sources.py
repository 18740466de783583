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

from events.shop import RunningShop, Shop, open_shop, wait_until
from localcloud.messaging.event_sources import failures_named

TESTS = Path(__file__).parents[1]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[RunningShop]:
    with open_shop(tmp_path) as shop:
        yield shop


def test_gives_records_as_lambda_does(shop: RunningShop) -> None:
    kind = {"DataType": "String", "StringValue": "greeting"}
    sent = shop.send("OrderedQueue.fifo", '{"name": 1}', MessageGroupId="g", MessageAttributes={"kind": kind})
    wait_until(lambda: shop.names() == [1])
    [record] = shop.noted()[0]["records"]
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
    wait_until(lambda: shop.cloud.depth("OrderedQueue").in_flight == 0)


def test_works_on_one_batch_of_a_group_at_a_time_in_order(shop: RunningShop) -> None:
    shop.tell_functions(seconds=0.2)
    shop.put(0)
    wait_until(lambda: shop.names() == [0])
    shop.put(*range(1, 8))
    wait_until(lambda: len(shop.names()) == 8)
    assert shop.batches() == [[0], [1, 2, 3, 4, 5, 6, 7]]


def test_keeps_only_the_messages_that_the_answer_names(shop: RunningShop) -> None:
    shop.tell_functions(names=["bad"])
    shop.put("good", "bad", "fine")
    wait_until(lambda: shop.cloud.depth("OrderedDeadLetterQueue").visible == 1)
    assert shop.names().count("bad") == 2  # its maxReceiveCount
    assert (shop.names().count("good"), shop.names().count("fine")) == (1, 1)


@pytest.mark.parametrize("wish", [{"raise": True}, {"die": True}, {"answer": {"batchItemFailures": [{"id": "x"}]}}])
def test_gives_the_whole_batch_again_when_all_of_it_failed(shop: RunningShop, wish: dict[str, object]) -> None:
    shop.tell_functions(**wish)
    shop.put("a", "b")
    wait_until(lambda: bool(shop.names()))
    shop.tell_functions()
    wait_until(lambda: len(shop.names()) >= 4)
    assert shop.names() == ["a", "b", "a", "b"]


def test_runs_no_more_at_once_than_the_mapping_allows(shop: RunningShop) -> None:
    shop.tell_functions(seconds=0.3)
    for name in range(4):
        shop.send("PlainQueue", json.dumps({"name": name}))
    wait_until(lambda: len(shop.names()) == 2)
    assert shop.cloud.depth("PlainQueue").visible == 2
    wait_until(lambda: len(shop.names()) == 4)


def test_a_throttled_batch_is_tried_again_without_a_receive(shop: RunningShop) -> None:
    shop.tell_functions(seconds=0.5)
    for group in ("one", "two"):  # each a batch of its own; the function's concurrency is 1
        shop.send("OrderedQueue.fifo", json.dumps({"name": group}), MessageGroupId=group)
        wait_until(lambda: bool(shop.noted()))
    wait_until(lambda: shop.names() == ["one", "two"])
    assert shop.noted()[1]["records"][0]["attributes"]["ApproximateReceiveCount"] == "1"


def test_a_killed_worker_only_delays_its_batch_and_not_for_its_time_out(tmp_path: Path) -> None:
    with open_shop(tmp_path, math.inf, OrderedVisibility="600") as shop:
        shop.tell_functions(seconds=30)
        shop.put("held")
        wait_until(lambda: bool(shop.noted()))
        shop.tell_functions()
        os.kill(shop.noted()[0]["pid"], signal.SIGKILL)
        wait_until(lambda: shop.names() == ["held", "held"])
        wait_until(lambda: shop.cloud.depth("OrderedQueue").in_flight == 0)


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


def test_workers_reach_bus_and_queues_with_plain_boto3(shop: RunningShop) -> None:
    result = shop.cloud.invoke("PublisherFunction", {"DetailType": "order.made", "Detail": '{"name": "worker"}'})
    assert result.payload == 0, result.log
    assert shop.bodies("UnreadQueue") == ["from a worker"]
    wait_until(lambda: shop.names() == ["worker"])


@contextmanager
def server(folder: Path) -> Iterator[tuple[Shop, "subprocess.Popen[str]"]]:
    """Run the stack in a process of its own, which is gone at the end, however."""
    command = [sys.executable, "-m", "events.shop_server", str(folder)]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield Shop(process.stdout.readline().strip(), folder), process
        finally:
            process.kill()


def test_a_killed_localcloud_only_delays_what_it_had(tmp_path: Path) -> None:
    with server(tmp_path) as (shop, process):
        shop.tell_functions(seconds=30)
        shop.put("at work")
        wait_until(lambda: bool(shop.noted()))
        shop.put("waiting", "last")
        shop.send("UnreadQueue", "kept")
        shop.tell_functions()
        process.send_signal(signal.SIGKILL)
        process.wait()
    with server(tmp_path) as (shop, _):
        wait_until(lambda: len(shop.names()) >= 4)
        assert shop.names() == ["at work", "at work", "waiting", "last"]
        counts = [record["attributes"]["ApproximateReceiveCount"] for record in shop.noted()[1]["records"]]
        assert counts == ["1", "1", "1"]  # our kill does not count against a message
        assert shop.bodies("UnreadQueue") == ["kept"]
