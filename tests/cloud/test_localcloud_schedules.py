"""Schedules fire, a failing function is tried again as the policy says, and the last failure is kept."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import boto3

from localcloud.host.logline import LogLine
from localcloud.services.cloud import CloudSettings, RunningCloud, running_cloud
from support.cloud.engine import ENGINE_TEMPLATE, due_soon

CREDENTIALS = {"region_name": "eu-central-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}
WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Scheduled:
    """A running cloud whose schedule fires once, soon, and what came of it."""

    cloud: RunningCloud
    folder: Path
    lines: list[LogLine]

    @property
    def entries(self) -> list[str]:
        """The ids of the requests that the function wrote down."""
        notebook = self.folder / "notebook"
        lines = notebook.read_text(encoding="utf-8").splitlines() if notebook.exists() else []
        return [json.loads(line)["id"] for line in lines]

    @property
    def attempts(self) -> list[str]:
        """The log lines of the schedule."""
        return [f"{line.text} {line.status}" for line in self.lines if line.kind == "schedule"]


@contextmanager
def firing_at(due: datetime, folder: Path, failures: int) -> Iterator[Scheduled]:
    lines: list[LogLine] = []
    settings = CloudSettings(
        template=ENGINE_TEMPLATE,
        data_dir=folder,
        app_database_url="",
        owner_database_url="",
        port=0,
        log=lines.append,
        reload=False,
        overrides={
            "FiringTime": due.strftime("%Y-%m-%dT%H:%M:%S"),
            "Notebook": str(folder / "notebook"),
            "FailuresBeforeSuccess": str(failures),
        },
        retry_delay_seconds=0.1,
    )
    with running_cloud(settings) as cloud:
        yield Scheduled(cloud, folder, lines)


@contextmanager
def firing(folder: Path, failures: int) -> Iterator[Scheduled]:
    """Run the engine's stack with a function that fails so often before it succeeds."""
    with due_soon(lambda due: firing_at(due, folder / due.strftime("%H%M%S"), failures)) as scheduled:
        yield scheduled


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened for {WAIT_SECONDS:.0f} s"
        time.sleep(0.02)


def test_fires_when_due(tmp_path: Path) -> None:
    with firing(tmp_path, 0) as scheduled:
        wait_for(lambda: scheduled.attempts == ["once ok"])
        assert scheduled.cloud.depth("DeadLetters").visible == 0
    assert len(scheduled.entries) == 1


def test_tries_again_with_the_same_request_id(tmp_path: Path) -> None:
    with firing(tmp_path, 1) as scheduled:
        wait_for(lambda: scheduled.attempts == ["once Unhandled", "once retry 1 ok"])
    assert len(set(scheduled.entries)) == 1


def test_keeps_an_event_it_gives_up_as_a_dead_letter(tmp_path: Path) -> None:
    with firing(tmp_path, 99) as scheduled:
        wait_for(lambda: any(line.kind == "dead" for line in scheduled.lines))
        sqs = boto3.client("sqs", endpoint_url=f"{scheduled.cloud.api_url}/_aws/sqs", **CREDENTIALS)
        url = sqs.get_queue_url(QueueName="DeadLetters")["QueueUrl"]
        [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert len(scheduled.entries) == 2
    letter = json.loads(message["Body"])
    assert letter["requestContext"]["functionArn"].endswith(":ScheduledFunction:$LATEST")
    assert letter["requestContext"]["approximateInvokeCount"] == 2
    assert letter["requestPayload"] == {"notebook": str(scheduled.folder / "notebook")}
    assert letter["responsePayload"]["errorMessage"] == "not yet"
