"""`autodoctor import-legacy`: moves a database of the old system in; dry unless told to apply."""

# ruff: noqa: PLC0415 - imports inside commands, as localcloud.cli says

import getpass
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from localcloud.host.console import Refusal, one_line
from localcloud.host.datadir import DEFAULT
from localcloud.verify_command import fail, url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autodoctor.legacy.report import ImportReport, Remark
    from autodoctor.legacy.run import Progress

_WIDE = 160


def import_legacy(  # noqa: PLR0913 - each is an option of the command
    *,
    source: Annotated[
        str | None,
        typer.Option("--from", help="The old database, as any role that may read it; by default the new one."),
    ] = None,
    schema: Annotated[
        str | None, typer.Option(help="Where the old tables are: by default public with --from, else legacy.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this nothing is written.")] = False,
    map_status: Annotated[
        list[str] | None,
        typer.Option(help="old=new: what a state means that we do not know; may be given more than once."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as JSON.")] = False,
    database_url: Annotated[
        str | None, typer.Option(help="The new database, as its owner; by default that of the running server.")
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="The data folder of the running server.")] = DEFAULT,
) -> None:
    """Move sessions of the old system in, ids kept, every old row archived; say first what would become of them.

    Reads one snapshot of the old tables, whichever of them and of their columns there are. Interrupted, it goes on
    where it was when started again; run again, it adds only what came in between. Exits with 1 where rows are left
    that cannot be moved.
    """
    schema = schema or ("public" if source else "legacy")
    states = dict(_pair(each) for each in map_status or [])
    report = _imported(partial(url_of, database_url, data_dir), source, schema, states, apply=apply)
    if as_json:
        typer.echo(report.model_dump_json(by_alias=True, indent=2))
    else:
        _print(report)
    raise typer.Exit(1 if report.refused else 0)


def _imported(
    target: "Callable[[], str]", source: str | None, schema: str, states: dict[str, str], *, apply: bool
) -> "ImportReport":
    """Run it with a progress bar; what an operator can act on is said in a line, and ends the command."""
    import psycopg

    from autodoctor.integrity.verify import reader
    from autodoctor.legacy import run
    from autodoctor.legacy.source import NoOldSystem
    from autodoctor.legacy.writer import Interrupted

    try:
        with ExitStack() as stack:
            url = target()
            writing = stack.enter_context(
                psycopg.connect(url, autocommit=True, application_name="autodoctor-import-legacy")
            )
            reading = stack.enter_context(reader(source or url, "autodoctor-import-legacy"))
            return run.import_legacy(
                reading,
                writing,
                schema=schema,
                label=_label(source or url, schema),
                actor=f"operator:{getpass.getuser()}",
                apply=apply,
                map_status=states,
                progress=stack.enter_context(_progress_bar()),
            )
    except (Refusal, NoOldSystem, run.ImportGoingOn, Interrupted, ValueError) as refused:
        fail(one_line(refused))
    except psycopg.Error as error:
        fail(f"the import was interrupted, start it again to go on: {one_line(error)}")


def _pair(text: str) -> tuple[str, str]:
    old, found, new = text.partition("=")
    if not (old and found and new):
        raise typer.BadParameter(f"{text!r} is not old=new")
    return old, new


def _label(url: str, schema: str) -> str:
    """Where the rows come from, in words that may be kept."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'local'}{parts.path}, schema {schema}"


@contextmanager
def _progress_bar() -> "Iterator[Progress]":
    """Which table is read and how far, on a terminal's standard error; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        tasks = {}

        def told(table: str, done: int, total: int | None) -> None:
            if table not in tasks:
                tasks[table] = bar.add_task(table, total=total)
            bar.update(tasks[table], completed=done)

        yield told


def _print(report: "ImportReport") -> None:
    """What there is, what becomes of it, what to know of it, and what is left."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_WIDE)
    verb = "became" if report.applied else "would become"
    tables = Table("old table", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("rows", "moved before", "moved", "part of another", "archived only", "refused"):
        tables.add_column(name, justify="right")
    for each in report.tables:
        numbers = (each.rows, each.before, each.moved, each.part, each.kept, each.refused)
        tables.add_row(each.table, *(f"{number:,}" for number in numbers))
    console.print(tables)
    states = Table("old table", "old status", verb, box=box.SIMPLE_HEAD, pad_edge=False)
    states.add_column("rows", justify="right")
    for change in report.became:
        states.add_row(change.table, change.old_status, change.became, f"{change.count:,}")
    console.print(states)
    for title, remarks in (("to know", report.noticed), ("cannot be moved", report.refused)):
        if remarks:
            console.print(_remarks(title, remarks))
    console.print("done" if report.applied else "nothing was written; --apply does it")


def _remarks(title: str, remarks: "list[Remark]") -> object:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title, box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rows", justify="right")
    table.add_column("what, and the first few", overflow="fold")
    for remark in remarks:
        table.add_row(remark.kind, f"{remark.count:,}", Text(remark.says, "bold"))
        for sample in remark.samples:
            table.add_row("", "", Text(sample))
    return table
