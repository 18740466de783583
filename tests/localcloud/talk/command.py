"""`autodoctor room`: the room of a session in a terminal."""

# ruff: noqa: PLC0415 - imports inside commands, as cli.py says

import sys
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from autodoctor.operations.console import Console, Refusal
from localcloud.commands.feed_command import user_of
from localcloud.host.datadir import DEFAULT, DataDir
from localcloud.host.supervise import ToldToStop, signals_raise


def room(
    session: Annotated[UUID, typer.Argument(help="The session.")],
    *,
    person: Annotated[str, typer.Option("--as", help="A person of the roster, such as customer1 or mechanic1.")],
    say: Annotated[
        list[str] | None, typer.Option(help="Say this, and read nothing from the terminal; again for more.")
    ] = None,
    stay: Annotated[
        float | None,
        typer.Option(min=0, help="Leave so many seconds after the last word, or after both have come; else at Ctrl-C."),
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="The data folder of the running server.")] = DEFAULT,
) -> None:
    """Enter the room of a session: shows what is said there, and says each line that you type.

    Being there counts as presence, until Ctrl-C. With --say and --stay, in seconds, it needs no terminal.
    """
    from localcloud.talk.room import Room, talk
    from localcloud.talk.user_api import UserApi

    user = UserApi(DataDir(data_dir), *user_of(person, None, None))
    shown, notes = Console(sys.stdout), Console(sys.stderr)
    try:
        with signals_raise():
            talk(Room(user, session, shown.line, notes.line, stay), say if say is not None else sys.stdin)
    except Refusal as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(1) from None
    except ToldToStop:
        raise typer.Exit(0) from None
