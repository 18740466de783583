"""The events of a WebSocket API's proxy integration: opening, messages and end of a connection."""

import base64
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "upgrade", "transfer-encoding", "te"})
_ID_BYTES = 11


def new_id() -> str:
    """Return an id like API Gateway's for connections, messages and requests: 16 characters."""
    return base64.urlsafe_b64encode(os.urandom(_ID_BYTES)).decode()


@dataclass(frozen=True)
class Link:
    """The constant facts of a connection; `connected_at` is in milliseconds since 1970."""

    connection_id: str
    api: str
    stage: str
    domain_name: str
    connected_at: int
    source_ip: str
    user_agent: str


@dataclass(frozen=True)
class Closing:
    """How a connection ended: a WebSocket close code (1006: without a handshake) and a reason."""

    code: int
    reason: str


def connect_event(link: Link, headers: Iterable[tuple[str, str]], query: str, request_id: str) -> dict[str, object]:
    """Build the event of `$connect`; `query` is raw."""
    event = {
        **_both("headers", "multiValueHeaders", _with_forwarding(link, headers)),
        "requestContext": _context(link, "$connect", "CONNECT", request_id),
        "isBase64Encoded": False,
    }
    if parameters := parse_qsl(query, keep_blank_values=True):
        event |= _both("queryStringParameters", "multiValueQueryStringParameters", parameters)
    return event


def message_event(link: Link, route_key: str, body: str, request_id: str) -> dict[str, object]:
    """Build the event of a message that goes to `route_key`."""
    context = _context(link, route_key, "MESSAGE", request_id)
    return {"requestContext": {**context, "messageId": new_id()}, "body": body, "isBase64Encoded": False}


def disconnect_event(link: Link, closing: Closing, request_id: str) -> dict[str, object]:
    """Build the event of `$disconnect`."""
    headers = [("Host", link.domain_name), ("x-api-key", ""), ("X-Forwarded-For", ""), ("x-restapi", "")]
    context = _context(link, "$disconnect", "DISCONNECT", request_id)
    ending = {"disconnectStatusCode": closing.code, "disconnectReason": closing.reason}
    return {
        **_both("headers", "multiValueHeaders", headers),
        "requestContext": {**context, **ending},
        "isBase64Encoded": False,
    }


def _context(link: Link, route_key: str, event_type: str, request_id: str) -> dict[str, object]:
    now = time.time()
    return {
        "routeKey": route_key,
        "eventType": event_type,
        "extendedRequestId": request_id,
        "requestTime": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "messageDirection": "IN",
        "stage": link.stage,
        "connectedAt": link.connected_at,
        "requestTimeEpoch": int(now * 1000),
        # Without User-Agent of the client AWS has no such key.
        "identity": {**({"userAgent": link.user_agent} if link.user_agent else {}), "sourceIp": link.source_ip},
        "requestId": request_id,
        "domainName": link.domain_name,
        "connectionId": link.connection_id,
        "apiId": link.api,
    }


def _with_forwarding(link: Link, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        *((name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP),
        ("X-Amzn-Trace-Id", f"Root=1-{int(time.time()):08x}-{os.urandom(12).hex()}"),
        ("X-Forwarded-For", link.source_ip),
        ("X-Forwarded-Port", link.domain_name.rpartition(":")[2]),
        ("X-Forwarded-Proto", "http"),
    ]


def _both(single: str, multiple: str, pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Put pairs into both of their places: for each name the last value, and all values."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {single: {name: each[-1] for name, each in values.items()}, multiple: values}
