"""Dead letters, sent again by an admin.

What the consumer of a queue gave up goes back to that queue, which SQS does itself. What a rule could not deliver is
sent to the rule's target, and what a schedule or a function gave up invokes the function once more, asynchronously:
what fails again comes back as a new letter. `autodoctor redrive` (autodoctor.operations) does the same.
"""

import time
from functools import cache
from http import HTTPStatus
from typing import Final, LiteralString
from urllib.parse import quote
from uuid import UUID

from psycopg.types.json import Jsonb

from autodoctor.aws.client import AwsConnection, endpoint
from autodoctor.aws.sqs import QueueRefused, SqsQueue
from autodoctor.db import Database
from autodoctor.errors import NotFound
from autodoctor.events.dead_letters.model import DeadLetterMessage
from autodoctor.events.dead_letters.queues import queues
from autodoctor.ids import new_id
from autodoctor.observability import log_failure
from autodoctor.web.schemas import ResponseModel

SENDING_SECONDS: Final = 15.0
"""What one call spends on sending letters itself; the rest waits for the next call."""
_HOLD_SECONDS: Final = 60
_FEED_GROUP: Final = "feed"
"""The message group that FeedRule gives to what it sends (template.yaml); no other rule feeds a FIFO queue."""
_INVOKE_SECONDS: Final = 5.0

_NOTE: Final[LiteralString] = """
INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
VALUES (%(id)s, %(actor_id)s, 'dead_letter_queue.redriven', %(queue)s, '{letters}', %(before)s, '{}')
ON CONFLICT (id) DO NOTHING
"""


class Redriven(ResponseModel):
    """What was begun.

    Attributes:
        queue: which.
        sending: how many letters were sent again, or are being sent by SQS from now on.
        kept: how many stay, as they could not be sent to where they were meant to go, or not in time.
    """

    queue: str
    sending: int
    kept: int


class DeadLetterQueueNotFound(NotFound):
    """No such queue."""

    def __init__(self) -> None:
        super().__init__("There is no such dead-letter queue.")


def redrive(database: Database, actor_id: UUID, name: str) -> Redriven:
    """Begin to send the letters of a queue again; written down before it begins, so that nothing is sent unseen.

    Args:
        database: where what admins do is written down.
        actor_id: the admin's `sub`.
        name: of the queue, as in template.yaml.

    Raises:
        DeadLetterQueueNotFound: there is none of that name.
        OSError: SQS or Lambda did not answer; letters may have been sent, and those that were not are still there.
    """
    queue = queues().get(name)
    if queue is None:
        raise DeadLetterQueueNotFound
    count = queue.depth()
    moved_by_sqs = queue.has_sources()
    if count == 0 or (moved_by_sqs and queue.is_moving()):
        return Redriven(queue=name, sending=count, kept=0)
    note = {"id": new_id(), "actor_id": actor_id, "queue": name, "before": Jsonb({"letters": count})}
    database.execute(_NOTE, note)
    if moved_by_sqs:
        queue.start_move()
        return Redriven(queue=name, sending=count, kept=0)
    return _sent_each(name, queue, count)


def _sent_each(name: str, queue: SqsQueue, most: int) -> Redriven:
    """Send `most` letters at most: one that fails again at once is back before this ends, and would go round."""
    give_up_at = time.monotonic() + SENDING_SECONDS
    sent = 0
    kept: list[DeadLetterMessage] = []
    while sent + len(kept) < most and time.monotonic() < give_up_at:
        batch = queue.receive(_HOLD_SECONDS)
        if not batch:
            break
        for letter in batch:
            if sent + len(kept) < most and time.monotonic() < give_up_at and _is_sent(letter):
                queue.delete(letter)
                sent += 1
            else:
                kept.append(letter)
    for letter in kept:
        queue.let_go(letter)
    return Redriven(queue=name, sending=sent, kept=len(kept))


def _is_sent(letter: DeadLetterMessage) -> bool:
    """Send one letter to where it was meant to go; the role's policy says where that may be."""
    try:
        if ":sqs:" in letter.target:
            SqsQueue(letter.target).send(letter.payload, _FEED_GROUP)
        elif ":lambda:" in letter.target:
            _invoke(letter)
        else:
            return False
    except QueueRefused as refused:
        log_failure("letter not sent again", refused)
        return False
    return True


@cache
def _functions() -> AwsConnection:
    return AwsConnection("lambda", endpoint("LAMBDA", "lambda"))


def _invoke(letter: DeadLetterMessage) -> None:
    """Have Lambda run a function with the letter's event as soon as it can."""
    function = quote(letter.target.partition(":function:")[2], safe="")
    path, headers = f"/2015-03-31/functions/{function}/invocations", {"X-Amz-Invocation-Type": "Event"}
    answer = _functions().send("POST", path, letter.payload.encode(), headers, timeout_seconds=_INVOKE_SECONDS)
    if answer.status != HTTPStatus.ACCEPTED:
        raise QueueRefused("Invoke", answer.status)
