"""`autodoctor migrate`: bring a database to the present schema."""

import sys
from typing import Annotated

import typer

from autodoctor.operations.console import Console, StepFailed
from autodoctor.operations.output import fail


def migrate(
    database_url: Annotated[str, typer.Option(help="The database to migrate, as the owner role.")],
) -> None:
    """Bring a database to the present schema."""
    from autodoctor.migrations import migrate as run_migrations

    console = Console(sys.stdout)
    try:
        with console.step("schema", "look at --database-url, which is the owner's"):
            console.line("\n".join(run_migrations(database_url)) or "the schema is up to date")
    except StepFailed as failed:
        fail(failed.report, status=1)
