"""`autodoctor end`: end a session as an operator."""

import getpass
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from autodoctor.operations.console import Refusal, one_line
from autodoctor.operations.local_server import DataFolder, local_server
from autodoctor.operations.output import fail


def end(
    context: typer.Context,
    session: Annotated[UUID, typer.Argument(help="The session's id.")],
    explanation: Annotated[str | None, typer.Option(help="What both parties read of it.", metavar="WORDS")] = None,
    database_url: Annotated[
        str | None, typer.Option(help="The database; by default that of the running server.")
    ] = None,
    data_dir: DataFolder = None,
) -> None:
    """End a session as an operator. The outcome follows from its evidence, as for everybody else."""
    import psycopg

    from autodoctor.db import Database
    from autodoctor.errors import Problem
    from autodoctor.sessions.end import Ender, end_session, explain_end

    operator = Ender(any_session=True, actor=f"operator:{getpass.getuser()}")
    try:
        url = _database(context, database_url, data_dir)
        database = Database(lambda: url)
        outcome = end_session(database, operator, session)
        if explanation:
            explain_end(database, operator, session, explanation)
    except Refusal as refused:
        fail(str(refused), status=1)
    except (Problem, psycopg.Error) as error:
        fail(f"{session}: {one_line(error)}", status=1)
    typer.echo(outcome.model_dump_json(by_alias=True, indent=2))


def _database(context: typer.Context, database_url: str | None, data_dir: Path | None) -> str:
    """Return the named database, or the running server's as its application role. Raises Refusal."""
    return local_server(context, data_dir).app_url if database_url is None else database_url
