"""The feed's FIFO queue: notes for the broadcast, which alone sends to connections, and only after their handshake."""

import json
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from autodoctor.aws.client import AwsConnection
from autodoctor.settings import required

MESSAGE_GROUP: Final = "feed"
"""One group, so that one broadcast runs at a time; the rule FeedRule in template.yaml gives the same."""
CONNECT_NOTE: Final = "connectionOpened"
"""The key of the note that a connection was opened."""
IDENTIFY_NOTE: Final = "connectionAsks"
"""The key of the note that a connection asks for its id."""
_TIMEOUT_SECONDS: Final = 2.0


def leave_note(key: str, connection_id: str, once: str) -> None:
    """Put a note about a connection into the queue.

    Args:
        key: CONNECT_NOTE or IDENTIFY_NOTE.
        once: SQS drops a second note with the same text here within five minutes.

    Raises:
        AwsError: SQS refused or did not answer.
    """
    url = required("FEED_QUEUE_URL")
    message = {
        "QueueUrl": url,
        "MessageBody": json.dumps({key: connection_id}),
        "MessageGroupId": MESSAGE_GROUP,
        "MessageDeduplicationId": once,
    }
    _connection().call(
        "AmazonSQS.SendMessage", message, version="1.0", path=urlsplit(url).path, timeout_seconds=_TIMEOUT_SECONDS
    )


@cache
def _connection() -> AwsConnection:
    parts = urlsplit(required("FEED_QUEUE_URL"))
    return AwsConnection("sqs", f"{parts.scheme}://{parts.netloc}")
