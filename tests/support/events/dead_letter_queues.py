"""The dead-letter queues of a running account; messages are put there through SQS's own API."""

from typing import Any

import boto3

from localcloud.compute.environment import service_endpoints
from localcloud.stack.cloudformation import ACCOUNT, REGION


def arn(service: str, name: str) -> str:
    """The ARN of a resource in the account on this machine."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


class DeadLetterQueues:
    """The queues of a running account."""

    def __init__(self, api_url: str) -> None:
        url = service_endpoints(api_url)["AWS_ENDPOINT_URL_SQS"]
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        self._sqs: Any = boto3.client("sqs", region_name=REGION, endpoint_url=url, **keys)

    def names(self) -> set[str]:
        """The names of all queues, as in the template."""
        return {self._name(url) for url in self._sqs.list_queues()["QueueUrls"]}

    @staticmethod
    def _name(url: str) -> str:
        return str(url.rpartition("/")[2].removesuffix(".fifo"))

    def put(self, queue: str, body: str, **attributes: str) -> None:
        """Send a message with attributes."""
        (url,) = [each for each in self._sqs.list_queues()["QueueUrls"] if self._name(each) == queue]
        grouped = {"MessageGroupId": "test"} if url.endswith(".fifo") else {}
        own = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        self._sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=own, **grouped)

    def undelivered(self, body: str, target: str) -> None:
        """Leave what EventBridge leaves where a rule could not deliver an event to a queue."""
        rule = {"RULE_ARN": arn("events", "rule/bus/rule"), "TARGET_ARN": arn("sqs", target)}
        self.put("BusDeadLetterQueue", body, ERROR_CODE="NO_PERMISSIONS", **rule)
