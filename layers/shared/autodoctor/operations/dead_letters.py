"""Sends dead letters again, on AWS or against a running `autodoctor dev`.

A message that a queue's consumer failed on goes back to that queue; SQS moves it (StartMessageMoveTask). An event that
a rule could not deliver is sent to the rule's target. A failed event of a schedule or an asynchronous call invokes the
function again. A dead letter is deleted once it has been sent.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from autodoctor.events.dead_letters.model import DeadLetterMessage, parse_message
from autodoctor.operations.console import Refusal

# Long enough to send a whole batch, one function's time-out after another.
_HOLD_SECONDS = 900
_PEEK_SECONDS = 30
_MOVE_LIMIT_SECONDS = 300.0
_EMPTY_RECEIVES = 3
_FUNCTION_LIMIT_SECONDS = 900


class NoSuchQueue(Refusal):
    """There is no dead-letter queue of that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"{name} is no dead-letter queue; there are {', '.join(known) or 'none'}")


@dataclass(frozen=True)
class StackQueue:
    """A dead-letter queue.

    Attributes:
        name: its name in the template.
        depth: about how many messages are in it.
        from_queues: whether it is the dead-letter queue of other queues, so that SQS itself can move its messages back.
    """

    name: str
    url: str
    arn: str
    depth: int
    from_queues: bool


@dataclass(frozen=True)
class RedriveOutcome:
    """The number of dead letters sent again, and the reason why each of the others was not."""

    sent: int
    kept: tuple[str, ...]


class Account:
    """The queues, rules and functions of one deployment, through AWS's APIs."""

    def __init__(self, sqs: Any, events: Any, functions: Any, urls: dict[str, str]) -> None:  # noqa: ANN401 - boto3's
        """`urls` has the URL of every queue by its name in the template."""
        self._sqs = sqs
        self._events = events
        self._lambda = functions
        self._urls = urls

    def dead_letter_queues(self) -> list[StackQueue]:
        """Return the dead-letter queues of other queues, and those with "deadletter" in their name."""
        found = []
        for name, url in sorted(self._urls.items()):
            sources = self._sqs.list_dead_letter_source_queues(QueueUrl=url)["queueUrls"]
            if sources or "deadletter" in name.lower():
                wanted = ["QueueArn", "ApproximateNumberOfMessages"]
                attributes = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
                depth = int(attributes["ApproximateNumberOfMessages"])
                found.append(StackQueue(name, url, attributes["QueueArn"], depth, bool(sources)))
        return found

    def dead_letter_queue(self, name: str) -> StackQueue:
        """Return one dead-letter queue by its name in the template. Raises NoSuchQueue."""
        queues = self.dead_letter_queues()
        for queue in queues:
            if queue.name == name:
                return queue
        raise NoSuchQueue(name, (queue.name for queue in queues))

    def messages(self, queue: StackQueue) -> list[DeadLetterMessage]:
        """Read the messages of a queue and leave them there; the oldest first."""
        found = [message for batch in self._batches(queue, _PEEK_SECONDS) for message in batch]
        self._release(queue, found)
        return sorted(found, key=lambda message: message.sent_at)

    def oldest(self, queue: StackQueue) -> datetime | None:
        """Return when the oldest message was sent, UTC. Only the first batch is read, so an older one may be missed."""
        batch = next(iter(self._batches(queue, _PEEK_SECONDS)), [])
        self._release(queue, batch)
        return min((message.sent_at for message in batch), default=None)

    def redrive(self, queue: StackQueue) -> RedriveOutcome:
        """Send everything in a queue again."""
        return self._move(queue) if queue.from_queues else self._send_each(queue)

    def _move(self, queue: StackQueue) -> RedriveOutcome:
        self._sqs.start_message_move_task(SourceArn=queue.arn)
        give_up_at = time.monotonic() + _MOVE_LIMIT_SECONDS
        while True:
            [task, *_] = self._sqs.list_message_move_tasks(SourceArn=queue.arn)["Results"]
            moved = int(task.get("ApproximateNumberOfMessagesMoved", 0))
            if task["Status"] == "COMPLETED":
                return RedriveOutcome(moved, ())
            if task["Status"] != "RUNNING" or time.monotonic() > give_up_at:
                return RedriveOutcome(moved, (f"{task['Status'].lower()} {task.get('FailureReason', '')}".strip(),))
            time.sleep(1)

    def _send_each(self, queue: StackQueue) -> RedriveOutcome:
        sent, kept = 0, []
        for batch in self._batches(queue, _HOLD_SECONDS):
            for message in batch:
                if reason := self._send(message):
                    kept.append((message, f"{message.message_id}: {reason}"))
                else:
                    self._sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message.receipt)
                    sent += 1
        self._release(queue, [message for message, _ in kept])
        return RedriveOutcome(sent, tuple(reason for _, reason in kept))

    def _send(self, message: DeadLetterMessage) -> str:
        """Send one message to its destination. Return why that failed, or an empty string."""
        try:
            if ":lambda:" in message.target:
                answer = self._lambda.invoke(FunctionName=message.target, Payload=message.payload.encode())
                return f"the function failed again ({answer['FunctionError']})" if "FunctionError" in answer else ""
            if ":sqs:" in message.target:
                self._enqueue(message)
                return ""
        except ClientError as error:
            return str(error)
        return f"nobody knows where it was meant to go ({message.origin})"

    def _enqueue(self, message: DeadLetterMessage) -> None:
        owner, name = message.target.split(":")[4:6]
        url = self._sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=owner)["QueueUrl"]
        group = self._group(message) if name.endswith(".fifo") else {}
        self._sqs.send_message(QueueUrl=url, MessageBody=message.payload, **group)

    def _group(self, message: DeadLetterMessage) -> dict[str, str]:
        """Return the message group that the rule sets on its messages."""
        *bus, rule = message.rule.partition(":rule/")[2].split("/")
        where = {"EventBusName": bus[0]} if bus else {}
        targets = self._events.list_targets_by_rule(Rule=rule, **where)["Targets"]
        groups = [each["SqsParameters"]["MessageGroupId"] for each in targets if each["Arn"] == message.target]
        return {"MessageGroupId": groups[0]} if groups else {}

    def _batches(self, queue: StackQueue, hold_seconds: int) -> Iterator[list[DeadLetterMessage]]:
        """Receive until nothing comes any more. SQS may answer with few messages, or none, while there are more."""
        empty = 0
        while empty < _EMPTY_RECEIVES:
            answer = self._sqs.receive_message(
                QueueUrl=queue.url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=hold_seconds,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            batch = [parse_message(message) for message in answer.get("Messages", [])]
            empty = 0 if batch else empty + 1
            if batch:
                yield batch

    def _release(self, queue: StackQueue, messages: Iterable[DeadLetterMessage]) -> None:
        for message in messages:
            self._sqs.change_message_visibility(QueueUrl=queue.url, ReceiptHandle=message.receipt, VisibilityTimeout=0)


def stack_account(stack: str, region: str | None) -> Account:
    """Open the account that a CloudFormation stack is in, with the credentials of the environment."""
    session = boto3.Session(region_name=region)
    pages = session.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    urls = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::SQS::Queue"
    }
    functions = session.client("lambda", config=patient_config())
    return Account(session.client("sqs"), session.client("events"), functions, urls)


def patient_config() -> Any:  # noqa: ANN401 - botocore's
    """Let a client wait for a function as long as it may run, and not run it twice."""
    return Config(read_timeout=_FUNCTION_LIMIT_SECONDS, retries={"max_attempts": 0})
