"""`autodoctor reconcile`: the ledger against Stripe, here or with one's own key; exit status 1 where they differ."""

# ruff: noqa: PLC0415 - imports inside commands, as localcloud.cli says

import json
import os
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from localcloud.host.console import Refusal, one_line
from localcloud.host.datadir import DEFAULT, DataDir

if TYPE_CHECKING:
    from autodoctor.db import Database
    from autodoctor.payments.reconcile import Report
    from autodoctor.payments.reconcile.repair import Repairs

FAILED: Final = 2
"""The exit status where nothing could be compared; 1 says that there are differences."""
_WIDE: Final = 180
_ANSWER_SECONDS: Final = 10.0


def reconcile(  # noqa: PLR0913 - each is an option of the command
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Book what Stripe proves, by new rows of the ledger.")
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="UTC: leave out what ended before."),
    ] = None,
    grace: Annotated[float, typer.Option(min=0, help="Minutes: what is younger may still be on its way.")] = 60,
    fee_grace: Annotated[float, typer.Option(min=0, help="Hours: the same of Stripe's fees.")] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as JSON.")] = False,
    database_url: Annotated[
        str | None,
        typer.Option(help="A database, as the application role, and the Stripe account of STRIPE_SECRETS."),
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="The data folder of the running server.")] = DEFAULT,
) -> None:
    """Compare the ledger with Stripe: every difference, and exit status 1 if there is one.

    Stripe is only read. Of the database only the copy of Stripe's statement grows, unless --repair.
    """
    import psycopg

    from autodoctor.payments.reconcile import TooManyDifferences
    from autodoctor.payments.stripe.calls import NotDone, Unknown
    from autodoctor.settings import SettingMissing

    try:
        with closing(_database(data_dir, database_url)) as database:
            start = None if since is None else since.replace(tzinfo=UTC)
            report, repairs = _compared(database, start, grace, fee_grace, repair=repair)
    except (Refusal, SettingMissing, NotDone, Unknown, TooManyDifferences) as refused:
        _fail(str(refused))
    except psycopg.Error as error:
        _fail(f"the database did not answer: {one_line(error)}")
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


def _database(data_dir: Path, database_url: str | None) -> "Database":
    """The database that is named, or the running server's with its own Stripe. Raises NoServer."""
    from autodoctor.db import Database

    if database_url is not None:
        return Database(lambda: database_url)
    server = DataDir(data_dir).server()
    os.environ.update(_stand_in(server.api_url))
    return Database(lambda: server.app_url)


def _stand_in(api_url: str) -> Mapping[str, str]:
    """The variables that lead to the running server's Stripe."""
    import httpx

    from localcloud.stripe.http.service import PREFIX as SERVICE
    from localcloud.stripe.pages.control_api import PREFIX

    url = f"{api_url}{SERVICE}{PREFIX}environment"
    with httpx.Client(trust_env=False, timeout=_ANSWER_SECONDS) as server:
        variables: dict[str, str] = server.post(url).raise_for_status().json()
    return variables


def _print_json(report: "Report", repairs: "Repairs") -> None:
    left = [{"subject": subject, "why": why} for subject, why in repairs.left]
    document = {**report.model_dump(mode="json", by_alias=True), "counts": report.counts(), "notRepaired": left}
    typer.echo(json.dumps(document, indent=2))


def _print(report: "Report", repairs: "Repairs") -> None:
    """A table of every difference, then what was compared."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)
    if report.differences:
        console.print(_table(report))
    for key in repairs.keys:
        console.print(f"booked {key}", soft_wrap=True)
    for subject, why in repairs.left:
        console.print(f"not booked {subject}: {why}", soft_wrap=True, markup=False)
    for line in _sums(report):
        console.print(line, soft_wrap=True)


def _table(report: "Report") -> object:
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
    from autodoctor.integrity.plural import counted

    totals = report.totals
    movements, bookings = counted(report.movements, "movement"), counted(report.bookings, "row")
    counts = f"{movements} at Stripe, {bookings} of the ledger, {counted(report.settlements, 'settlement')}"
    found = ", ".join(f"{count} {kind}" for kind, count in report.counts().items()) or "none"
    kept = f"Stripe keeps {_money(totals.stripe_balance)}: ours {_money(totals.ours)}"
    return [
        f"compared: {counts}; {report.in_flight} still on their way",
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


def _fail(reason: str) -> NoReturn:
    typer.echo(f"reconcile: {reason}", err=True)
    raise typer.Exit(FAILED)
