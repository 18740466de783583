"""What API Gateway asks of us for a WebSocket: may it open, it has closed, it has said something."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.aws.client import AwsConnection
from autodoctor.db import Database
from autodoctor.errors import Problem
from autodoctor.events.feed import connections
from autodoctor.events.feed.connections import CONNECT_NOTE, IDENTIFY_NOTE
from autodoctor.observability import log_failure, logger
from autodoctor.settings import required

QUEUE_SECONDS: Final = 2.0
IDENTIFY: Final = "identify"
"""The `action` of a client's message that is answered with `connected`: the connection's id and the present seq."""

type SocketResponse = dict[str, int]


class QueueRefused(OSError):
    """The feed's queue did not take a note."""

    def __init__(self, status: int) -> None:
        super().__init__(f"SendMessage answered {status}")


def handler(database: Database) -> Callable[[Mapping[str, Any], LambdaContext], SocketResponse]:
    """The Lambda handler of the WebSocket API's routes; a refused `$connect` refuses the handshake with its status."""

    def handle(event: Mapping[str, Any], _context: LambdaContext) -> SocketResponse:
        request = event["requestContext"]
        logger.set_correlation_id(request["requestId"])
        try:
            status = _handle(database, event, request["eventType"], request["connectionId"])
        except Problem as problem:
            status = problem.status
        except Exception as failure:  # noqa: BLE001 (the last resort: logged, and the handshake is refused)
            log_failure("socket", failure)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        logger.info("socket", extra={"route": request["routeKey"], "status": status})
        return {"statusCode": status}

    return logger.inject_lambda_context(clear_state=True)(handle)


def _handle(database: Database, event: Mapping[str, Any], kind: str, connection_id: str) -> int:
    if kind == "CONNECT":
        query = event.get("queryStringParameters") or {}
        connections.connect(database, connection_id, query.get("ticket"), query.get("since"))
        _leave_note({CONNECT_NOTE: connection_id}, once=connection_id)
    elif kind == "DISCONNECT":
        connections.drop(database, [connection_id])
    elif _action(event) == IDENTIFY:
        # once in SQS's five minutes, however often a client asks: everybody's news wait in the same queue
        _leave_note({IDENTIFY_NOTE: connection_id}, once=f"identify:{connection_id}")
    return HTTPStatus.OK


def _action(event: Mapping[str, Any]) -> object:
    """What a client's message asks for; None where it only keeps the connection alive."""
    try:
        message = json.loads(event.get("body") or "{}")
    except (ValueError, RecursionError):
        return None
    return message.get("action") if isinstance(message, dict) else None


@cache
def _queue() -> AwsConnection:
    parts = urlsplit(required("FEED_QUEUE_URL"))
    return AwsConnection("sqs", f"{parts.scheme}://{parts.netloc}")


def _leave_note(note: Mapping[str, str], once: str) -> None:
    """Leave a note for the broadcast, which alone sends to connections, and only after their handshake."""
    message = {
        "QueueUrl": required("FEED_QUEUE_URL"),
        "MessageBody": json.dumps(note),
        "MessageGroupId": "feed",
        "MessageDeduplicationId": once,
    }
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage"}
    body = json.dumps(message).encode()
    path = urlsplit(required("FEED_QUEUE_URL")).path
    answer = _queue().send("POST", path, body, headers, timeout_seconds=QUEUE_SECONDS)
    if answer.status != HTTPStatus.OK:
        raise QueueRefused(answer.status)
