"""The output of a start that fails, and of one whose reader has gone."""

import os
from pathlib import Path

import pytest

from autodoctor.operations.console import Console, StepFailed


def test_a_failed_step_reports_the_last_twenty_lines_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    with pytest.raises(StepFailed) as failed, Console(None).step("cooking", "another pot", log):
        raise ValueError("burnt")
    lines = failed.value.report.splitlines()
    assert lines[0] == "autodoctor failed at: cooking"
    assert lines[1] == "  cause: ValueError: burnt"
    assert lines[3:-1] == [f"    line {number}" for number in range(80, 100)]
    assert lines[-1] == "  try: another pot"


def test_without_a_log_a_failed_step_reports_what_was_said_before() -> None:
    console = Console(None)
    console.line("shopping")
    with pytest.raises(StepFailed, match="shopping"), console.step("cooking", "another pot"):
        raise ValueError("burnt")


def test_a_reader_that_has_gone_is_no_error() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as stream:
        os.close(read_end)
        console = Console(stream)
        console.line("nobody")
        console.line("listens")
