"""Schedules fire, a failing function is tried again as the policy says, and the last failure is kept."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3

from integration.engine import ENGINE_TEMPLATE
from localcloud.cloud import CloudSettings, running_cloud
from localcloud.logline import LogLine

CREDENTIALS = {"region_name": "eu-central-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}


def settings(folder: Path, failures: int, lines: list[LogLine]) -> CloudSettings:
    soon = datetime.now(UTC) + timedelta(seconds=2)  # less the fraction, which at(...) does not take
    return CloudSettings(
        template=ENGINE_TEMPLATE,
        data_dir=folder,
        app_database_url="",
        owner_database_url="",
        port=0,
        log=lines.append,
        reload=False,
        overrides={
            "FiringTime": soon.strftime("%Y-%m-%dT%H:%M:%S"),
            "Notebook": str(folder / "notebook"),
            "FailuresBeforeSuccess": str(failures),
        },
        retry_delay_seconds=0.1,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "nothing happened for 10 s"
        time.sleep(0.02)


def entries(folder: Path) -> list[str]:
    notebook = folder / "notebook"
    lines = notebook.read_text(encoding="utf-8").splitlines() if notebook.exists() else []
    return [json.loads(line)["id"] for line in lines]


def schedule_lines(lines: list[LogLine]) -> list[str]:
    return [f"{line.text} {line.status}" for line in lines if line.kind == "schedule"]


def test_fires_when_due(tmp_path: Path) -> None:
    lines: list[LogLine] = []
    with running_cloud(settings(tmp_path, 0, lines)) as cloud:
        wait_for(lambda: schedule_lines(lines) == ["once ok"])
        assert cloud.depth("DeadLetters").visible == 0
    assert len(entries(tmp_path)) == 1


def test_tries_again_with_the_same_request_id(tmp_path: Path) -> None:
    lines: list[LogLine] = []
    with running_cloud(settings(tmp_path, 1, lines)):
        wait_for(lambda: schedule_lines(lines) == ["once Unhandled", "once retry 1 ok"])
    assert len(set(entries(tmp_path))) == 1


def test_keeps_an_event_it_gives_up_as_a_dead_letter(tmp_path: Path) -> None:
    lines: list[LogLine] = []
    with running_cloud(settings(tmp_path, 99, lines)) as cloud:
        wait_for(lambda: any(line.kind == "dead" for line in lines))
        sqs = boto3.client("sqs", endpoint_url=f"{cloud.api_url}/_aws/sqs", **CREDENTIALS)
        url = sqs.get_queue_url(QueueName="DeadLetters")["QueueUrl"]
        [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert len(entries(tmp_path)) == 2
    letter = json.loads(message["Body"])
    assert letter["requestContext"]["functionArn"].endswith(":ScheduledFunction:$LATEST")
    assert letter["requestContext"]["approximateInvokeCount"] == 2
    assert letter["requestPayload"] == {"notebook": str(tmp_path / "notebook")}
    assert letter["responsePayload"]["errorMessage"] == "not yet"
