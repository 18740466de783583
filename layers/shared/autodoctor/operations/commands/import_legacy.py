"""`autodoctor import-legacy`: move a database of the old system in; a dry run without `--apply`."""

import getpass
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from autodoctor.operations.console import Refusal, one_line
from autodoctor.operations.local_server import DataFolder, owner_url
from autodoctor.operations.output import fail, progress_bar, report_console

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from autodoctor.legacy.report import ImportReport, Remark


def import_legacy(  # noqa: PLR0913 - each is an option of the command
    context: typer.Context,
    *,
    source: Annotated[
        str | None,
        typer.Option("--from", help="The old database, as any role that may read it; by default the new one."),
    ] = None,
    schema: Annotated[
        str | None, typer.Option(help="The schema of the old tables: by default public with --from, else legacy.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write the changes; without this nothing is written.")] = False,
    map_status: Annotated[
        list[str] | None,
        typer.Option(help="old=new: the meaning of an unknown old status; may be given more than once."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
    database_url: Annotated[
        str | None, typer.Option(help="The new database, as its owner; by default that of the running server.")
    ] = None,
    data_dir: DataFolder = None,
) -> None:
    """Move the old system's sessions in, with their ids, and archive every old row; without --apply only show the plan.

    Reads one snapshot of the old tables; tables and columns may be missing. Start it again after an interruption, and
    it continues; a later run adds only new rows. Exits with 1 when rows are left that cannot be moved.
    """
    schema = schema or ("public" if source else "legacy")
    states = dict(_pair(each) for each in map_status or [])
    report = _imported(partial(owner_url, context, database_url, data_dir), source, schema, states, apply=apply)
    if as_json:
        typer.echo(report.model_dump_json(by_alias=True, indent=2))
    else:
        _print(report)
    raise typer.Exit(1 if report.refused else 0)


def _imported(
    target: "Callable[[], str]", source: str | None, schema: str, states: dict[str, str], *, apply: bool
) -> "ImportReport":
    """Run the import with a progress bar; print an error that an operator can act on in one line, and exit."""
    import psycopg

    from autodoctor.integrity.verify import reader
    from autodoctor.legacy import run
    from autodoctor.legacy.source import NoOldSystem
    from autodoctor.legacy.writer import Interrupted

    connected = False
    try:
        with ExitStack() as stack:
            url = target()
            writing = stack.enter_context(
                psycopg.connect(url, autocommit=True, application_name="autodoctor-import-legacy")
            )
            reading = stack.enter_context(reader(source or url, "autodoctor-import-legacy"))
            connected = True
            return run.import_legacy(
                reading,
                writing,
                schema=schema,
                label=_label(source or url, schema),
                actor=f"operator:{getpass.getuser()}",
                apply=apply,
                map_status=states,
                progress=stack.enter_context(progress_bar()),
            )
    except (Refusal, NoOldSystem, run.ImportGoingOn, Interrupted, ValueError) as refused:
        fail(one_line(refused))
    except psycopg.Error as error:
        what = "the import was interrupted, start it again to go on" if connected else "a database cannot be reached"
        fail(f"{what}: {one_line(error)}")


def _pair(text: str) -> tuple[str, str]:
    old, found, new = text.partition("=")
    if not (old and found and new):
        raise typer.BadParameter(f"{text!r} is not old=new")
    return old, new


def _label(url: str, schema: str) -> str:
    """Name the source of the rows, without the password, so that it may be stored."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'local'}{parts.path}, schema {schema}"


def _print(report: "ImportReport") -> None:
    """Print the rows found, their new states, remarks, and the rows that cannot be moved."""
    from rich import box
    from rich.table import Table

    console = report_console()
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


def _remarks(title: str, remarks: "list[Remark]") -> "Table":
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
