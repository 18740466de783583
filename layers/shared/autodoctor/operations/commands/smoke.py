"""`autodoctor smoke`: whether a deployment answers, refuses and delivers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodoctor.operations.console import Refusal
from autodoctor.operations.local_server import DataFolder, local_server
from autodoctor.operations.output import fail

if TYPE_CHECKING:
    from autodoctor.operations.smoke import Deployment


def smoke(
    context: typer.Context,
    *,
    data_dir: DataFolder = None,
    stack: Annotated[
        str | None, typer.Option(help="A CloudFormation stack on AWS in place of the local server.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="With --stack: its region.")] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="AUTODOCTOR_TOKEN", help="An access token; an admin's lets it look at the schedules too."),
    ] = None,
) -> None:
    """Try a deployment without changing anything that a user could see.

    Exits with 1 when a check went wrong, with 2 when there is nothing to check.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from autodoctor.operations import smoke as checks

    try:
        wrong = False
        for outcome in checks.smoke(_deployment(context, data_dir, stack, region), token):
            typer.echo(f"{outcome.check:<13} {outcome.state:<8} {outcome.found}")
            wrong = wrong or outcome.state == "wrong"
    except (Refusal, ClientError, BotoCoreError) as error:
        fail(f"smoke: {error}")
    if wrong:
        raise typer.Exit(1)


def _deployment(context: typer.Context, data_dir: Path | None, stack: str | None, region: str | None) -> "Deployment":
    from autodoctor.operations.smoke import stack_deployment

    return local_server(context, data_dir).deployment() if stack is None else stack_deployment(stack, region)
