"""Dead letters for admins: what every dead-letter queue of the stack holds, without personal data."""

import json
from functools import cache
from uuid import UUID

from autodoctor.aws.sqs import SqsQueue
from autodoctor.events.dead_letters.model import DeadLetterMessage
from autodoctor.settings import required
from autodoctor.web.schemas import ResponseModel, Utc, now


class DeadLetter(ResponseModel):
    """What is told of a letter: ids and kinds, never what it says.

    Attributes:
        letter_id: SQS's name for it.
        sent_at: when the event was sent.
        received: how often it was received; looking at it counts.
        origin: what gave up: a consumer of a `queue`, the delivery of a `rule` or `schedule`, a `function`'s retries.
        detail_type: of the event, e.g. `session.ended`.
        event_id: of the event.
        session_id: of the session it is about.
        target: the queue or function it was meant for.
        error: the kind of failure, as far as the letter says; else the log of the consumer does.
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
        count: how many letters it holds; approximate, as SQS counts.
        oldest_seconds: age of the oldest letter shown, which is the oldest of all where no more than ten are there.
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
        SettingMissing: the deployment does not say which there are.
    """
    return {name: SqsQueue(arn) for name, arn in sorted(json.loads(required("DEAD_LETTER_QUEUES")).items())}


def dead_letters() -> DeadLetterQueues:
    """Look into every queue, and leave every letter there for whoever else looks.

    A letter that is only looked at is held for no time. That raises how often it was received, which leads nowhere:
    no dead-letter queue has a queue that it gives up to.

    Raises:
        OSError: SQS did not answer.
    """
    return DeadLetterQueues(as_of=now(), queues=[_looked_into(name, queue) for name, queue in queues().items()])


def _looked_into(name: str, queue: SqsQueue) -> DeadLetterQueue:
    count = queue.depth()
    found = sorted(queue.receive(hold_seconds=0), key=lambda letter: letter.sent_at) if count else []
    oldest = max(0, int((now() - found[0].sent_at).total_seconds())) if found else None
    return DeadLetterQueue(
        name=name, count=max(count, len(found)), oldest_seconds=oldest, letters=[_shown(letter) for letter in found]
    )


def _shown(letter: DeadLetterMessage) -> DeadLetter:
    return DeadLetter(
        letter_id=letter.message_id,
        sent_at=letter.sent_at,
        received=letter.received,
        origin=letter.origin,
        detail_type=letter.facts.get("type"),
        event_id=_uuid(letter.facts.get("eventId")),
        session_id=_uuid(letter.facts.get("sessionId")),
        target=letter.facts.get("target"),
        error=letter.error or None,
    )


def _uuid(text: str | None) -> UUID | None:
    """An id, and nothing else that somebody may have put in its place."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
