"""`autodoctor verify`: proves on any database what is always true; exit status 1 where it is not."""

# ruff: noqa: PLC0415 - imports inside commands, as localcloud.cli says

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from localcloud.host.console import Refusal, one_line
from localcloud.host.datadir import DEFAULT, DataDir

if TYPE_CHECKING:
    from rich.table import Table

    from autodoctor.integrity.report import SectionReport, VerifyReport
    from autodoctor.integrity.verify import Progress

FAILED: Final = 2
"""The exit status where the database could not be looked at; 1 says that something is wrong with it."""
_WIDE: Final = 160
_ONE: Final = {"ledger": "ledger row"}


def verify(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as JSON.")] = False,
    database_url: Annotated[
        str | None,
        typer.Option(
            help="The database or a replica of it, as any role that may read; by default that of the running server."
        ),
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="The data folder of the running server.")] = DEFAULT,
) -> None:
    """Prove the invariants on a database, and whatever else can be proved; exit with 1 where something is wrong.

    It only reads, in many short transactions: a replica will do.
    """
    import psycopg

    from autodoctor.integrity.report import VerifyReport
    from autodoctor.integrity.verify import reader
    from autodoctor.integrity.verify import verify as look_at

    try:
        with reader(url_of(database_url, data_dir), "autodoctor-verify") as connection, progress_bar() as progress:
            report = VerifyReport.of(look_at(connection, progress=progress))
    except Refusal as refused:
        fail(str(refused))
    except psycopg.Error as error:
        fail(f"the database could not be looked at: {one_line(error)}")
    if as_json:
        typer.echo(report.model_dump_json(by_alias=True, indent=2))
    else:
        print_report(report)
    raise typer.Exit(1 if report.findings else 0)


def url_of(database_url: str | None, data_dir: Path) -> str:
    """The named database, or the running server's, as its owner. Raises NoServer."""
    return DataDir(data_dir).server().owner_url if database_url is None else database_url


@contextmanager
def progress_bar() -> Iterator["Progress"]:
    """What is being read and how far, on a terminal's standard error; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        tasks = {"schema": bar.add_task("schema", total=1)}

        def told(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                bar.update(tasks["schema"], completed=1)
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=max(total or 0, done))

        yield told


def print_report(report: "VerifyReport") -> None:
    """The sections, what is wrong in each, then what was looked at."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from autodoctor.integrity.plural import counted

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_WIDE)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("section", no_wrap=True)
    table.add_column("invariants", no_wrap=True)
    table.add_column("checks", justify="right")
    table.add_column("findings", justify="right")
    table.add_column("what is wrong, and the first few", overflow="fold")
    for section in report.sections:
        _add(table, section)
    console.print(table)
    if report.unreadable:
        console.print(f"not everything could be looked at: {report.unreadable}")
        return
    examined = ", ".join(
        counted(count, _ONE.get(name, name.removesuffix("s"))) for name, count in report.examined.items()
    )
    recent = report.recent
    console.print(f"looked at {examined} in {report.seconds:.1f} s")
    console.print(
        f"in the last 24 hours: {counted(recent['created'], 'session')} created, {recent['completed']:,} completed,"
        f" {recent['notCompleted']:,} cancelled or expired, {recent['active']:,} active"
    )
    if report.accepted:
        console.print(f"{report.accepted:,} found that a person has accepted (autodoctor repair --accept)")
    console.print(counted(report.findings, "finding") if report.findings else "nothing is wrong")


def _add(table: "Table", section: "SectionReport") -> None:
    from rich.text import Text

    from autodoctor.domain.invariants import INVARIANTS

    numbers = ", ".join(map(str, section.invariants)) or "-"
    style = "red" if section.findings else ""
    count = "-" if section.findings is None else f"{section.findings:,}"
    says = "not looked at" if section.findings is None else "" if section.findings else "ok"
    table.add_row(section.section, numbers, str(section.checks), Text(count, style), says)
    for found in section.found:
        answer = " (autodoctor repair)" if found.repairable else ""
        table.add_row("", "", "", f"{found.count:,}", Text(f"{found.check}: {found.says}{answer}", "bold"))
        if found.invariant is not None:
            broken = f"breaks invariant {found.invariant}: {INVARIANTS[found.invariant]}"
            table.add_row("", "", "", "", broken)
        for sample in found.samples:
            table.add_row("", "", "", "", Text(f"{sample.subject}: {sample.detail}"))


def fail(message: str) -> NoReturn:
    """Say why nothing could be done, and exit with 2."""
    typer.echo(message, err=True)
    raise typer.Exit(FAILED)
