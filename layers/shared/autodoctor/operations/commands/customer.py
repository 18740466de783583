"""`autodoctor customer` and `autodoctor mechanic`: copy or erase a person's data on request."""

import getpass
import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from autodoctor.operations.console import Refusal, one_line
from autodoctor.operations.local_server import DataFolder, owner_url
from autodoctor.operations.output import fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autodoctor.db import Database

customer_app = typer.Typer(no_args_is_help=True, help="Copy or erase a customer's personal data on request.")

mechanic_app = typer.Typer(no_args_is_help=True, help="Copy or erase a mechanic's personal data on request.")

Sub = Annotated[UUID, typer.Argument(help="Their sub, as in their token.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Url = Annotated[str | None, typer.Option(help="The database, as its owner; by default that of the running server.")]


@customer_app.command()
def export(context: typer.Context, sub: Sub, *, database_url: Url = None, data_dir: DataFolder = None) -> None:
    """Print everything that is known about a customer as JSON."""
    from autodoctor.operations.privacy import export_customer

    with _as_owner(context, database_url, data_dir) as database:
        typer.echo(json.dumps(export_customer(database, sub), indent=2, ensure_ascii=False))


@customer_app.command()
def erase(
    context: typer.Context,
    sub: Sub,
    *,
    yes: Yes = False,
    database_url: Url = None,
    data_dir: DataFolder = None,
) -> None:
    """Erase a customer's personal data from every row, permanently. The ledger and the audit trail stay."""
    from autodoctor.operations.privacy import erase_customer

    if not yes:
        typer.confirm(f"Erase the personal data of customer {sub}? It cannot be brought back", abort=True)
    with _as_owner(context, database_url, data_dir) as database:
        proof = erase_customer(database, sub, getpass.getuser())
    typer.echo(proof.model_dump_json(by_alias=True, indent=2))
    typer.echo(
        "Erase it also where others keep it: the sign-in's user, and the customer's payments at Stripe.", err=True
    )


@mechanic_app.command("export")
def export_of_mechanic(
    context: typer.Context, sub: Sub, *, database_url: Url = None, data_dir: DataFolder = None
) -> None:
    """Print everything that is known about a mechanic as JSON, without what customers said."""
    from autodoctor.operations.mechanic_privacy import export_mechanic

    with _as_owner(context, database_url, data_dir) as database:
        typer.echo(json.dumps(export_mechanic(database, sub), indent=2, ensure_ascii=False))


@mechanic_app.command("erase")
def erasure_of_mechanic(
    context: typer.Context, sub: Sub, *, yes: Yes = False, database_url: Url = None, data_dir: DataFolder = None
) -> None:
    """Erase a mechanic's personal data from every row, permanently. Notes, payouts and the audit trail stay."""
    from autodoctor.operations.mechanic_privacy import erase_mechanic

    if not yes:
        typer.confirm(f"Erase the personal data of mechanic {sub}? It cannot be brought back", abort=True)
    with _as_owner(context, database_url, data_dir) as database:
        proof = erase_mechanic(database, sub, getpass.getuser())
    typer.echo(proof.model_dump_json(by_alias=True, indent=2))
    typer.echo("Erase it also where others keep it: the sign-in's user, and the account at Stripe.", err=True)


@contextmanager
def _as_owner(context: typer.Context, database_url: str | None, data_dir: Path | None) -> "Iterator[Database]":
    """Open the database as its owner; print an error that an operator can act on in one line, and exit."""
    import psycopg

    from autodoctor.db import Database
    from autodoctor.operations.mechanic_privacy import MechanicUnsettled, NoSuchMechanic
    from autodoctor.operations.privacy import CustomerBusy, NoSuchCustomer

    try:
        url = owner_url(context, database_url, data_dir)
    except Refusal as refused:
        fail(str(refused), status=1)
    database = Database(lambda: url)
    try:
        yield database
    except (NoSuchCustomer, CustomerBusy, NoSuchMechanic, MechanicUnsettled, psycopg.Error) as error:
        fail(one_line(error), status=1)
    finally:
        database.close()
