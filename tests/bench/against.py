"""`python -m bench.against REVISION --part "accepts a second"`: the bench of an earlier revision and of this tree.

The two take turns on one machine, so that what else it does falls on both; each measures itself with its own bench.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Self

import typer
from rich.console import Console
from rich.table import Table

from bench.http.calls import ROOT


@dataclass(frozen=True)
class Figures:
    """What the rounds of one revision say of one row.

    Attributes:
        unit: of `measured`.
        measured: the median of the rounds.
        ratio: against the row's floor or peer, the median of the rounds; None where a row has none.
    """

    unit: str
    measured: float
    ratio: float | None

    @classmethod
    def of(cls, rows: Sequence[dict[str, Any]]) -> Self | None:
        """The figures of one row in the bench's files; None where every round refused it."""
        said = [row for row in rows if row["measured"] is not None and not row["refused"]]
        if not said:
            return None
        ratios = [row["ratio"] for row in said if row["ratio"] is not None]
        measured = statistics.median(row["measured"] for row in said)
        return cls(said[0]["unit"], measured, statistics.median(ratios) if ratios else None)

    def __str__(self) -> str:
        number = f"{self.measured:,.0f}" if self.measured >= 100 else f"{self.measured:.3g}"
        ratio = "" if self.ratio is None else f", {self.ratio:.2f}x"
        return f"{number} {self.unit}".strip() + ratio


def figures(documents: Iterable[dict[str, Any]]) -> dict[str, Figures]:
    """What the files of one revision's rounds say, by the names of their rows."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for document in documents:
        for row in document["rows"]:
            rows.setdefault(row["name"], []).append(row)
    return {name: said for name, each in rows.items() if (said := Figures.of(each)) is not None}


def table(before: dict[str, Figures], after: dict[str, Figures], revision: str) -> Table:
    """Every row that either has, the earlier revision's first."""
    made = Table(title=f"{revision} and this tree, in turns", title_justify="left")
    made.add_column("row", overflow="fold", ratio=5)
    for heading in ("before", "after"):
        made.add_column(heading, justify="right", overflow="fold")
    for name in before | after:
        made.add_row(name, str(before.get(name, "")), str(after.get(name, "")))
    return made


def against(
    revision: Annotated[str, typer.Argument(help="The earlier one, as git names it.")],
    *,
    part: Annotated[list[str] | None, typer.Option(help="A part of the timings; may be repeated.")] = None,
    counts: Annotated[bool, typer.Option("--counts", help="The counts, too, on the smallest database.")] = False,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure an earlier revision and this tree in turns, and print what both say of each row."""
    console = Console(stderr=True)
    runs = [["--timings", "--part", each] for each in part or []] + [["--counts", "--rows", "20000"]] * counts
    if not runs:
        raise typer.BadParameter("nothing to measure: name a part, or --counts")
    with TemporaryDirectory() as folder, _tree(revision, Path(folder, "before")) as earlier:
        said: dict[Path, list[dict[str, Any]]] = {earlier: [], ROOT: []}
        for number in range(1, rounds + 1):
            for options in runs:
                for tree, documents in said.items():
                    name = revision if tree == earlier else "this tree"
                    with console.status(f"round {number} of {rounds}, {name}: {options[-1]}"):
                        documents.append(_measured(tree, options, Path(folder, "bench.json")))
        width = None if sys.stdout.isatty() else 180
        Console(width=width).print(table(figures(said[earlier]), figures(said[ROOT]), revision))


@contextmanager
def _tree(revision: str, folder: Path) -> Iterator[Path]:
    """A checkout of a revision beside this one, which is gone afterwards."""
    git = ("git", "-C", str(ROOT), "worktree")
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def _measured(tree: Path, options: list[str], file: Path) -> dict[str, Any]:
    """Run a tree's own bench, in its own environment; what it wrote."""
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    command = ["uv", "run", "--quiet", "--group", "bench", "autodoctor", "bench", *options, "--json", str(file)]
    file.unlink(missing_ok=True)
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if not file.exists():  # it fails, too, when a gated row misses its target
        raise RuntimeError(f"{' '.join(command)} in {tree.name}: {done.stderr[-2000:]}")
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(against)
    app(prog_name="python -m bench.against")
