"""MigrateFunction as CloudFormation's custom resource: it migrates a real database and always answers."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from autodoctor.aws.errors import ServiceRefused, ServiceUnreachable
from localcloud.database.postgres import Database, PostgresServer
from support.http.lambda_event import Context, loaded


@dataclass
class Bucket:
    """Where CloudFormation waits for the answer: a presigned address, which takes a body without a content type."""

    url: str = ""
    status: int = 200
    answers: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    bucket = Bucket()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            signed = self.path == "/answer%7Cone?X-Amz-Signature=abc%2F&x=1" and "Content-Type" not in self.headers
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if signed:
                bucket.answers.append(json.loads(body))
            self.send_response(bucket.status if signed else 403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    bucket.url = f"http://127.0.0.1:{server.server_address[1]}/answer%7Cone?X-Amz-Signature=abc%2F&x=1"
    yield bucket
    server.shutdown()
    server.server_close()


def request(bucket: Bucket, kind: str) -> dict[str, Any]:
    """Return CloudFormation's event."""
    return {
        "RequestType": kind,
        "ResponseURL": bucket.url,
        "StackId": "arn:aws:cloudformation:eu-central-1:1:stack/autodoctor/1",
        "RequestId": "request-1",
        "LogicalResourceId": "Schema",
        "ResourceType": "Custom::Schema",
        "ResourceProperties": {"Release": "arn:aws:lambda:eu-central-1:1:layer:shared:1"},
    }


@pytest.fixture
def empty(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Give the function a database without a schema."""
    with postgres_server.temporary_database("custom_resource") as database:
        monkeypatch.setenv("DATABASE_URL", database.owner_url)
        yield database


def run(event: dict[str, Any]) -> object:
    return loaded("migrate").handler(event, Context())


def test_a_new_stack_gets_its_schema_and_a_changed_one_finds_it(empty: Database, bucket: Bucket) -> None:
    assert empty.name
    assert run(request(bucket, "Create")) is None
    assert run({}) == {"applied": []}
    run(request(bucket, "Update"))
    done = {name: request(bucket, "")[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    assert bucket.answers == [{**done, "Status": "SUCCESS", "PhysicalResourceId": "Schema"}] * 2


def test_a_stack_that_goes_keeps_its_database_and_asks_it_nothing(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    run(request(bucket, "Delete"))
    assert [each["Status"] for each in bucket.answers] == ["SUCCESS"]


def test_a_schema_that_cannot_be_made_fails_the_deployment_by_name(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/nowhere")
    run(request(bucket, "Create"))
    (answer,) = bucket.answers
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "OperationalError; the log of the function has the rest")
    assert answer["PhysicalResourceId"] == "Schema"


def test_an_answer_that_nobody_takes_is_an_error_so_that_lambda_repeats_it(bucket: Bucket) -> None:
    bucket.status = 403
    with pytest.raises(ServiceRefused) as refused:
        run(request(bucket, "Delete"))
    assert (refused.value.service, refused.value.status) == ("cloudformation", 403)
    bucket.url = "http://127.0.0.1:1/"
    with pytest.raises(ServiceUnreachable):
        run(request(bucket, "Delete"))
