"""Dead letters, sent again by an admin.

SQS itself moves the messages of a consumer's dead-letter queue back to the consumer's queue. An event that a rule could
not deliver is sent to the rule's target, and an event that a schedule or a function gave up invokes the function again,
asynchronously. One that fails again comes back as a new message. `autodoctor redrive` (autodoctor.operations) does the
same.
"""

import time
from typing import Final, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from autodoctor.aws.boto import call
from autodoctor.aws.errors import ServiceRefused
from autodoctor.aws.sqs import SqsQueue
from autodoctor.db import Database
from autodoctor.errors import NotFound
from autodoctor.events.dead_letters.model import DeadLetterMessage, parse_message
from autodoctor.events.dead_letters.queues import queues
from autodoctor.events.feed.queue import MESSAGE_GROUP
from autodoctor.ids import new_id
from autodoctor.observability import log_failure
from autodoctor.web.schemas import ResponseModel

SENDING_SECONDS: Final = 15.0
"""The time that one call spends on sending messages itself; the rest stays for the next call."""
_HOLD_SECONDS: Final = 60

_RECORD: Final[LiteralString] = """
INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
VALUES (%(id)s, %(actor_id)s, 'dead_letter_queue.redriven', %(queue)s, '{letters}', %(before)s, '{}')
ON CONFLICT (id) DO NOTHING
"""


class Redriven(ResponseModel):
    """What was begun.

    Attributes:
        queue: its name.
        sending: how many messages were sent again, or are being sent by SQS from now on.
        kept: how many stay, because their target is unknown or refused them, or time ran out.
    """

    queue: str
    sending: int
    kept: int


class DeadLetterQueueNotFound(NotFound):
    """No such queue."""

    def __init__(self) -> None:
        super().__init__("There is no such dead-letter queue.")


def redrive(database: Database, actor_id: UUID, name: str) -> Redriven:
    """Begin to send a queue's messages again; the audit row is written first, so that nothing is sent unseen.

    Args:
        database: keeps the audit row.
        actor_id: the admin's `sub`.
        name: of the queue, as in template.yaml.

    Raises:
        DeadLetterQueueNotFound: no queue has that name.
        AwsError: SQS refused or did not answer; some messages may have been sent, the others are still there.
    """
    queue = queues().get(name)
    if queue is None:
        raise DeadLetterQueueNotFound
    count = queue.depth()
    moved_by_sqs = queue.has_sources()
    if count == 0 or (moved_by_sqs and queue.is_moving()):
        return Redriven(queue=name, sending=count, kept=0)
    change = {"id": new_id(), "actor_id": actor_id, "queue": name, "before": Jsonb({"letters": count})}
    database.execute(_RECORD, change)
    if moved_by_sqs:
        queue.start_move()
        return Redriven(queue=name, sending=count, kept=0)
    return _send_each(name, queue, count)


def _send_each(name: str, queue: SqsQueue, most: int) -> Redriven:
    """Send `most` messages at most: one that fails again at once is back before this ends, and would go round."""
    give_up_at = time.monotonic() + SENDING_SECONDS
    sent = 0
    kept: list[DeadLetterMessage] = []
    while sent + len(kept) < most and time.monotonic() < give_up_at:
        batch = [parse_message(message) for message in queue.receive(_HOLD_SECONDS)]
        if not batch:
            break
        for message in batch:
            if sent + len(kept) < most and time.monotonic() < give_up_at and _is_sent(message):
                queue.delete(message.receipt)
                sent += 1
            else:
                kept.append(message)
    for message in kept:
        queue.release(message.receipt)
    return Redriven(queue=name, sending=sent, kept=len(kept))


def _is_sent(message: DeadLetterMessage) -> bool:
    """Send one message to where it was meant to go; the role's policy says where that may be."""
    try:
        if ":sqs:" in message.target:
            SqsQueue(message.target).send(message.payload, MESSAGE_GROUP)  # the only FIFO queue that a rule feeds
        elif ":lambda:" in message.target:
            payload = message.payload.encode()
            call("lambda", "invoke", FunctionName=message.target, InvocationType="Event", Payload=payload)
        else:
            return False
    except ServiceRefused as refused:
        log_failure("dead letter not sent again", refused)
        return False
    return True
