"""`autodoctor bench`: counts (gated) and timings (never gating), as a table and a JSON file.

Exit status 1 when a gated row misses its target.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from autodoctor.db import database
from bench.database import buffers, message_cost, outbox_growth, statements, wal
from bench.events.bus import bench_bus
from bench.http.calls import ROOT, Api
from bench.http.server import bench_server
from bench.http.walks import Walks
from bench.measure import machine, report
from bench.measure.judge import Row
from bench.measure.meter import Meter

FULL = 1_000_000
SMALLEST = 20_000

type Report = Callable[[str], None]


def bench(  # noqa: PLR0913 (options)
    *,
    counts: Annotated[bool, typer.Option("--counts", help="Counts only, which decide the exit status.")] = False,
    timings: Annotated[bool, typer.Option("--timings", help="Timings only.")] = False,
    part: Annotated[
        list[str] | None, typer.Option(help="With --timings: only this part, such as 'the feed'; may be repeated.")
    ] = None,
    compass: Annotated[
        bool, typer.Option("--compass", help="Only what has a target, counts and timings, on a small database.")
    ] = False,
    rows: Annotated[int, typer.Option(min=SMALLEST, help="Ended sessions behind the counts.")] = FULL,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Where to write; by default bench-DATE.json in the repository.")
    ] = None,
) -> None:
    """Measure the product against its floor and its peers on this machine.

    Counts decide the exit status. Timings never do, and are refused when, just before, others use more than a
    quarter of the processors, when the floor's odd and even rounds are more than 15 % apart, or when the middle
    half of its rounds spreads over more than 25 %.
    """
    console = Console(stderr=True)
    found = machine.look()
    made: list[Row] = []
    with bench_bus():
        if counts or not timings:
            made += _counts(SMALLEST if compass else rows, console)
        if timings or not counts:
            made += _timings(console, part or [], compass=compass)
    if compass:
        made = [row for row in made if row.target is not None]
    out = Console(width=None if sys.stdout.isatty() else 180)
    report.show(out, made, f"autodoctor bench, {found.at:%Y-%m-%d %H:%M} UTC, {found.processors} processors")
    target = json_file or ROOT / f"bench-{found.at:%Y-%m-%d}.json"
    report.write_json(target, made, found, {"rows": rows, "counts": counts, "timings": timings})
    console.print(f"written: {target}")
    raise typer.Exit(int(any(row.fails_the_run for row in made)))


def _counts(rows: int, console: Console) -> list[Row]:
    made: list[Row] = []
    with bench_server(durable=False) as server:
        walks, meter = Walks(server, Api(server.database.app_url)), Meter(server)
        with _progress(console, rows) as (advance, say):
            say("buffers, while ended sessions are loaded")
            made += buffers.rows(server, walks, meter, rows, advance)
            say("statements and commits")
            made = [*statements.rows(walks, meter), *made]
            say("write-ahead log")
            made += wal.rows(server, walks)
            say("messages in rooms")
            made += message_cost.rows(server, walks, meter)
        database().close()
    with console.status("events through the outbox") as status:
        made += outbox_growth.rows(min(rows, FULL), status.update)
    return made


def _timings(console: Console, only: Sequence[str], *, compass: bool) -> list[Row]:
    from bench.measure import timings  # noqa: PLC0415 - FastAPI and others that counts do without

    only = only or (timings.COMPASS if compass else ())
    if unknown := set(only) - set(timings.PARTS):
        raise typer.BadParameter(f"no part {', '.join(sorted(unknown))}; there are {', '.join(timings.PARTS)}")
    made: list[Row] = []
    for name, rows in timings.PARTS.items():
        if only and name not in only:
            continue
        with console.status(f"timing: {name}"):
            made += rows()
    return made


@contextmanager
def _progress(console: Console, total: int) -> Iterator[tuple[Callable[[int], None], Report]]:
    """A bar of ended sessions loaded; the second function says what is being done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total)
        yield lambda loaded: bar.advance(task, loaded), lambda text: bar.update(task, description=text)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(bench)
    app(prog_name="autodoctor bench")
