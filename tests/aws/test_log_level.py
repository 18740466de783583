"""The level that Lambda tells a function is the one that the function logs by; each line has a time Lambda reads."""

import json
import os
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest

LEVELS = ("debug", "info", "warning", "error", "critical")
LINES = f"""
from autodoctor.observability import MetricUnit, logger, metrics
for level in {LEVELS}:
    getattr(logger, level)(level)
metrics.add_metric(name="Told", unit=MetricUnit.Count, value=1)
metrics.flush_metrics()
"""


def logged(level: str) -> list[dict[str, Any]]:
    """Return what a function logs where the stack has this LogLevel; a warning of powertools would fail it."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_LOG_LEVEL": level if level in ("TRACE", "DEBUG") else "INFO",
        "APPLICATION_LOG_LEVEL": level,
        "POWERTOOLS_SERVICE_NAME": "stack",
        "POWERTOOLS_METRICS_NAMESPACE": "AutoDoctor",
    }
    command = [sys.executable, "-W", "error", "-c", LINES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("level", "first"), [("TRACE", 0), ("DEBUG", 0), ("INFO", 1), ("WARN", 2), ("ERROR", 3), ("FATAL", 4)]
)
def test_a_function_logs_from_the_level_of_the_stack_on(level: str, first: int) -> None:
    *lines, metric = logged(level)
    assert [line["message"] for line in lines] == list(LEVELS[first:])
    assert metric["Told"] == [1.0]
    for line in lines:
        assert line["timestamp"][10] == "T"
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
