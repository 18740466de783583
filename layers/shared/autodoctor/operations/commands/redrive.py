"""`autodoctor redrive`: list dead letters and send them again, here or on AWS."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodoctor.operations.console import Refusal
from autodoctor.operations.local_server import DataFolder, local_server
from autodoctor.operations.output import fail

if TYPE_CHECKING:
    from autodoctor.operations.dead_letters import Account


def redrive(  # noqa: PLR0913 - each is an option of the command
    context: typer.Context,
    queue: Annotated[str | None, typer.Argument(help="A dead-letter queue, by its name in template.yaml.")] = None,
    *,
    only_list: Annotated[bool, typer.Option("--list", help="Show the dead letters and leave them there.")] = False,
    data_dir: DataFolder = None,
    stack: Annotated[
        str | None, typer.Option(help="A CloudFormation stack on AWS in place of the local server.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="With --stack: its region.")] = None,
) -> None:
    """List the dead-letter queues, or send the messages in QUEUE again.

    Exits with 1 when a dead letter could not be sent again; it stays in its queue.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        account = _account(context, data_dir, stack, region)
        if only_list:
            _show_messages(account, queue)
        elif queue is None:
            _show_queues(account)
        else:
            _send_again(account, queue)
    except (Refusal, ClientError, BotoCoreError) as error:
        fail(f"redrive: {error}", status=1)


def _account(context: typer.Context, data_dir: Path | None, stack: str | None, region: str | None) -> "Account":
    from autodoctor.operations.dead_letters import stack_account

    return local_server(context, data_dir).account() if stack is None else stack_account(stack, region)


def _show_queues(account: "Account") -> None:
    queues = account.dead_letter_queues()
    width = max((len(queue.name) for queue in queues), default=0)
    for queue in queues:
        oldest = account.oldest(queue) if queue.depth else None
        since = f"  oldest {oldest:%Y-%m-%d %H:%M:%S}Z" if oldest else ""
        typer.echo(f"{queue.name:<{width}} {queue.depth:>6}{since}")


def _show_messages(account: "Account", name: str | None) -> None:
    for queue in [account.dead_letter_queue(name)] if name else account.dead_letter_queues():
        messages = account.messages(queue) if queue.depth else []
        typer.echo(f"{queue.name}: {len(messages)}")
        for message in messages:
            typer.echo(f"  {message}")
        if (more := queue.depth - len(messages)) > 0:  # a FIFO queue shows only the first of each group
            typer.echo(f"  and {more} more")


def _send_again(account: "Account", name: str) -> None:
    outcome = account.redrive(account.dead_letter_queue(name))
    typer.echo(f"{name}: {outcome.sent} sent again")
    for reason in outcome.kept:
        typer.echo(f"  stays: {reason}", err=True)
    if outcome.kept:
        raise typer.Exit(1)
