"""A running stack with queues for the events of meetings, and plain boto3 clients of its Chime."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localcloud.services.cloud import CloudSettings, RunningCloud, running_cloud
from support.events.bus_app import CREDENTIALS
from support.wait import wait_until

TEMPLATE = Path(__file__).parents[1] / "stacks" / "meetings" / "template.yaml"
GIVEN, RULED = "GivenQueue", "RuledQueue"
GIVEN_ARN = "arn:aws:sqs:eu-central-1:123456789012:GivenQueue"

type Document = dict[str, Any]


class MeetingApp:
    """The stack's clients.

    Attributes:
        cloud: what runs.
        events: what was read from each queue so far, as EventBridge's envelopes, by the queue's name.
    """

    def __init__(self, cloud: RunningCloud) -> None:
        self.cloud = cloud
        self.events: dict[str, list[Document]] = {GIVEN: [], RULED: []}

    @cached_property
    def chime(self) -> Any:  # noqa: ANN401 - boto3's
        """A client of Chime's meetings that tries once."""
        once = Config(retries={"total_max_attempts": 1})
        url = f"{self.cloud.api_url}/_aws/chime"
        return boto3.client("chime-sdk-meetings", endpoint_url=url, config=once, **CREDENTIALS)

    @cached_property
    def sqs(self) -> Any:  # noqa: ANN401 - boto3's
        """A client of SQS."""
        return boto3.client("sqs", endpoint_url=f"{self.cloud.api_url}/_aws/sqs", **CREDENTIALS)

    def meeting(self, token: str, **more: object) -> Document:
        """Open a meeting whose events go to the queue."""
        asked = {
            "MediaRegion": "eu-central-1",
            "ExternalMeetingId": f"session-{token}",
            "NotificationsConfiguration": {"SqsQueueArn": GIVEN_ARN},
            **more,
        }
        answer: Document = self.chime.create_meeting(ClientRequestToken=token, **asked)["Meeting"]
        return answer

    def attendee(self, meeting: Document, who: str) -> Document:
        """Admit somebody."""
        answer: Document = self.chime.create_attendee(MeetingId=meeting["MeetingId"], ExternalUserId=who)["Attendee"]
        return answer

    def read(self, queue: str) -> list[Document]:
        """Every event that a queue has got so far."""
        url = self.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        while found := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                self.events[queue].append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return self.events[queue]

    def kinds(self, meeting: Document, queue: str = GIVEN) -> list[str]:
        """What has happened in a meeting, by a queue's events in the order in which they came."""
        details = [each["detail"] for each in self.read(queue)]
        return [
            each["eventType"].removeprefix("chime:") for each in details if each["meetingId"] == meeting["MeetingId"]
        ]

    def await_kind(self, meeting: Document, kind: str, queue: str = GIVEN) -> None:
        """Wait until something has happened in a meeting."""
        wait_until(lambda: kind in self.kinds(meeting, queue))


@contextmanager
def open_meeting_app(folder: Path) -> Iterator[MeetingApp]:
    """Run the stack for the length of a `with` block, with its data in a folder."""
    settings = CloudSettings(
        template=TEMPLATE,
        data_dir=folder / "data",
        app_database_url="",
        owner_database_url="",
        port=0,
        log=lambda _line: None,
        reload=False,
    )
    with running_cloud(settings) as cloud:
        yield MeetingApp(cloud)
