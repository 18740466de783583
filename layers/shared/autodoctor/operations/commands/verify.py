"""`autodoctor verify`: check the invariants of any database; exit status 1 when one is violated."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from autodoctor.operations.console import Refusal, one_line
from autodoctor.operations.local_server import DataFolder, owner_url
from autodoctor.operations.output import fail, progress_bar, report_console

if TYPE_CHECKING:
    from rich.table import Table

    from autodoctor.integrity.report import SectionReport, VerifyReport

_SINGULAR: Final = {"ledger": "ledger row", "customers": "credit account"}


def verify(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
    database_url: Annotated[
        str | None,
        typer.Option(
            help="The database or a replica of it, as any role that may read; by default that of the running server."
        ),
    ] = None,
    data_dir: DataFolder = None,
) -> None:
    """Check the invariants of a database, and everything else that can be checked; exit with 1 if anything is wrong.

    It only reads, in many short transactions: a replica will do.
    """
    import psycopg

    from autodoctor.integrity.report import VerifyReport
    from autodoctor.integrity.verify import reader
    from autodoctor.integrity.verify import verify as run_checks

    try:
        url = owner_url(context, database_url, data_dir)
        with reader(url, "autodoctor-verify") as connection, progress_bar("schema") as progress:
            report = VerifyReport.of(run_checks(connection, progress=progress))
    except Refusal as refused:
        fail(str(refused))
    except psycopg.Error as error:
        fail(f"the database could not be looked at: {one_line(error)}")
    if as_json:
        typer.echo(report.model_dump_json(by_alias=True, indent=2))
    else:
        print_report(report)
    raise typer.Exit(1 if report.findings else 0)


def print_report(report: "VerifyReport") -> None:
    """Print the sections with their findings, then the number of rows read."""
    from rich import box
    from rich.table import Table

    from autodoctor.plural import counted

    console = report_console()
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
        counted(count, _SINGULAR.get(name, name.removesuffix("s"))) for name, count in report.examined.items()
    )
    recent = report.recent
    console.print(f"looked at {examined} in {report.seconds:.1f} s")
    console.print(
        f"in the last 24 hours: {counted(recent['created'], 'session')} created, {recent['completed']:,} completed,"
        f" {recent['notCompleted']:,} cancelled or expired, {recent['active']:,} active"
    )
    for late in report.late_evidence:
        console.print(f"late evidence: session {late.session_id}, {counted(late.stretches, 'stretch', 'stretches')}")
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
