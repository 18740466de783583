"""SQS's HTTP API as operators of dead letters use it, through the signer that costs a cold start the least."""

import json
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from autodoctor.aws.client import AwsConnection, endpoint
from autodoctor.events.dead_letters.model import DeadLetterMessage, parse_message

MOST_AT_ONCE: Final = 10
"""As many as ReceiveMessage gives at once."""
_TIMEOUT_SECONDS: Final = 5.0
# Long enough to ask every server of the queue: a short poll asks a few, and may find nothing where there is something.
_LONG_POLL_SECONDS: Final = 1


class QueueRefused(OSError):
    """SQS did not do what it was asked."""

    def __init__(self, action: str, status: int) -> None:
        super().__init__(f"SQS answered {status} to {action}")
        self.status = status


class SqsQueue:
    """One queue.

    Args:
        arn: its ARN; its URL follows from it.
    """

    def __init__(self, arn: str) -> None:
        self.arn = arn
        self._path = "/" + "/".join(arn.split(":")[4:6])

    @property
    def _url(self) -> str:
        return endpoint("SQS", "sqs") + self._path

    def depth(self) -> int:
        """How many messages it holds, also those that somebody is at work on; approximate, as SQS counts."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self._call("GetQueueAttributes", {"AttributeNames": names}).get("Attributes", {})
        return sum(int(counts.get(name, 0)) for name in names)

    def receive(self, hold_seconds: int) -> list[DeadLetterMessage]:
        """Take up to ten messages, the oldest first as far as SQS keeps order.

        Args:
            hold_seconds: for how long nobody else gets them; 0 leaves them to be had at once.
        """
        answer = self._call(
            "ReceiveMessage",
            {
                "MaxNumberOfMessages": MOST_AT_ONCE,
                "VisibilityTimeout": hold_seconds,
                "WaitTimeSeconds": _LONG_POLL_SECONDS,
                "MessageSystemAttributeNames": ["All"],
                "MessageAttributeNames": ["All"],
            },
        )
        return [parse_message(message) for message in answer.get("Messages", [])]

    def delete(self, letter: DeadLetterMessage) -> None:
        """Delete a received message."""
        self._call("DeleteMessage", {"ReceiptHandle": letter.receipt})

    def let_go(self, letter: DeadLetterMessage) -> None:
        """Let others have a message that was received."""
        self._call("ChangeMessageVisibility", {"ReceiptHandle": letter.receipt, "VisibilityTimeout": 0})

    def send(self, body: str, group: str) -> None:
        """Put a message into it; `group` counts where it is a FIFO queue."""
        grouped = {"MessageGroupId": group} if self.arn.endswith(".fifo") else {}
        self._call("SendMessage", {"MessageBody": body, **grouped})

    def has_sources(self) -> bool:
        """Whether it is where other queues give up to, so that SQS itself can move its messages back."""
        return bool(self._call("ListDeadLetterSourceQueues", {}).get("queueUrls"))

    def is_moving(self) -> bool:
        """Whether SQS is moving its messages back already."""
        tasks = self._call("ListMessageMoveTasks", {"SourceArn": self.arn}).get("Results", [])
        return any(task.get("Status") == "RUNNING" for task in tasks)

    def start_move(self) -> None:
        """Have SQS move every message back to the queue it came from; it goes on after this call."""
        self._call("StartMessageMoveTask", {"SourceArn": self.arn})

    def _call(self, action: str, parameters: Mapping[str, object]) -> dict[str, Any]:
        """Make one call about this queue.

        Raises:
            QueueRefused: SQS did not do it.
            OSError: it did not answer in time.
        """
        named = {} if "SourceArn" in parameters else {"QueueUrl": self._url}
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{action}"}
        body = json.dumps({**named, **parameters}).encode()
        answer = _connection().send("POST", "/", body, headers, timeout_seconds=_TIMEOUT_SECONDS)
        if answer.status != HTTPStatus.OK:
            raise QueueRefused(action, answer.status)
        found: dict[str, Any] = json.loads(answer.body or b"{}")
        return found


@cache
def _connection() -> AwsConnection:
    return AwsConnection("sqs", endpoint("SQS", "sqs"))
