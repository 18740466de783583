"""Sends dead letters again: here, against the running server, or on AWS.

Letters of a queue's consumer go back to that queue, which SQS does itself (StartMessageMoveTask). Letters of a
rule are sent to the rule's target, letters of a schedule or of an asynchronous function invoke the function, and
go when that has worked.
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
from localcloud.compute.environment import service_endpoints
from localcloud.host.console import Refusal
from localcloud.stack.cloudformation import REGION

# Long enough to send a batch again, one function's time-out after the other.
_HOLD_SECONDS = 900
_PEEK_SECONDS = 30
_MOVE_LIMIT_SECONDS = 300.0
_SCANTY_PAGES = 3
_FUNCTION_LIMIT_SECONDS = 900


class NoSuchLetters(Refusal):
    """There is no dead-letter queue of that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"{name} is no dead-letter queue; there are {', '.join(known) or 'none'}")


@dataclass(frozen=True)
class LetterQueue:
    """A dead-letter queue: its name in the template, and what is in it."""

    name: str
    url: str
    arn: str
    depth: int
    from_queues: bool


@dataclass(frozen=True)
class Redriven:
    """How many letters were sent again, and what kept the others where they are."""

    sent: int
    kept: tuple[str, ...]


class Account:
    """Queues, rules and functions of one deployment, through their HTTP APIs."""

    def __init__(self, sqs: Any, events: Any, functions: Any, urls: dict[str, str]) -> None:  # noqa: ANN401 - boto3's
        """`urls` are those of all queues, by their names in the template."""
        self._sqs = sqs
        self._events = events
        self._lambda = functions
        self._urls = urls

    def letter_queues(self) -> list[LetterQueue]:
        """Return the queues that others give up to, and those that are called dead letters."""
        found = []
        for name, url in sorted(self._urls.items()):
            sources = self._sqs.list_dead_letter_source_queues(QueueUrl=url)["queueUrls"]
            if sources or "deadletter" in name.lower():
                wanted = ["QueueArn", "ApproximateNumberOfMessages"]
                attributes = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
                depth = int(attributes["ApproximateNumberOfMessages"])
                found.append(LetterQueue(name, url, attributes["QueueArn"], depth, bool(sources)))
        return found

    def letter_queue(self, name: str) -> LetterQueue:
        """Return one queue, by its name in the template. Raises NoSuchLetters."""
        queues = self.letter_queues()
        for queue in queues:
            if queue.name == name:
                return queue
        raise NoSuchLetters(name, (queue.name for queue in queues))

    def letters(self, queue: LetterQueue) -> list[DeadLetterMessage]:
        """Look at every letter of a queue, and leave them all there, the oldest first."""
        found = [letter for batch in self._batches(queue, _PEEK_SECONDS) for letter in batch]
        self._let_go(queue, found)
        return sorted(found, key=lambda letter: letter.sent_at)

    def oldest(self, queue: LetterQueue) -> datetime | None:
        """When the oldest letter was sent, UTC; as near as SQS tells without reading all."""
        batch = next(iter(self._batches(queue, _PEEK_SECONDS)), [])
        self._let_go(queue, batch)
        return min((letter.sent_at for letter in batch), default=None)

    def redrive(self, queue: LetterQueue) -> Redriven:
        """Send every letter of a queue again."""
        return self._move(queue) if queue.from_queues else self._send_each(queue)

    def _move(self, queue: LetterQueue) -> Redriven:
        self._sqs.start_message_move_task(SourceArn=queue.arn)
        give_up_at = time.monotonic() + _MOVE_LIMIT_SECONDS
        while True:
            [task, *_] = self._sqs.list_message_move_tasks(SourceArn=queue.arn)["Results"]
            moved = int(task.get("ApproximateNumberOfMessagesMoved", 0))
            if task["Status"] == "COMPLETED":
                return Redriven(moved, ())
            if task["Status"] != "RUNNING" or time.monotonic() > give_up_at:
                return Redriven(moved, (f"{task['Status'].lower()} {task.get('FailureReason', '')}".strip(),))
            time.sleep(1)

    def _send_each(self, queue: LetterQueue) -> Redriven:
        sent, kept = 0, []
        for batch in self._batches(queue, _HOLD_SECONDS):
            for letter in batch:
                if reason := self._send(letter):
                    kept.append((letter, f"{letter.message_id}: {reason}"))
                else:
                    self._sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=letter.receipt)
                    sent += 1
        self._let_go(queue, [letter for letter, _ in kept])
        return Redriven(sent, tuple(reason for _, reason in kept))

    def _send(self, letter: DeadLetterMessage) -> str:
        """Send one letter to where it was meant to go; return why it could not, or nothing."""
        try:
            if ":lambda:" in letter.target:
                answer = self._lambda.invoke(FunctionName=letter.target, Payload=letter.payload.encode())
                return f"the function failed again ({answer['FunctionError']})" if "FunctionError" in answer else ""
            if ":sqs:" in letter.target:
                self._enqueue(letter)
                return ""
        except ClientError as error:
            return str(error)
        return f"nobody knows where it was meant to go ({letter.origin})"

    def _enqueue(self, letter: DeadLetterMessage) -> None:
        owner, name = letter.target.split(":")[4:6]
        url = self._sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=owner)["QueueUrl"]
        group = self._group(letter) if name.endswith(".fifo") else {}
        self._sqs.send_message(QueueUrl=url, MessageBody=letter.payload, **group)

    def _group(self, letter: DeadLetterMessage) -> dict[str, str]:
        """The message group that the rule gives to what it sends."""
        *bus, rule = letter.rule.partition(":rule/")[2].split("/")
        where = {"EventBusName": bus[0]} if bus else {}
        targets = self._events.list_targets_by_rule(Rule=rule, **where)["Targets"]
        groups = [each["SqsParameters"]["MessageGroupId"] for each in targets if each["Arn"] == letter.target]
        return {"MessageGroupId": groups[0]} if groups else {}

    def _batches(self, queue: LetterQueue, hold_seconds: int) -> Iterator[list[DeadLetterMessage]]:
        """Receive until nothing more comes; SQS may give few or none although there are some."""
        empty = 0
        while empty < _SCANTY_PAGES:
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

    def _let_go(self, queue: LetterQueue, letters: Iterable[DeadLetterMessage]) -> None:
        for letter in letters:
            self._sqs.change_message_visibility(QueueUrl=queue.url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)


def local_account(api_url: str) -> Account:
    """Return the account of a server on this machine."""
    endpoints = service_endpoints(api_url)
    given = {"region_name": REGION, "aws_access_key_id": "local", "aws_secret_access_key": "local"}
    sqs = boto3.client("sqs", endpoint_url=endpoints["AWS_ENDPOINT_URL_SQS"], **given)
    events = boto3.client("events", endpoint_url=endpoints["AWS_ENDPOINT_URL_EVENTBRIDGE"], **given)
    functions = boto3.client("lambda", endpoint_url=endpoints["AWS_ENDPOINT_URL_LAMBDA"], config=_patient(), **given)
    urls = sqs.list_queues().get("QueueUrls", [])
    return Account(sqs, events, functions, {_logical_id(url): url for url in urls})


def stack_account(stack: str, region: str | None) -> Account:
    """Return a CloudFormation stack on AWS, with the credentials of the environment."""
    session = boto3.Session(region_name=region)
    pages = session.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    urls = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::SQS::Queue"
    }
    functions = session.client("lambda", config=_patient())
    return Account(session.client("sqs"), session.client("events"), functions, urls)


def _patient() -> Any:  # noqa: ANN401 - botocore's
    """A client that waits for a function as long as it may run, and does not run it twice."""
    return Config(read_timeout=_FUNCTION_LIMIT_SECONDS, retries={"max_attempts": 0})


def _logical_id(url: str) -> str:
    return url.rpartition("/")[2].removesuffix(".fifo")
