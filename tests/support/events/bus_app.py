"""The stack for tests of bus and queues, and a client of its AWS APIs."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localcloud.host.logline import LogLine
from localcloud.services.cloud import CloudSettings, RunningCloud, running_cloud

TEMPLATE = Path(__file__).parents[1] / "stacks" / "bus" / "template.yaml"
BUS = "autodoctor-local-events"
CREDENTIALS = {"region_name": "eu-central-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}


def settings(
    folder: Path, log: Callable[[LogLine], None], longest_redelivery_seconds: float = 0.5, **overrides: str
) -> CloudSettings:
    """Settings of a cloud that runs the stack, with its notebook and data in a folder."""
    return CloudSettings(
        template=TEMPLATE,
        data_dir=folder / "data",
        app_database_url="",
        owner_database_url="",
        port=0,
        log=log,
        reload=False,
        overrides={"Notebook": str(folder / "notebook"), **overrides},
        retry_delay_seconds=0.1,
        longest_redelivery_seconds=longest_redelivery_seconds,
    )


class BusApp:
    """Plain boto3 clients of a running stack, and what its functions wrote down."""

    def __init__(self, api_url: str, folder: Path) -> None:
        self.api_url = api_url
        self._folder = folder

    @cached_property
    def sqs(self) -> Any:  # noqa: ANN401 - boto3's
        """A client of SQS."""
        return boto3.client("sqs", endpoint_url=f"{self.api_url}/_aws/sqs", **CREDENTIALS)

    @cached_property
    def events(self) -> Any:  # noqa: ANN401 - boto3's
        """A client of EventBridge that tries once."""
        return self._events(give_up_seconds=60)

    def put_in_vain(self, name: object, give_up_seconds: float = 60) -> None:
        """Put an event, of which no answer is expected: raises what boto3 makes of that."""
        self._events(give_up_seconds).put_events(Entries=[_entry(name)])

    def _events(self, give_up_seconds: float) -> Any:  # noqa: ANN401 - boto3's
        once = Config(retries={"total_max_attempts": 1}, read_timeout=give_up_seconds)
        return boto3.client("events", endpoint_url=f"{self.api_url}/_aws/events", config=once, **CREDENTIALS)

    def put(self, *names: object, detail_type: str = "order.made", bus: str = BUS, **detail: object) -> Any:  # noqa: ANN401 - boto3's
        """Put an event for each name."""
        return self.events.put_events(Entries=[_entry(name, detail_type, bus, **detail) for name in names])

    def url(self, queue: str) -> str:
        """The URL of a queue."""
        return str(self.sqs.get_queue_url(QueueName=queue)["QueueUrl"])

    def send(self, queue: str, body: str, **more: object) -> Any:  # noqa: ANN401 - boto3's
        """Send a message."""
        return self.sqs.send_message(QueueUrl=self.url(queue), MessageBody=body, **more)

    def receive(self, queue: str, most: int = 10, **more: object) -> list[dict[str, Any]]:
        """Receive messages with all their attributes."""
        answer = self.sqs.receive_message(
            QueueUrl=self.url(queue),
            MaxNumberOfMessages=most,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
            **more,
        )
        return list(answer.get("Messages", []))

    def bodies(self, queue: str, **more: object) -> list[str]:
        """Receive messages and return what they say."""
        return [message["Body"] for message in self.receive(queue, 10, **more)]

    def depth(self, queue: str) -> int:
        """The number of messages that can be received."""
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url(queue), AttributeNames=["All"])["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"])

    def tell_functions(self, **wishes: object) -> None:
        """Say what the recording functions are to do from now on."""
        file = self._folder / "failures.json"
        if wishes:
            fresh = file.with_suffix(".new")
            fresh.write_text(json.dumps(wishes))
            fresh.replace(file)
        else:
            file.unlink()

    def noted(self) -> list[dict[str, Any]]:
        """The functions' notes, an entry for each invocation."""
        notebook = self._folder / "notebook"
        return [json.loads(line) for line in notebook.read_text().splitlines()] if notebook.exists() else []

    def batches(self) -> list[list[object]]:
        """The names in each batch that a function got."""
        return [[_name(record) for record in entry["records"]] for entry in self.noted()]

    def names(self) -> list[object]:
        """All names that functions got, in order."""
        return [name for batch in self.batches() for name in batch]


class RunningBusApp(BusApp):
    """One whose local cloud runs in this process."""

    def __init__(self, cloud: RunningCloud, folder: Path, lines: list[LogLine]) -> None:
        super().__init__(cloud.api_url, folder)
        self.cloud = cloud
        self.faults = cloud.bus_faults
        self.lines = lines


@contextmanager
def open_bus_app(folder: Path, longest_redelivery_seconds: float = 0.5, **overrides: str) -> Iterator[RunningBusApp]:
    """Run the stack with its files in a folder; what a function failed on comes again soon."""
    lines: list[LogLine] = []
    with running_cloud(settings(folder, lines.append, longest_redelivery_seconds, **overrides)) as cloud:
        yield RunningBusApp(cloud, folder, lines)


def _entry(name: object, detail_type: str = "order.made", bus: str = BUS, **detail: object) -> dict[str, str]:
    return {
        "Source": "shop",
        "DetailType": detail_type,
        "Detail": json.dumps({"name": name, **detail}),
        "EventBusName": bus,
    }


def _name(record: dict[str, Any]) -> object:
    body = json.loads(record["body"])
    return body.get("detail", body).get("name")
