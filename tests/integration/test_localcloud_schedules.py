"""Schedules fire, a failing function is tried again as the policy says, and the last failure is kept."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from integration.engine import ENGINE_TEMPLATE
from localcloud.cloud import CloudSettings, running_cloud
from localcloud.logline import LogLine
from localcloud.schedules import DEAD_LETTERS


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
    with running_cloud(settings(tmp_path, 0, lines)):
        wait_for(lambda: schedule_lines(lines) == ["once ok"])
    assert len(entries(tmp_path)) == 1
    assert not (tmp_path / DEAD_LETTERS).exists()


def test_tries_again_with_the_same_request_id(tmp_path: Path) -> None:
    lines: list[LogLine] = []
    with running_cloud(settings(tmp_path, 1, lines)):
        wait_for(lambda: schedule_lines(lines) == ["once Unhandled", "once retry 1 ok"])
    assert len(set(entries(tmp_path))) == 1


def test_keeps_an_event_it_gives_up_as_a_dead_letter(tmp_path: Path) -> None:
    lines: list[LogLine] = []
    with running_cloud(settings(tmp_path, 99, lines)):
        wait_for(lambda: any("given up" in text for text in schedule_lines(lines)))
    assert len(entries(tmp_path)) == 2
    [letter] = [json.loads(line) for line in (tmp_path / DEAD_LETTERS).read_text(encoding="utf-8").splitlines()]
    assert letter["schedule"] == "once"
    assert letter["target"].endswith(":DeadLetters")
    assert letter["attempts"] == 2
    assert letter["event"] == {"notebook": str(tmp_path / "notebook")}
    assert letter["error"]["errorMessage"] == "not yet"
