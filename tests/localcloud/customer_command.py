"""`autodoctor customer`: a customer's personal data on request, a copy of it or its erasure."""

# ruff: noqa: PLC0415 - imports inside commands, as localcloud.cli says

import getpass
import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn
from uuid import UUID

import typer

from localcloud.host.datadir import DEFAULT, DataDir, NoServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autodoctor.db import Database

customer_app = typer.Typer(no_args_is_help=True, help="A customer's personal data on request: a copy, or its erasure.")

Sub = Annotated[UUID, typer.Argument(help="The customer's sub, as in their token.")]
Url = Annotated[str | None, typer.Option(help="The database, as its owner; by default that of the running server.")]
Folder = Annotated[Path, typer.Option("--data-dir", help="The data folder of the running server.")]


@customer_app.command()
def export(sub: Sub, *, database_url: Url = None, data_dir: Folder = DEFAULT) -> None:
    """Write everything that is known of a customer as JSON."""
    from autodoctor.operations.privacy import export_customer

    with _as_owner(data_dir, database_url) as database:
        typer.echo(json.dumps(export_customer(database, sub), indent=2, ensure_ascii=False))


@customer_app.command()
def erase(
    sub: Sub,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database_url: Url = None,
    data_dir: Folder = DEFAULT,
) -> None:
    """Take a customer's personal data out of every row, for ever. The ledger and the audit trail stay."""
    from autodoctor.operations.privacy import erase_customer

    if not yes:
        typer.confirm(f"Erase the personal data of customer {sub}? It cannot be brought back", abort=True)
    with _as_owner(data_dir, database_url) as database:
        proof = erase_customer(database, sub, getpass.getuser())
    typer.echo(proof.model_dump_json(by_alias=True, indent=2))
    typer.echo(
        "Erase it also where others keep it: the sign-in's user, and the customer's payments at Stripe.", err=True
    )


@contextmanager
def _as_owner(data_dir: Path, database_url: str | None) -> "Iterator[Database]":
    """The owner's connection; what an operator can act on is said in a line."""
    import psycopg

    from autodoctor.db import Database
    from autodoctor.operations.privacy import CustomerBusy, NoSuchCustomer

    try:
        url = database_url or DataDir(data_dir).server().owner_url
    except NoServer as absent:
        _fail(absent)
    database = Database(lambda: url)
    try:
        yield database
    except (NoSuchCustomer, CustomerBusy, psycopg.Error) as refused:
        _fail(refused)
    finally:
        database.close()


def _fail(why: Exception) -> NoReturn:
    from localcloud.host.console import one_line

    typer.echo(one_line(why), err=True)
    raise typer.Exit(1)
