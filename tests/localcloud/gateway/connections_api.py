"""The management API of WebSocket connections, `POST`, `GET` and `DELETE /@connections/ID`.

Plain boto3 (`apigatewaymanagementapi` with an endpoint URL) can call it. A request must be signed, as the SDK does
it, but the signature is not checked, because no secret is known here. Errors are AWS's: PayloadTooLargeException
413, GoneException 410 (also while `$connect` still runs), LimitExceededException 429 for a client that does not
read, BadRequestException 400 for a malformed connection id.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

from aiohttp import web

from localcloud.gateway.http_payload import HttpAnswer
from localcloud.gateway.socket_connection import MESSAGE_BYTES, BufferFull, Gone, SocketConnection
from localcloud.gateway.socket_events import Link

INFIX = "/@connections/"
_CONNECTION_ID = re.compile(r"[A-Za-z0-9_-]{15}=")
_SIGNATURE = re.compile(r"AWS4-HMAC-SHA256 Credential=\S+, ?SignedHeaders=\S+, ?Signature=[0-9a-f]{64}")


class _Refused(Exception):
    """The call fails with an error of this name."""

    def __init__(self, status: HTTPStatus, name: str, message: str) -> None:
        super().__init__(message)
        headers = [("content-type", "application/json"), ("x-amzn-errortype", name)]
        self.answer = HttpAnswer(status, headers, json.dumps({"message": message}).encode())


async def answer(
    request: web.BaseRequest, connection_id: str, connections: Mapping[str, tuple[Link, SocketConnection]]
) -> HttpAnswer:
    """Answer one call about a connection."""
    try:
        _check_signature(request.headers.get("Authorization", ""))
        body = await request.read()
        link, connection = _find(connection_id, connections)
        return _act(request.method, body, link, connection)
    except _Refused as refused:
        return refused.answer
    except Gone:
        return _gone().answer


def _check_signature(header: str) -> None:
    if not _SIGNATURE.match(header):
        raise _Refused(HTTPStatus.FORBIDDEN, "MissingAuthenticationTokenException", "Missing Authentication Token")


def _gone() -> _Refused:
    return _Refused(HTTPStatus.GONE, "GoneException", "Gone")


def _find(
    connection_id: str, connections: Mapping[str, tuple[Link, SocketConnection]]
) -> tuple[Link, SocketConnection]:
    if not _CONNECTION_ID.fullmatch(connection_id):
        raise _Refused(HTTPStatus.BAD_REQUEST, "BadRequestException", f"Invalid connectionId: {connection_id}")
    found = connections.get(connection_id)
    if found is None or found[1].ended.done():
        raise _gone()
    return found


def _act(method: str, body: bytes, link: Link, connection: SocketConnection) -> HttpAnswer:
    match method:
        case "POST":
            _post(body, connection)
            return HttpAnswer(HTTPStatus.OK, [], b"")
        case "GET":
            return HttpAnswer(HTTPStatus.OK, [("content-type", "application/json")], _described(link, connection))
        case "DELETE":
            connection.close()
            return HttpAnswer(HTTPStatus.NO_CONTENT, [], b"")
        case _:
            raise _Refused(HTTPStatus.FORBIDDEN, "ForbiddenException", "Forbidden")


def _post(body: bytes, connection: SocketConnection) -> None:
    if len(body) > MESSAGE_BYTES:
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "PayloadTooLargeException", "Message too long")
    try:
        connection.send(body.decode(errors="replace").encode())
    except BufferFull as full:
        raise _Refused(HTTPStatus.TOO_MANY_REQUESTS, "LimitExceededException", "the client does not read") from full


def _described(link: Link, connection: SocketConnection) -> bytes:
    now = datetime.now(UTC).timestamp()
    return json.dumps(
        {
            "connectedAt": _instant(link.connected_at / 1000),
            "identity": {"sourceIp": link.source_ip, "userAgent": link.user_agent},
            "lastActiveAt": _instant(now - connection.idle_for()),
        }
    ).encode()


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
