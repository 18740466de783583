"""The routes of the WebSocket API: `$connect`, `$disconnect`, and the client's messages."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.aws.errors import AwsError
from autodoctor.db import Database
from autodoctor.events.feed import connections
from autodoctor.events.feed.queue import CONNECT_NOTE, IDENTIFY_NOTE, leave_note
from autodoctor.observability import logger
from autodoctor.web.problems import problem_of

IDENTIFY: Final = "identify"
"""The `action` of a client's message that is answered with `connected`: the connection's id and the present seq."""

type SocketResponse = dict[str, int]


def handler(
    database: Database, has_left: Callable[[UUID], None]
) -> Callable[[Mapping[str, Any], LambdaContext], SocketResponse]:
    """The Lambda handler of the WebSocket API's routes; a refused `$connect` refuses the handshake with its status.

    Args:
        has_left: called with each session whose room a connection that has ended was in; never raises.
    """

    def handle(event: Mapping[str, Any], _context: LambdaContext) -> SocketResponse:
        request = event["requestContext"]
        logger.set_correlation_id(request["requestId"])
        try:
            status = _handle(database, event, request["eventType"], request["connectionId"], has_left)
        except Exception as failure:  # noqa: BLE001 (the last resort: logged, and the handshake is refused)
            problem = problem_of(failure)
            status = HTTPStatus.INTERNAL_SERVER_ERROR if problem is None else problem.status
        logger.info("socket", extra={"route": request["routeKey"], "status": status})
        return {"statusCode": status}

    return logger.inject_lambda_context(clear_state=True)(handle)


def _handle(
    database: Database, event: Mapping[str, Any], kind: str, connection_id: str, has_left: Callable[[UUID], None]
) -> int:
    if kind == "CONNECT":
        query = event.get("queryStringParameters") or {}
        connections.connect(database, connection_id, query.get("ticket"), query.get("since"), query.get("feed"))
        try:
            leave_note(CONNECT_NOTE, connection_id, once=connection_id)
        except AwsError:  # the handshake is refused, of whose end nobody would be told
            connections.drop(database, [connection_id])
            raise
    elif kind == "DISCONNECT":
        for session_id in connections.drop(database, [connection_id]):
            has_left(session_id)
    else:
        if _action(event) == IDENTIFY:
            # At most once in five minutes however often a client asks: everybody's messages pass through this queue.
            leave_note(IDENTIFY_NOTE, connection_id, once=f"identify:{connection_id}")
        connections.heard(database, connection_id)
    return HTTPStatus.OK


def _action(event: Mapping[str, Any]) -> object:
    """The `action` of a client's message; None where it only keeps the connection alive."""
    try:
        message = json.loads(event.get("body") or "{}")
    except (ValueError, RecursionError):
        return None
    return message.get("action") if isinstance(message, dict) else None
