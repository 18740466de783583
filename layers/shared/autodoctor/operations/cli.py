"""The operators' commands. Their options name the database or the stack to work on.

`autodoctor`, the command that tests/localcloud installs, includes them and lets them use a running `autodoctor dev`
too. Without it, `python -m autodoctor.operations.cli` runs them.

Each command imports what it needs when it runs: all of it takes seconds on a slow machine, and `--help` should not.
"""

import typer

from autodoctor.operations.commands.customer import customer_app, mechanic_app
from autodoctor.operations.commands.describe import asyncapi, openapi
from autodoctor.operations.commands.end import end
from autodoctor.operations.commands.events import events_app
from autodoctor.operations.commands.import_legacy import import_legacy
from autodoctor.operations.commands.mail import mail_app
from autodoctor.operations.commands.migrate import migrate
from autodoctor.operations.commands.reconcile import reconcile
from autodoctor.operations.commands.redrive import redrive
from autodoctor.operations.commands.repair import repair
from autodoctor.operations.commands.smoke import smoke
from autodoctor.operations.commands.verify import verify

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Look after a deployment: its database, its events, its money.",
    pretty_exceptions_enable=False,
)
for _command in (migrate, end, smoke, verify, repair, reconcile, redrive, import_legacy, openapi, asyncapi):
    app.command()(_command)
app.add_typer(customer_app, name="customer")
app.add_typer(mechanic_app, name="mechanic")
app.add_typer(events_app, name="events")
app.add_typer(mail_app, name="mail")

if __name__ == "__main__":
    app()
