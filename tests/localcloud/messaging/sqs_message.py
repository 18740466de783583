"""SQS's digests and attributes of a message, for callers of its API and for functions."""

import base64
import hashlib

from localcloud.messaging.messages import Attributes, Received
from localcloud.stack.cloudformation import ACCOUNT

_BINARY = 2
_STRING = 1


def md5(text: str) -> str:
    """Return the MD5 digest of a text in hexadecimal."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def attributes_md5(attributes: Attributes) -> str:
    """Return the MD5 digest of message attributes, by SQS's own encoding of them."""
    encoded = b""
    for name, value in sorted(attributes.items()):
        encoded += _measured(name.encode()) + _measured(value["DataType"].encode())
        if value["DataType"].startswith("Binary"):
            encoded += bytes([_BINARY]) + _measured(base64.b64decode(value.get("BinaryValue", "")))
        else:
            encoded += bytes([_STRING]) + _measured(value.get("StringValue", "").encode())
    return hashlib.md5(encoded, usedforsecurity=False).hexdigest()


def system_attributes(message: Received) -> dict[str, str]:
    """Return the attributes that SQS adds; times are milliseconds since the epoch."""
    attributes = {
        "ApproximateReceiveCount": str(message.receive_count),
        "SentTimestamp": str(int(message.sent_at * 1000)),
        "SenderId": ACCOUNT,
        "ApproximateFirstReceiveTimestamp": str(int(message.first_received_at * 1000)),
    }
    if message.group is not None:
        attributes["MessageGroupId"] = message.group
    if message.queue.fifo:
        attributes["SequenceNumber"] = sequence_number(message.sequence)
        attributes["MessageDeduplicationId"] = message.deduplication_id or ""
    if message.trace_header:
        attributes["AWSTraceHeader"] = message.trace_header
    if message.source:
        attributes["DeadLetterQueueSourceArn"] = message.source
    return attributes


def sequence_number(sequence: int) -> str:
    """Return the sequence number of a FIFO message as SQS writes it."""
    return f"{sequence:020d}"


def _measured(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data
