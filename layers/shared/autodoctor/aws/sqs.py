"""A queue of SQS as operators use it: look, take, send, and have SQS move messages back."""

from collections.abc import Mapping
from typing import Any, Final

from autodoctor.aws.boto import call
from autodoctor.aws.client import endpoint

MOST_AT_ONCE: Final = 10
"""As many as ReceiveMessage gives at once."""
# Long enough to ask every server of the queue: a short poll asks only a few, and may miss messages.
_LONG_POLL_SECONDS: Final = 1


class SqsQueue:
    """One queue. Every method raises AwsError where SQS refuses or does not answer.

    Args:
        arn: its ARN; its URL follows from it.
    """

    def __init__(self, arn: str) -> None:
        self.arn = arn

    @property
    def _url(self) -> str:
        account, name = self.arn.split(":")[4:6]
        return f"{endpoint('SQS', 'sqs')}/{account}/{name}"

    def depth(self) -> int:
        """How many messages it holds, including those in flight; approximate, as SQS counts."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = call("sqs", "get_queue_attributes", QueueUrl=self._url, AttributeNames=names).get("Attributes", {})
        return sum(int(counts.get(name, 0)) for name in names)

    def receive(self, hold_seconds: int) -> list[Mapping[str, Any]]:
        """Take up to ten messages with all their attributes, the oldest first as far as SQS keeps order.

        Args:
            hold_seconds: for how long nobody else gets them; 0: anybody may have them at once.
        """
        answer = call(
            "sqs",
            "receive_message",
            QueueUrl=self._url,
            MaxNumberOfMessages=MOST_AT_ONCE,
            VisibilityTimeout=hold_seconds,
            WaitTimeSeconds=_LONG_POLL_SECONDS,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        found: list[Mapping[str, Any]] = answer.get("Messages", [])
        return found

    def delete(self, receipt: str) -> None:
        """Delete a received message."""
        call("sqs", "delete_message", QueueUrl=self._url, ReceiptHandle=receipt)

    def release(self, receipt: str) -> None:
        """Let others have a received message at once."""
        call("sqs", "change_message_visibility", QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=0)

    def send(self, body: str, group: str) -> None:
        """Send a message; `group` counts only where this is a FIFO queue."""
        grouped = {"MessageGroupId": group} if self.arn.endswith(".fifo") else {}
        call("sqs", "send_message", QueueUrl=self._url, MessageBody=body, **grouped)

    def has_sources(self) -> bool:
        """Whether other queues have it as their dead-letter queue, so that SQS itself can move its messages back."""
        return bool(call("sqs", "list_dead_letter_source_queues", QueueUrl=self._url).get("queueUrls"))

    def is_moving(self) -> bool:
        """Whether SQS is moving its messages back already."""
        tasks = call("sqs", "list_message_move_tasks", SourceArn=self.arn).get("Results", [])
        return any(task.get("Status") == "RUNNING" for task in tasks)

    def start_move(self) -> None:
        """Have SQS move every message back to its source queue, which goes on after this call."""
        call("sqs", "start_message_move_task", SourceArn=self.arn)
