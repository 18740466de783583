"""A message whose handling failed comes again within seconds, long before its queue's visibility time-out.

That time-out has to be six times its function's own (SQS as an event source, docs.aws.amazon.com/lambda), up to nine
minutes: by then a push that a mechanic is on the way is worth nothing.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from autodoctor.aws.client import AwsConnection, endpoint
from autodoctor.aws.errors import AwsError
from autodoctor.observability import log_failure

FIRST_SECONDS: Final = 2
LONGEST_SECONDS: Final = 25
"""Of a wait: what failed is done within half a minute of its cause being gone."""
_TIMEOUT_SECONDS: Final = 2.0


def come_again(failed: Sequence[Mapping[str, Any]]) -> None:
    """Have SQS deliver messages again soon: after two seconds, and twice as long each time, up to 25 seconds.

    Where that fails, which is logged, they come by their queue's visibility time-out.

    Args:
        failed: SQS records of one queue, ten at most, in their order.
    """
    if not failed:
        return
    # Of a FIFO queue all that follow the first wait for it anyway.
    received = max(int(record["attributes"]["ApproximateReceiveCount"]) for record in failed)
    account, name = failed[0]["eventSourceARN"].split(":")[4:6]
    entries = [
        {"Id": str(number), "ReceiptHandle": record["receiptHandle"], "VisibilityTimeout": wait_seconds(received)}
        for number, record in enumerate(failed)
    ]
    parameters = {"QueueUrl": f"{endpoint('SQS', 'sqs')}/{account}/{name}", "Entries": entries}
    try:
        _connection().call(
            "AmazonSQS.ChangeMessageVisibilityBatch", parameters, version="1.0", timeout_seconds=_TIMEOUT_SECONDS
        )
    except AwsError as failure:
        log_failure("messages come again late", failure)


def wait_seconds(received: int) -> int:
    """How long a message waits that failed, and was received so many times."""
    return min(FIRST_SECONDS << min(received - 1, 10), LONGEST_SECONDS)


@cache
def _connection() -> AwsConnection:
    return AwsConnection("sqs", endpoint("SQS", "sqs"))
