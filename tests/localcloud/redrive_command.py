"""`autodoctor redrive`: dead letters, listed and sent again, here or on AWS."""

# ruff: noqa: PLC0415 - imports inside commands, as cli.py says

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from localcloud.host.console import Refusal
from localcloud.host.datadir import DEFAULT, DataDir

if TYPE_CHECKING:
    from localcloud.messaging.redrive import Account


def redrive(
    queue: Annotated[str | None, typer.Argument(help="A dead-letter queue, by its name in template.yaml.")] = None,
    *,
    letters: Annotated[bool, typer.Option("--list", help="Show the letters, and leave them where they are.")] = False,
    data_dir: Annotated[Path, typer.Option(help="The data folder of the running server.")] = DEFAULT,
    stack: Annotated[
        str | None, typer.Option(help="A CloudFormation stack on AWS in place of the local server.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="With --stack: its region.")] = None,
) -> None:
    """List the dead-letter queues; send the letters of QUEUE again.

    Exits with 1 when letters could not be sent again; they stay.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        account = _account(data_dir, stack, region)
        if letters:
            _show_letters(account, queue)
        elif queue is None:
            _show_queues(account)
        else:
            _send_again(account, queue)
    except Refusal as refused:
        _fail(refused)
    except (ClientError, BotoCoreError) as error:
        _fail(error)


def _account(data_dir: Path, stack: str | None, region: str | None) -> "Account":
    from localcloud.messaging.redrive import local_account, stack_account

    if stack is not None:
        return stack_account(stack, region)
    return local_account(DataDir(data_dir).server().api_url)


def _show_queues(account: "Account") -> None:
    queues = account.letter_queues()
    width = max((len(queue.name) for queue in queues), default=0)
    for queue in queues:
        oldest = account.oldest(queue) if queue.depth else None
        since = f"  oldest {oldest:%Y-%m-%d %H:%M:%S}Z" if oldest else ""
        typer.echo(f"{queue.name:<{width}} {queue.depth:>6}{since}")


def _show_letters(account: "Account", name: str | None) -> None:
    for queue in [account.letter_queue(name)] if name else account.letter_queues():
        found = account.letters(queue) if queue.depth else []
        typer.echo(f"{queue.name}: {len(found)}")
        for letter in found:
            typer.echo(f"  {letter}")
        if (more := queue.depth - len(found)) > 0:  # a FIFO queue shows the first of a group only
            typer.echo(f"  and {more} more")


def _send_again(account: "Account", name: str) -> None:
    outcome = account.redrive(account.letter_queue(name))
    typer.echo(f"{name}: {outcome.sent} sent again")
    for reason in outcome.kept:
        typer.echo(f"  stays: {reason}", err=True)
    if outcome.kept:
        raise typer.Exit(1)


def _fail(error: Exception) -> None:
    typer.echo(f"redrive: {error}", err=True)
    raise typer.Exit(1) from error
