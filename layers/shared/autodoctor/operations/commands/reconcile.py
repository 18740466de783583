"""`autodoctor reconcile`: compare the ledger with Stripe; exit status 1 when they differ."""

import json
import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from autodoctor.operations.console import Refusal, one_line
from autodoctor.operations.local_server import DataFolder, local_server
from autodoctor.operations.output import fail, report_console

if TYPE_CHECKING:
    from rich.table import Table

    from autodoctor.db import Database
    from autodoctor.payments.reconcile import Report
    from autodoctor.payments.reconcile.repair import Repairs

_WIDE: Final = 180


def reconcile(  # noqa: PLR0913 - each is an option of the command
    context: typer.Context,
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Book movements that Stripe proves, as new rows of the ledger.")
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="UTC: compare only rows changed since then."),
    ] = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Minutes: leave out younger movements, perhaps still on their way.")
    ] = 60,
    fee_grace: Annotated[float, typer.Option(min=0, help="Hours: the same for Stripe's fees.")] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
    database_url: Annotated[
        str | None,
        typer.Option(help="The database, as the application role; its Stripe account is that of STRIPE_SECRETS."),
    ] = None,
    data_dir: DataFolder = None,
) -> None:
    """Compare the ledger with Stripe and list every difference; exit with 1 if there is one.

    Only reads Stripe. Without --repair it writes nothing to the database but its copy of Stripe's statement.
    """
    import psycopg

    from autodoctor.payments.reconcile import TooManyDifferences
    from autodoctor.payments.stripe.calls import OutcomeUnknown, StripeRefused
    from autodoctor.settings import SettingMissing

    try:
        with closing(_database(context, database_url, data_dir)) as database:
            start = None if since is None else since.replace(tzinfo=UTC)
            report, repairs = _compared(database, start, grace, fee_grace, repair=repair)
    except (Refusal, SettingMissing, StripeRefused, OutcomeUnknown, TooManyDifferences) as refused:
        fail(f"reconcile: {refused}")
    except psycopg.Error as error:
        fail(f"reconcile: the database did not answer: {one_line(error)}")
    if as_json:
        _print_json(report, repairs)
    else:
        _print(report, repairs)
    raise typer.Exit(1 if report.differences else 0)


def _compared(
    database: "Database", since: datetime | None, grace: float, fee_grace: float, *, repair: bool
) -> tuple["Report", "Repairs"]:
    from autodoctor.payments.reconcile import reconcile as compare
    from autodoctor.payments.reconcile.repair import Repairs
    from autodoctor.payments.reconcile.repair import repair as book
    from autodoctor.payments.stripe.client import LIST_ANSWER_SECONDS, stripe_client, stripe_secrets

    client = stripe_client(LIST_ANSWER_SECONDS)
    young, fees = timedelta(minutes=grace), timedelta(hours=fee_grace)
    livemode = stripe_secrets().livemode
    report = compare(database, client, livemode=livemode, since=since, grace=young, fee_grace=fees)
    if not repair:
        return report, Repairs()
    repairs = book(database, client, report.differences)
    report = compare(database, client, livemode=livemode, since=since, grace=young, fee_grace=fees)
    return report.model_copy(update={"repaired": repairs.keys}), repairs


def _database(context: typer.Context, database_url: str | None, data_dir: Path | None) -> "Database":
    """Open the named database, or the running server's and its Stripe. Raises Refusal."""
    from autodoctor.db import Database

    if database_url is not None:
        return Database(lambda: database_url)
    server = local_server(context, data_dir)
    os.environ.update(server.stripe_environment())
    return Database(lambda: server.app_url)


def _print_json(report: "Report", repairs: "Repairs") -> None:
    left = [{"subject": subject, "why": why} for subject, why in repairs.left]
    document = {**report.model_dump(mode="json", by_alias=True), "counts": report.counts(), "notRepaired": left}
    typer.echo(json.dumps(document, indent=2))


def _print(report: "Report", repairs: "Repairs") -> None:
    """Print a table of every difference, then the counts of compared rows."""
    console = report_console(_WIDE)
    if report.differences:
        console.print(_table(report))
    for key in repairs.keys:
        console.print(f"booked {key}", soft_wrap=True)
    for subject, why in repairs.left:
        console.print(f"not booked {subject}: {why}", soft_wrap=True)
    for line in _sums(report):
        console.print(line, soft_wrap=True)


def _table(report: "Report") -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("difference", no_wrap=True)
    table.add_column("of", overflow="fold")
    table.add_column("at Stripe", justify="right", no_wrap=True)
    table.add_column("booked", justify="right", no_wrap=True)
    table.add_column("why")
    for each in sorted(report.differences, key=lambda each: (not each.serious, each.kind, each.subject)):
        style = "bold red" if each.serious else None
        why = f"{each.why} (--repair)" if each.repairable else each.why
        table.add_row(each.kind, each.subject, _money(each.at_stripe), _money(each.booked), why, style=style)
    return table


def _sums(report: "Report") -> list[str]:
    from autodoctor.plural import counted

    totals = report.totals
    movements, bookings = counted(report.movements, "movement"), counted(report.bookings, "row")
    counts = f"{movements} at Stripe, {bookings} of the ledger, {counted(report.settlements, 'settlement')}"
    found = ", ".join(f"{count} {kind}" for kind, count in report.counts().items()) or "none"
    kept = f"Stripe keeps {_money(totals.stripe_balance)}: ours {_money(totals.ours)}"
    return [
        f"compared: {counts}; {report.in_flight} still on their way",
        *((f"pending at Stripe: {counted(report.pending, 'refund')}",) if report.pending else ()),
        f"{kept}, less fees {_money(totals.fees)}, other business {_money(totals.others)}",
        f"the ledger says {_money(totals.ledger)}; disputed {_money(totals.disputed)}",
        *(() if report.finished else ("not finished: run it again to go on",)),
        f"differences: {found}",
    ]


def _money(cents: int | None) -> str:
    """Cents as US dollars."""
    if cents is None:
        return "-"
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100:,}.{abs(cents) % 100:02}"
