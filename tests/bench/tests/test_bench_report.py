"""The bench's report: a miss with its cause, a refusal with its reason, and every round in the JSON file."""

import json
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from bench.measure.judge import Row, Target
from bench.measure.machine import Machine
from bench.measure.report import table, write_json

MACHINE = Machine(datetime(2026, 11, 21, 3, 30, tzinfo=UTC), 2, (0.1, 0.2, 0.3), 0.05)
ROWS = [
    Row("accepts a second", "/s", 400, 1000, "bare UPDATE", Target(0.5, at_least=True), cause="it writes more"),
    Row("cold start", "ms", 300, 200, "floor", Target(2.0), refused="noisy: others used 99%"),
    Row("statements: queue", "", 1, target=Target(1, on_ratio=False), gated=True, samples={"statements": [1, 1]}),
]


def test_the_table_tells_the_cause_of_a_miss_and_of_a_refusal() -> None:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table(ROWS, "bench"))
    text = captured.get()
    assert "400 /s" in text
    assert "0.40x" in text
    assert "MISSED: it writes more" in text
    assert "refused: noisy: others used 99%" in text
    assert "300 ms" not in text, "a refused value would be quoted"


def test_the_file_keeps_every_round(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    write_json(file, ROWS, MACHINE, {"rows": 100_000})
    document = json.loads(file.read_text())
    assert document["machine"]["processors"] == 2
    assert document["settings"] == {"rows": 100_000}
    assert [row["verdict"] for row in document["rows"]] == ["MISSED", "refused", "met"]
    assert document["rows"][0]["ratio"] == 0.4
    assert document["rows"][2]["samples"] == {"statements": [1, 1]}
