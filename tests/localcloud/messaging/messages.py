"""The messages of a queue, as sent and as received, and the checks before one is accepted."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from localcloud.stack.events import QueueSpec

type Attributes = Mapping[str, Mapping[str, str]]


class NoSuchQueue(Exception):
    """The stack has no queue of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The specified queue does not exist: {name}")


class NotAccepted(Exception):
    """A message cannot go into this queue; `code` is SQS's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class StaleReceipt(Exception):
    """The message is visible again, deleted, or was never received."""


@dataclass(frozen=True)
class Message:
    """A message to send. `deduplication_id` is needed in FIFO queues without content-based deduplication.

    `trace` is the request id in the log, `trace_header` X-Ray's header of the sender.
    """

    body: str
    attributes: Attributes = field(default_factory=dict)
    group: str | None = None
    deduplication_id: str | None = None
    delay_seconds: float | None = None
    trace: str = ""
    trace_header: str = ""


@dataclass(frozen=True)
class Sent:
    """The answer to sending: the message is in the queue, perhaps from an earlier, equal one."""

    message_id: str
    sequence: int


@dataclass(frozen=True)
class Received:
    """A message in flight: received, and hidden until its visibility time-out. Times are seconds since the epoch."""

    queue: QueueSpec
    message_id: str
    receipt: str
    body: str
    attributes: Attributes
    group: str | None
    deduplication_id: str | None
    source: str | None
    trace: str
    trace_header: str
    sequence: int
    sent_at: float
    first_received_at: float
    receive_count: int


@dataclass(frozen=True)
class Depth:
    """How many messages of a queue are visible, in flight, or delayed."""

    visible: int
    in_flight: int
    delayed: int


@dataclass(frozen=True)
class MoveTask:
    """A redrive of dead letters; `destination` is an ARN, None for their source queues."""

    task_id: str
    source: str
    destination: str | None
    moved: int
    started_at: float


def check(spec: QueueSpec, message: Message) -> None:
    """Raise NotAccepted for a message that the queue would refuse."""
    if not message.body:
        raise NotAccepted("MissingParameter", "The request must contain the parameter MessageBody.")
    size = len(message.body.encode()) + sum(
        len(name.encode()) + sum(len(part.encode()) for part in value.values())
        for name, value in message.attributes.items()
    )
    if size > spec.largest_bytes:
        reason = f"One or more parameters are invalid. Reason: Message must be shorter than {spec.largest_bytes} bytes."
        raise NotAccepted("InvalidParameterValue", reason)
    if spec.fifo and not message.group:
        raise NotAccepted("MissingParameter", "The request must contain the parameter MessageGroupId.")


def deduplication_id(spec: QueueSpec, message: Message) -> str:
    """Return the id by which a FIFO queue recognises a repeated message. Raises NotAccepted."""
    if message.deduplication_id is not None:
        return message.deduplication_id
    if not spec.content_deduplication:
        raise NotAccepted(
            "InvalidParameterValue",
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided"
            " explicitly",
        )
    return hashlib.sha256(message.body.encode()).hexdigest()
