"""Queues behave as SQS's do, for plain boto3 clients."""

import dataclasses
import json
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

from events.shop import RunningShop, open_shop, settings, wait_until
from localcloud.messaging.message_file import forget_messages
from localcloud.services.cloud import running_cloud

PLAIN, ORDERED = "UnreadQueue", "UnreadOrderedQueue.fifo"
numbers = count()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    with open_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def shop(running: RunningShop) -> RunningShop:
    for queue in (PLAIN, ORDERED):
        running.sqs.purge_queue(QueueUrl=running.url(queue))
    return running


def delete(shop: RunningShop, queue: str, message: dict[str, str]) -> None:
    shop.sqs.delete_message(QueueUrl=shop.url(queue), ReceiptHandle=message["ReceiptHandle"])


def test_lists_queues_with_their_attributes(shop: RunningShop) -> None:
    names = [url.rpartition("/")[2] for url in shop.sqs.list_queues(QueueNamePrefix="Ordered")["QueueUrls"]]
    assert names == ["OrderedDeadLetterQueue.fifo", "OrderedQueue.fifo"]
    attributes = shop.sqs.get_queue_attributes(QueueUrl=shop.url("OrderedQueue.fifo"), AttributeNames=["All"])[
        "Attributes"
    ]
    assert attributes["FifoQueue"] == attributes["ContentBasedDeduplication"] == "true"
    assert attributes["VisibilityTimeout"] == "30"
    policy = json.loads(attributes["RedrivePolicy"])
    assert policy["maxReceiveCount"] == 2
    assert policy["deadLetterTargetArn"].endswith(":OrderedDeadLetterQueue.fifo")
    [source] = shop.sqs.list_dead_letter_source_queues(QueueUrl=shop.url("OrderedDeadLetterQueue.fifo"))["queueUrls"]
    assert source.endswith("/OrderedQueue.fifo")


def test_gives_a_message_once_until_its_time_out(shop: RunningShop) -> None:
    shop.send(PLAIN, "hello", MessageAttributes={"kind": {"DataType": "String", "StringValue": "greeting"}})
    [message] = shop.receive(PLAIN, VisibilityTimeout=2)
    assert message["Body"] == "hello"
    assert message["MessageAttributes"]["kind"]["StringValue"] == "greeting"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert shop.receive(PLAIN) == []
    [again] = shop.receive(PLAIN, WaitTimeSeconds=10)
    assert again["MessageId"] == message["MessageId"]
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    delete(shop, PLAIN, again)
    assert shop.cloud.depth(PLAIN).in_flight == 0


def test_changes_visibility(shop: RunningShop) -> None:
    shop.send(PLAIN, "hello")
    [message] = shop.receive(PLAIN)
    handle = {"QueueUrl": shop.url(PLAIN), "ReceiptHandle": message["ReceiptHandle"]}
    shop.sqs.change_message_visibility(**handle, VisibilityTimeout=0)
    assert len(shop.receive(PLAIN)) == 1
    with pytest.raises(ClientError, match="MessageNotInflight"):
        shop.sqs.change_message_visibility(**handle, VisibilityTimeout=0)


def test_waits_for_a_message_without_polling(shop: RunningShop) -> None:
    began = time.monotonic()
    shop.send(PLAIN, "later", DelaySeconds=1)
    assert shop.bodies(PLAIN) == []
    assert shop.bodies(PLAIN, WaitTimeSeconds=5) == ["later"]
    assert 0.9 < time.monotonic() - began < 5


def test_keeps_the_order_of_a_group_and_blocks_it_while_one_is_in_flight(shop: RunningShop) -> None:
    for group, body in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3")]:
        shop.send(ORDERED, body, MessageGroupId=group)
    [first] = shop.receive(ORDERED, 1)
    assert first["Body"] == "a1"
    assert shop.bodies(ORDERED) == ["b1"]
    delete(shop, ORDERED, first)
    assert shop.bodies(ORDERED) == ["a2", "a3"]


def test_takes_a_message_of_a_fifo_queue_once_within_five_minutes(shop: RunningShop) -> None:
    body = f"body {next(numbers)}"
    first = shop.send(ORDERED, body, MessageGroupId="g")
    again = shop.send(ORDERED, body, MessageGroupId="g")
    assert (first["MessageId"], first["SequenceNumber"]) == (again["MessageId"], again["SequenceNumber"])
    shop.send(ORDERED, body, MessageGroupId="g", MessageDeduplicationId=f"own {body}")
    assert shop.bodies(ORDERED) == [body, body]


def test_refuses_an_expired_receipt_of_a_fifo_queue(shop: RunningShop) -> None:
    shop.send(ORDERED, f"body {next(numbers)}", MessageGroupId="g")
    [message] = shop.receive(ORDERED, VisibilityTimeout=0)
    with pytest.raises(ClientError, match="ReceiptHandleIsInvalid"):
        delete(shop, ORDERED, message)


def test_batches_answer_for_each_entry(shop: RunningShop) -> None:
    url = shop.url(PLAIN)
    entries = [{"Id": "good", "MessageBody": "x"}, {"Id": "empty", "MessageBody": ""}]
    answer = shop.sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    assert [(entry["Id"], entry["Code"]) for entry in answer["Failed"]] == [("empty", "MissingParameter")]
    [message] = shop.receive(PLAIN)
    receipts = [{"Id": "real", "ReceiptHandle": message["ReceiptHandle"]}, {"Id": "made-up", "ReceiptHandle": "x"}]
    answer = shop.sqs.delete_message_batch(QueueUrl=url, Entries=receipts)
    assert [entry["Id"] for entry in answer["Successful"]] == ["real"]
    assert [entry["Id"] for entry in answer["Failed"]] == ["made-up"]


def test_refuses_what_sqs_refuses(shop: RunningShop) -> None:
    with pytest.raises(shop.sqs.exceptions.QueueDoesNotExist):
        shop.sqs.send_message(QueueUrl=shop.url(PLAIN) + "x", MessageBody="x")
    with pytest.raises(ClientError, match="MessageGroupId"):
        shop.send(ORDERED, "x")
    with pytest.raises(ClientError, match="shorter than 1048576 bytes"):
        shop.send(PLAIN, "x" * 1_048_577)
    with pytest.raises(ClientError, match="between 1 and 10"):
        shop.receive(PLAIN, 11)
    with pytest.raises(ClientError, match="UnknownOperation"):
        shop.sqs.create_queue(QueueName="new")


FOREIGN = "AWS4-HMAC-SHA256 Credential=a/20261121/eu-central-1/events/aws4_request, SignedHeaders=host, Signature="


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        ("", "MissingAuthenticationTokenException"),
        ("Bearer x", "IncompleteSignatureException"),
        (FOREIGN + 64 * "0", "InvalidSignatureException"),
    ],
)
def test_refuses_a_request_that_is_not_signed(shop: RunningShop, authorization: str, error: str) -> None:
    headers = {"X-Amz-Target": "AmazonSQS.ListQueues"} | ({"Authorization": authorization} if authorization else {})
    answer = httpx.post(f"{shop.api_url}/_aws/sqs", headers=headers, content=b"{}")
    assert answer.json()["__type"].endswith(error)


def test_moves_what_is_received_too_often_to_the_dead_letters(shop: RunningShop) -> None:
    shop.tell_functions(**{"raise": True})
    sent = shop.send("PlainQueue", '{"name": "bad"}')
    wait_until(lambda: shop.depth("PlainDeadLetterQueue") == 1)
    [letter] = shop.receive("PlainDeadLetterQueue")
    assert letter["MessageId"] == sent["MessageId"]
    assert letter["Attributes"]["DeadLetterQueueSourceArn"].endswith(":PlainQueue")


def test_a_second_process_sends_into_the_queues_of_a_running_server(tmp_path: Path) -> None:
    with open_shop(tmp_path) as shop:
        beside = dataclasses.replace(settings(tmp_path, shop.lines.append), event_sources=False)
        with running_cloud(beside) as other:
            published = other.invoke("PublisherFunction", {"DetailType": "order.made", "Detail": '{"name": "beside"}'})
        assert published.payload == 0
        wait_until(lambda: shop.names() == ["beside"])
        assert shop.bodies("UnreadQueue") == ["from a worker"]


def test_forgets_messages_under_a_running_server(tmp_path: Path) -> None:
    with open_shop(tmp_path) as shop:
        shop.send(PLAIN, "old")
        forget_messages(tmp_path / "data")
        assert shop.bodies(PLAIN) == []
        shop.send(PLAIN, "new")
        assert shop.bodies(PLAIN) == ["new"]
