"""The level that Lambda tells a function is the one that the function logs by; each line has a time Lambda reads."""

import json
import os
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest

LINES = """
from autodoctor.observability import logger
for level in ("debug", "info", "warning", "error"):
    getattr(logger, level)(level)
"""


def logged(level: str) -> list[dict[str, Any]]:
    """Return what a function logs where the stack has this LogLevel; a warning of powertools would fail it."""
    environment = {"PATH": os.environ["PATH"], "AWS_LAMBDA_LOG_LEVEL": level, "POWERTOOLS_SERVICE_NAME": "stack"}
    command = [sys.executable, "-W", "error", "-c", LINES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("level", "first"), [("DEBUG", 0), ("INFO", 1), ("WARN", 2), ("ERROR", 3)])
def test_a_function_logs_from_the_level_of_the_stack_on(level: str, first: int) -> None:
    lines = logged(level)
    assert [line["message"] for line in lines] == ["debug", "info", "warning", "error"][first:]
    for line in lines:
        assert line["timestamp"][10] == "T"
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
