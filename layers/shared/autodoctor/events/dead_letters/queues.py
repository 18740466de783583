"""The contents of every dead-letter queue of the stack, for admins: without personal data."""

import json
from functools import cache
from uuid import UUID

from autodoctor.aws.sqs import SqsQueue
from autodoctor.events.dead_letters.model import DeadLetterMessage, parse_message
from autodoctor.settings import required
from autodoctor.web.schemas import ResponseModel, Utc, now


class DeadLetter(ResponseModel):
    """A dead letter without its content: ids and kinds only.

    Attributes:
        letter_id: SQS's message id.
        sent_at: when the event was sent.
        received: how often it was received; listing it here counts.
        origin: the failed part: a consumer of a `queue`, delivery by a `rule` or `schedule`, a `function`'s retries.
        detail_type: of the event, such as `session.ended`.
        event_id: of the event.
        session_id: of the session that it is about.
        target: the queue or function that it was meant for.
        error: the kind of failure; null where only the consumer's log has it.
    """

    letter_id: str
    sent_at: Utc
    received: int
    origin: str
    detail_type: str | None
    event_id: UUID | None
    session_id: UUID | None
    target: str | None
    error: str | None


class DeadLetterQueue(ResponseModel):
    """One dead-letter queue.

    Attributes:
        name: as in template.yaml.
        count: how many dead letters it holds; approximate, as SQS counts.
        oldest_seconds: age of the oldest one listed, which may not be the oldest of all where there are more than ten.
        letters: up to ten, oldest first.
    """

    name: str
    count: int
    oldest_seconds: int | None
    letters: list[DeadLetter]


class DeadLetterQueues(ResponseModel):
    """Every dead-letter queue, by name."""

    as_of: Utc
    queues: list[DeadLetterQueue]


@cache
def queues() -> dict[str, SqsQueue]:
    """The dead-letter queues of this deployment, by their names in template.yaml.

    Raises:
        SettingMissing: the deployment names none.
    """
    return {name: SqsQueue(arn) for name, arn in sorted(json.loads(required("DEAD_LETTER_QUEUES")).items())}


def dead_letters() -> DeadLetterQueues:
    """List the messages of every queue, which leaves them there.

    Listing raises a message's receive count. That does no harm: no dead-letter queue has one of its own.

    Raises:
        AwsError: SQS refused or did not answer.
    """
    return DeadLetterQueues(as_of=now(), queues=[_listed(name, queue) for name, queue in queues().items()])


def _listed(name: str, queue: SqsQueue) -> DeadLetterQueue:
    count = queue.depth()
    received = [parse_message(message) for message in queue.receive(hold_seconds=0)] if count else []
    found = sorted(received, key=lambda message: message.sent_at)
    oldest = max(0, int((now() - found[0].sent_at).total_seconds())) if found else None
    return DeadLetterQueue(
        name=name, count=max(count, len(found)), oldest_seconds=oldest, letters=[_shown(each) for each in found]
    )


def _shown(message: DeadLetterMessage) -> DeadLetter:
    return DeadLetter(
        letter_id=message.message_id,
        sent_at=message.sent_at,
        received=message.received,
        origin=message.origin,
        detail_type=message.facts.get("type"),
        event_id=_uuid(message.facts.get("eventId")),
        session_id=_uuid(message.facts.get("sessionId")),
        target=message.facts.get("target"),
        error=message.error or None,
    )


def _uuid(text: str | None) -> UUID | None:
    """The id; None where the text is anything else, which must not be shown."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
