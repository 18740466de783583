"""An error from an AWS service names service, action, status and code, whichever client made the call."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from autodoctor.aws import boto
from autodoctor.aws.client import AwsConnection
from autodoctor.aws.errors import ServiceRefused, ServiceUnreachable
from autodoctor.aws.sqs import SqsQueue
from autodoctor.monitoring.topic import _Topic

NOWHERE = "http://127.0.0.1:1"
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:NoQueue"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Credentials as a function has them, and no client that was made with others."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "key")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("ALERT_TOPIC_ARN", "arn:aws:sns:eu-west-1:123456789012:alerts")
    boto._client.cache_clear()  # noqa: SLF001 (the environment is another one)
    yield
    boto._client.cache_clear()  # noqa: SLF001


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A service that answers every POST with this; yields its URL."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
            pass

    with HTTPServer(("127.0.0.1", 0), Service) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def facts(refused: pytest.ExceptionInfo[ServiceRefused]) -> tuple[str, str, int, str | None]:
    return refused.value.service, refused.value.action, refused.value.status, refused.value.code


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no"}', "QueueDoesNotExist"),
        (400, b'{"message": "no", "__type":"ThrottlingException"}', "ThrottlingException"),
        (403, b"<ErrorResponse><Error><Code>AuthorizationError</Code></Error></ErrorResponse>", "AuthorizationError"),
        (500, b"", None),
        (302, b"elsewhere", None),
    ],
)
def test_an_answer_that_is_an_error_names_its_code(status: int, body: bytes, code: str | None) -> None:
    with answering(status, body) as url, pytest.raises(ServiceRefused) as refused:
        AwsConnection("sqs", url).call("AmazonSQS.SendMessage", {}, version="1.0", timeout_seconds=2)
    assert facts(refused) == ("sqs", "SendMessage", status, code)


def test_a_topic_that_does_not_exist_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(404, b"<ErrorResponse><Error><Code>NotFound</Code></Error></ErrorResponse>") as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", url)
        with pytest.raises(ServiceRefused) as refused:
            _Topic().publish("subject", "message", {})
    assert facts(refused) == ("sns", "Publish", 404, "NotFound")


def test_what_boto3_was_refused_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no"}'
    with answering(400, body) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", url)
        with pytest.raises(ServiceRefused) as refused:
            SqsQueue(QUEUE).depth()
    assert facts(refused) == ("sqs", "GetQueueAttributes", 400, "QueueDoesNotExist")


def test_a_service_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceUnreachable) as unreached:
        AwsConnection("events", NOWHERE).send("POST", "/", b"{}", {}, timeout_seconds=1)
    assert unreached.value.service == "events"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", NOWHERE)
    with pytest.raises(ServiceUnreachable) as unreached:
        SqsQueue(QUEUE).depth()
    assert unreached.value.service == "sqs"
