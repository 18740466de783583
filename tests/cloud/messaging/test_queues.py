"""Queues behave as SQS's do, for plain boto3 clients."""

import dataclasses
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

from localcloud.messaging.message_file import FILE, MessageFile, forget_messages
from localcloud.services.cloud import running_cloud
from support.events.bus_app import RunningBusApp, open_bus_app, settings
from support.wait import wait_until

PLAIN, ORDERED = "UnreadQueue", "UnreadOrderedQueue.fifo"
numbers = count()
FILE_BEFORE = """
CREATE TABLE message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, message_id TEXT NOT NULL, body TEXT NOT NULL,
    attributes TEXT NOT NULL, group_id TEXT, deduplication_id TEXT, source TEXT, trace TEXT NOT NULL,
    sent_at REAL NOT NULL, visible_at REAL NOT NULL, first_received_at REAL,
    receive_count INTEGER NOT NULL DEFAULT 0, receipt TEXT, polled INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE delivery (
    delivery_id INTEGER PRIMARY KEY, rule TEXT NOT NULL, target_id TEXT NOT NULL, event TEXT NOT NULL,
    attempts INTEGER NOT NULL, created_at REAL NOT NULL, due_at REAL NOT NULL
) STRICT;
INSERT INTO message (queue, message_id, body, attributes, trace, sent_at, visible_at)
VALUES ('UnreadQueue', 'm-1', 'kept', '{}', 't-1', 1, 1);
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBusApp]:
    with open_bus_app(tmp_path_factory.mktemp("shop")) as bus_app:
        yield bus_app


@pytest.fixture
def bus_app(running: RunningBusApp) -> RunningBusApp:
    for queue in (PLAIN, ORDERED):
        running.sqs.purge_queue(QueueUrl=running.url(queue))
    return running


def delete(bus_app: RunningBusApp, queue: str, message: dict[str, str]) -> None:
    bus_app.sqs.delete_message(QueueUrl=bus_app.url(queue), ReceiptHandle=message["ReceiptHandle"])


def test_lists_queues_with_their_attributes(bus_app: RunningBusApp) -> None:
    names = [url.rpartition("/")[2] for url in bus_app.sqs.list_queues(QueueNamePrefix="Ordered")["QueueUrls"]]
    assert names == ["OrderedDeadLetterQueue.fifo", "OrderedQueue.fifo"]
    attributes = bus_app.sqs.get_queue_attributes(QueueUrl=bus_app.url("OrderedQueue.fifo"), AttributeNames=["All"])[
        "Attributes"
    ]
    assert attributes["FifoQueue"] == attributes["ContentBasedDeduplication"] == "true"
    assert attributes["VisibilityTimeout"] == "30"
    policy = json.loads(attributes["RedrivePolicy"])
    assert policy["maxReceiveCount"] == 2
    assert policy["deadLetterTargetArn"].endswith(":OrderedDeadLetterQueue.fifo")
    [source] = bus_app.sqs.list_dead_letter_source_queues(QueueUrl=bus_app.url("OrderedDeadLetterQueue.fifo"))[
        "queueUrls"
    ]
    assert source.endswith("/OrderedQueue.fifo")


def test_gives_a_message_once_until_its_time_out(bus_app: RunningBusApp) -> None:
    bus_app.send(PLAIN, "hello", MessageAttributes={"kind": {"DataType": "String", "StringValue": "greeting"}})
    [message] = bus_app.receive(PLAIN, VisibilityTimeout=4)
    assert message["Body"] == "hello"
    assert message["MessageAttributes"]["kind"]["StringValue"] == "greeting"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert bus_app.receive(PLAIN) == []
    [again] = bus_app.receive(PLAIN, WaitTimeSeconds=20)
    assert again["MessageId"] == message["MessageId"]
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    delete(bus_app, PLAIN, again)
    assert bus_app.cloud.depth(PLAIN).in_flight == 0


def test_changes_visibility(bus_app: RunningBusApp) -> None:
    bus_app.send(PLAIN, "hello")
    [message] = bus_app.receive(PLAIN)
    handle = {"QueueUrl": bus_app.url(PLAIN), "ReceiptHandle": message["ReceiptHandle"]}
    bus_app.sqs.change_message_visibility(**handle, VisibilityTimeout=0)
    assert len(bus_app.receive(PLAIN)) == 1
    with pytest.raises(ClientError, match="MessageNotInflight"):
        bus_app.sqs.change_message_visibility(**handle, VisibilityTimeout=0)


def test_waits_for_a_message_without_polling(bus_app: RunningBusApp) -> None:
    began = time.monotonic()
    bus_app.send(PLAIN, "later", DelaySeconds=3)
    assert bus_app.bodies(PLAIN) == []
    assert bus_app.bodies(PLAIN, WaitTimeSeconds=20) == ["later"]
    assert 2.9 < time.monotonic() - began < 20


def test_keeps_the_order_of_a_group_and_blocks_it_while_one_is_in_flight(bus_app: RunningBusApp) -> None:
    for group, body in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3")]:
        bus_app.send(ORDERED, body, MessageGroupId=group)
    [first] = bus_app.receive(ORDERED, 1)
    assert first["Body"] == "a1"
    assert bus_app.bodies(ORDERED) == ["b1"]
    delete(bus_app, ORDERED, first)
    assert bus_app.bodies(ORDERED) == ["a2", "a3"]


def test_takes_a_message_of_a_fifo_queue_once_within_five_minutes(bus_app: RunningBusApp) -> None:
    body = f"body {next(numbers)}"
    first = bus_app.send(ORDERED, body, MessageGroupId="g")
    again = bus_app.send(ORDERED, body, MessageGroupId="g")
    assert (first["MessageId"], first["SequenceNumber"]) == (again["MessageId"], again["SequenceNumber"])
    bus_app.send(ORDERED, body, MessageGroupId="g", MessageDeduplicationId=f"own {body}")
    assert bus_app.bodies(ORDERED) == [body, body]


def test_refuses_an_expired_receipt_of_a_fifo_queue(bus_app: RunningBusApp) -> None:
    bus_app.send(ORDERED, f"body {next(numbers)}", MessageGroupId="g")
    [message] = bus_app.receive(ORDERED, VisibilityTimeout=0)
    with pytest.raises(ClientError, match="ReceiptHandleIsInvalid"):
        delete(bus_app, ORDERED, message)


def test_batches_answer_for_each_entry(bus_app: RunningBusApp) -> None:
    url = bus_app.url(PLAIN)
    entries = [{"Id": "good", "MessageBody": "x"}, {"Id": "empty", "MessageBody": ""}]
    answer = bus_app.sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    assert [(entry["Id"], entry["Code"]) for entry in answer["Failed"]] == [("empty", "MissingParameter")]
    [message] = bus_app.receive(PLAIN)
    receipts = [{"Id": "real", "ReceiptHandle": message["ReceiptHandle"]}, {"Id": "made-up", "ReceiptHandle": "x"}]
    answer = bus_app.sqs.delete_message_batch(QueueUrl=url, Entries=receipts)
    assert [entry["Id"] for entry in answer["Successful"]] == ["real"]
    assert [entry["Id"] for entry in answer["Failed"]] == ["made-up"]


def test_refuses_what_sqs_refuses(bus_app: RunningBusApp) -> None:
    with pytest.raises(bus_app.sqs.exceptions.QueueDoesNotExist):
        bus_app.sqs.send_message(QueueUrl=bus_app.url(PLAIN) + "x", MessageBody="x")
    with pytest.raises(ClientError, match="MessageGroupId"):
        bus_app.send(ORDERED, "x")
    with pytest.raises(ClientError, match="shorter than 1048576 bytes"):
        bus_app.send(PLAIN, "x" * 1_048_577)
    with pytest.raises(ClientError, match="between 1 and 10"):
        bus_app.receive(PLAIN, 11)
    with pytest.raises(ClientError, match="UnknownOperation"):
        bus_app.sqs.create_queue(QueueName="new")


FOREIGN = "AWS4-HMAC-SHA256 Credential=a/20261121/eu-central-1/events/aws4_request, SignedHeaders=host, Signature="


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        ("", "MissingAuthenticationTokenException"),
        ("Bearer x", "IncompleteSignatureException"),
        (FOREIGN + 64 * "0", "InvalidSignatureException"),
    ],
)
def test_refuses_a_request_that_is_not_signed(bus_app: RunningBusApp, authorization: str, error: str) -> None:
    headers = {"X-Amz-Target": "AmazonSQS.ListQueues"} | ({"Authorization": authorization} if authorization else {})
    answer = httpx.post(f"{bus_app.api_url}/_aws/sqs", headers=headers, content=b"{}")
    assert answer.json()["__type"].endswith(error)


def test_moves_what_is_received_too_often_to_the_dead_letters(bus_app: RunningBusApp) -> None:
    bus_app.tell_functions(**{"raise": True})
    sent = bus_app.send("PlainQueue", '{"name": "bad"}')
    wait_until(lambda: bus_app.depth("PlainDeadLetterQueue") == 1)
    [letter] = bus_app.receive("PlainDeadLetterQueue")
    assert letter["MessageId"] == sent["MessageId"]
    assert letter["Attributes"]["DeadLetterQueueSourceArn"].endswith(":PlainQueue")


def test_a_second_process_sends_into_the_queues_of_a_running_server(tmp_path: Path) -> None:
    with open_bus_app(tmp_path) as bus_app:
        beside = dataclasses.replace(settings(tmp_path, bus_app.lines.append), event_sources=False)
        with running_cloud(beside) as other:
            published = other.invoke("PublisherFunction", {"DetailType": "order.made", "Detail": '{"name": "beside"}'})
        assert published.payload == 0
        wait_until(lambda: bus_app.names() == ["beside"])
        assert bus_app.bodies("UnreadQueue") == ["from a worker"]


def test_a_message_keeps_the_trace_that_its_sender_names(bus_app: RunningBusApp) -> None:
    header = {"DataType": "String", "StringValue": f"Root=1-5759e988-{'b' * 24};Sampled=0"}
    bus_app.send(PLAIN, "traced", MessageSystemAttributes={"AWSTraceHeader": header})
    [message] = bus_app.receive(PLAIN)
    assert message["Attributes"]["AWSTraceHeader"] == header["StringValue"]


def test_a_file_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as old:
        old.executescript(FILE_BEFORE)
    file = MessageFile(tmp_path)
    assert [row["body"] for row in file.rows("SELECT body, trace_header FROM message")] == ["kept"]
    file.close()
    MessageFile(tmp_path).close()


def test_forgets_messages_under_a_running_server(tmp_path: Path) -> None:
    with open_bus_app(tmp_path) as bus_app:
        bus_app.send(PLAIN, "old")
        forget_messages(tmp_path / "data")
        assert bus_app.bodies(PLAIN) == []
        bus_app.send(PLAIN, "new")
        assert bus_app.bodies(PLAIN) == ["new"]
