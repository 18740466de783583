"""The default deployment of a command: the running `autodoctor dev`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodoctor.operations.console import Refusal

if TYPE_CHECKING:
    from autodoctor.operations.dead_letters import Account
    from autodoctor.operations.smoke import Deployment

DataFolder = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The data folder of a running `autodoctor dev`, by default .autodoctor."),
]


@dataclass(frozen=True)
class LocalServer:
    """A running `autodoctor dev`.

    Attributes:
        owner_url: its database as the owner role.
        app_url: its database as the application role.
        stripe_environment: reads the environment variables that direct Stripe's SDK to its Stripe.
        account: opens its queues and functions.
        deployment: opens what a smoke test asks.
    """

    owner_url: str
    app_url: str
    stripe_environment: Callable[[], Mapping[str, str]]
    account: Callable[[], "Account"]
    deployment: Callable[[], "Deployment"]


type FindServer = Callable[[Path | None], LocalServer]
"""Finds the server that runs on a data folder. Raises Refusal when there is none."""


class NoLocalServer(Refusal):
    """The commands run without a local cloud that could find a server."""

    def __init__(self) -> None:
        super().__init__("name the database with --database-url, or with redrive and smoke the stack with --stack")


def local_server(context: typer.Context, data_dir: Path | None) -> LocalServer:
    """Return the running server. Raises Refusal.

    The command line that includes these commands sets a `FindServer` as the context's object.
    """
    find: FindServer | None = context.obj
    if find is None:
        raise NoLocalServer
    return find(data_dir)


def owner_url(context: typer.Context, database_url: str | None, data_dir: Path | None) -> str:
    """Return the named database, or the running server's as its owner. Raises Refusal."""
    return local_server(context, data_dir).owner_url if database_url is None else database_url
