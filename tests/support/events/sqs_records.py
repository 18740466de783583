"""Messages of a queue as Lambda gives them to its consumer, for whoever calls a handler itself."""

import json
from typing import Any

NO_QUEUE = {
    "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}
"""The environment of a consumer whose queue does not answer: it logs that, and SQS gives the message again later."""


def sqs_record(body: object, message_id: str, received: int = 1) -> dict[str, Any]:
    """A message as SQS gives it, received so many times.

    Args:
        body: is sent as JSON.
    """
    return {
        "messageId": message_id,
        "receiptHandle": f"receipt of {message_id}",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(received)},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:Queue",
    }
