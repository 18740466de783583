"""The bench's two outputs: a table for people and a JSON file for comparison with later runs."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.measure.judge import Row, Verdict
from bench.measure.machine import Machine

_COLOURS = {Verdict.MET: "green", Verdict.MISSED: "bold red", Verdict.REFUSED: "yellow", Verdict.SHOWN: "dim"}


def table(rows: Sequence[Row], title: str) -> Table:
    """The rows as they go to the terminal."""
    made = Table(title=title, title_justify="left", show_lines=False)
    made.add_column("row", overflow="fold", ratio=5)
    for heading in ("measured", "floor/peer", "ratio", "target"):
        made.add_column(heading, justify="right", overflow="fold")
    made.add_column("verdict", overflow="fold", ratio=4)
    for row in rows:
        made.add_row(
            row.name,
            *_values(row),
            "" if row.target is None else str(row.target),
            f"[{_COLOURS[row.verdict]}]{_verdict(row)}[/]",
        )
    return made


def _values(row: Row) -> tuple[str, str, str]:
    """Measured, reference and ratio; nothing of a refused row, or somebody would quote it."""
    if row.verdict is Verdict.REFUSED:
        return "", row.reference_name, ""
    return (
        _number(row.measured, row.unit),
        f"{_number(row.reference, '')} {row.reference_name}".strip(),
        "" if row.ratio is None else f"{row.ratio:.2f}x",
    )


def write_json(file: Path, rows: Sequence[Row], machine: Machine, settings: dict[str, object]) -> None:
    """Write everything that was measured, every round included."""
    document = {
        "at": machine.at.isoformat(),
        "machine": asdict(machine) | {"at": machine.at.isoformat(), "python": platform.python_version()},
        "settings": settings,
        "rows": [_as_json(row) for row in rows],
    }
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def show(console: Console, rows: Sequence[Row], title: str) -> None:
    """Print one table."""
    console.print(table(rows, title))


def _as_json(row: Row) -> dict[str, object]:
    return asdict(row) | {
        "ratio": row.ratio,
        "verdict": row.verdict.value,
        "target": None if row.target is None else str(row.target),
    }


def _verdict(row: Row) -> str:
    why = row.refused or row.cause
    if row.verdict is Verdict.SHOWN:
        return why
    return f"{row.verdict.value}: {why}" if why and row.verdict is not Verdict.MET else row.verdict.value


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    return f"{digits} {unit}".strip()
