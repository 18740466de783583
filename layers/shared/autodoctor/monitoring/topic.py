"""The SNS topic that alerts go to: Publish, through the signer that costs a cold start the least."""

from collections.abc import Mapping
from functools import cache
from typing import Final
from urllib.parse import urlencode

from autodoctor.aws.client import AwsConnection, endpoint
from autodoctor.settings import required

_API: Final = "2010-03-31"
_TIMEOUT_SECONDS: Final = 5.0


class _Topic:
    """The topic of this deployment."""

    def __init__(self) -> None:
        self._arn = required("ALERT_TOPIC_ARN")
        self._connection = AwsConnection("sns", endpoint("SNS", "sns"))

    def publish(self, subject: str, message: str, attributes: Mapping[str, str]) -> None:
        fields = {
            "Action": "Publish",
            "Version": _API,
            "TopicArn": self._arn,
            "Subject": subject,
            "Message": message,
        }
        for number, (name, value) in enumerate(attributes.items(), 1):
            entry = f"MessageAttributes.entry.{number}"
            fields |= {
                f"{entry}.Name": name,
                f"{entry}.Value.DataType": "String",
                f"{entry}.Value.StringValue": value,
            }
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        body = urlencode(fields).encode()
        answer = self._connection.send("POST", "/", body, headers, timeout_seconds=_TIMEOUT_SECONDS)
        self._connection.check("Publish", answer)


@cache
def _topic() -> _Topic:
    return _Topic()


def publish(subject: str, message: str, attributes: Mapping[str, str]) -> None:
    """Send a message to the topic.

    Args:
        subject: at most 100 characters of ASCII, for those who get it by e-mail.
        message: its text.
        attributes: what a subscription can filter by.

    Raises:
        ServiceRefused: the topic does not exist, or did not take the message.
        ServiceUnreachable: SNS did not answer in time; it may have the message all the same.
    """
    _topic().publish(subject, message, attributes)
