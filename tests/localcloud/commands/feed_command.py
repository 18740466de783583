"""`autodoctor feed`: one user's realtime feed in a terminal, while something happens in another."""

# ruff: noqa: PLC0415 - imports inside commands, as cli.py says

import sys
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import typer

from autodoctor.operations.console import Console, Refusal
from localcloud.host.datadir import DEFAULT, DataDir
from localcloud.host.supervise import ToldToStop, signals_raise

_DEFAULT_PERSON = "mechanic1"


def feed(  # noqa: PLR0913 - each is an option of the command
    *,
    person: Annotated[
        str | None, typer.Option("--as", help=f"A person of the roster; {_DEFAULT_PERSON} by default.")
    ] = None,
    sub: Annotated[UUID | None, typer.Option(help="Any user's id, with --group, in place of --as.")] = None,
    group: Annotated[
        Literal["customers", "mechanics", "admins"] | None, typer.Option(help="With --sub: the user's group.")
    ] = None,
    since: Annotated[int | None, typer.Option(min=0, help="Replay the messages after this seq.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line on stdout.")] = False,
    data_dir: Annotated[Path, typer.Option(help="The data folder of the running server.")] = DEFAULT,
) -> None:
    """Show a user's realtime feed, one line per message, until Ctrl-C; reconnects when the connection is lost."""
    from localcloud.commands.feed import Feed
    from localcloud.talk.user_api import UserApi

    user = UserApi(DataDir(data_dir), *user_of(person, sub, group))
    shown, notes = Console(sys.stdout), Console(sys.stderr)
    try:
        with signals_raise():
            Feed(user, shown.line, notes.line, since, as_json).run()
    except Refusal as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(1) from None
    except ToldToStop:
        raise typer.Exit(0) from None


def user_of(
    key: str | None, sub: UUID | None, group: Literal["customers", "mechanics", "admins"] | None
) -> tuple[str, Literal["customers", "mechanics", "admins"]]:
    """Id and group of the user that was named. Raises typer.BadParameter."""
    from localcloud.identity.roster import ROSTER

    if sub is not None:
        if group is None or key is not None:
            raise typer.BadParameter("--sub goes with --group, and without --as")
        return str(sub), group
    if group is not None:
        raise typer.BadParameter("--group goes with --sub")
    people = {person.key: person for person in ROSTER}
    person = people.get(key or _DEFAULT_PERSON)
    if person is None:
        raise typer.BadParameter(f"nobody of that name; there are {', '.join(people)}")
    return str(person.sub), person.group
