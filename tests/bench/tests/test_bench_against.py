"""Two revisions side by side: medians of what each one's rounds say, and nothing of what was refused."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.against import figures, table
from bench.measure.judge import Row
from bench.measure.machine import Machine
from bench.measure.report import write_json

MACHINE = Machine(datetime(2026, 12, 1, 16, 0, tzinfo=UTC), 2, (0.1, 0.2, 0.3), 0.05)


def written(folder: Path, *rows: Row) -> dict[str, Any]:
    """What the bench writes of these rows."""
    file = folder / "bench.json"
    write_json(file, rows, MACHINE, {})
    document: dict[str, Any] = json.loads(file.read_text())
    return document


def test_a_row_says_the_median_of_its_rounds(tmp_path: Path) -> None:
    documents = [written(tmp_path, Row("accepts a second", "/s", each, 1000, "peer")) for each in (900, 400, 500)]
    said = figures(documents)["accepts a second"]
    assert (said.measured, said.ratio, str(said)) == (500, 0.5, "500 /s, 0.50x")


def test_a_refused_round_says_nothing(tmp_path: Path) -> None:
    quiet = Row("cold start", "ms", 250, 200, "floor")
    noisy = Row("cold start", "ms", 900, 200, "floor", refused="noisy: others used 99%")
    assert figures([written(tmp_path, noisy), written(tmp_path, quiet)])["cold start"].measured == 250
    assert figures([written(tmp_path, noisy)]) == {}


def test_the_table_has_every_row_that_either_revision_has(tmp_path: Path) -> None:
    before = figures([written(tmp_path, Row("relay", "ms", 12.345), Row("gone since", "", 3))])
    after = figures([written(tmp_path, Row("relay", "ms", 9), Row("the room", "ms", 3, 2, "alone"))])
    console = Console(width=120)
    with console.capture() as captured:
        console.print(table(before, after, "8e9b344"))
    lines = {line.split("│")[1].strip(): line for line in captured.get().splitlines() if "│" in line}
    assert "12.3 ms" in lines["relay"]
    assert "9 ms" in lines["relay"]
    assert "gone since" in lines
    assert "3 ms, 1.50x" in lines["the room"]
