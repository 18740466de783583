"""The command `autodoctor`: the whole system on this machine, and single pieces of it by hand.

The operators' commands come from `autodoctor.operations.cli`; here they also find the running server's database.
Each command imports what it needs when it runs: all of it takes seconds on a slow machine, and `--help` should not.
"""

# ruff: noqa: PLC0415 - imports inside commands, as said above

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, NoReturn
from uuid import UUID

import typer

from autodoctor.operations.cli import app as operations
from autodoctor.operations.console import Console, Refusal, StepFailed, one_line
from localcloud.commands import bench as bench_command
from localcloud.commands import running_server
from localcloud.commands.feed_command import feed
from localcloud.host.datadir import DEFAULT, DataDir, FolderHeld, option
from localcloud.host.ports import NoFreePort, PortTaken, free_block
from localcloud.host.supervise import ToldToStop
from localcloud.talk.command import room

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Run the whole system on this machine, and look after a deployment: its database, its events, its money.",
    pretty_exceptions_enable=False,
    context_settings={"obj": running_server.find},
)
dev_app = typer.Typer(invoke_without_command=True)
app.add_typer(dev_app, name="dev")
app.add_typer(operations)
app.command()(feed)
app.command()(room)

_MOST_HOURS = 24 * 365 * 100
_MOST_BILLABLE_SECONDS = 999_999  # sql/0001_foundation.sql: six digits
_BENCH_MODULES = ("fastapi", "mangum", "procrastinate")

DataFolder = Annotated[Path, typer.Option("--data-dir", help="Where database, keys and tokens are kept.")]


def main() -> None:
    """Run the command line."""
    app()


@contextmanager
def _failures_explained(data_dir: Path = DEFAULT) -> Iterator[None]:
    """Print an error that a user can act on, and exit with 1; any other is a bug and keeps its traceback.

    `data_dir` is the user's choice, repeated in the commands that the message suggests.
    """
    import psycopg

    try:
        yield
    except StepFailed as failed:
        _fail(failed.report)
    except PortTaken as taken:
        _fail(f"{taken}\n  try: autodoctor dev{option(data_dir)} --port {free_block()}")
    except FolderHeld as held:
        _fail(f"{held}\n  try: {f'kill {held.pid}' if held.pid else 'again in a moment'}, or another --data-dir")
    except NoFreePort as full:
        _fail(f"{full}\n  try: --port with one that is free")
    except Refusal as refused:
        _fail(str(refused))
    except psycopg.OperationalError as error:
        _fail(f"the database did not answer: {one_line(error)}")
    except ToldToStop as told:
        raise typer.Exit(told.exit_code) from None


def _number(value: float) -> float:
    """Refuse NaN, which passes every comparison with bounds."""
    if math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


def _fail(report: str) -> NoReturn:
    typer.echo(report, err=True)
    raise typer.Exit(1)


@dev_app.callback()
def dev(  # noqa: PLR0913 - each is an option of the command
    context: typer.Context,
    *,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The API's port; by default the first free one from 8787.")
    ] = None,
    data_dir: DataFolder = DEFAULT,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Keep nothing: use a temporary folder.")] = False,
    database_url: Annotated[
        str | None,
        typer.Option(help="Your own PostgreSQL, as the owner role, in place of the embedded one."),
    ] = None,
    app_database_url: Annotated[
        str | None, typer.Option(help="With --database-url: the same database as the application role.")
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(help="A further address for the database, such as 172.17.0.1, where containers on Linux look."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON on stdout when ready, the rest on stderr.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="On a terminal, every hop of a call in place of one line for it.")
    ] = False,
) -> None:
    """Run the whole system here: PostgreSQL, gateway, functions, schedules. Ctrl-C stops it."""
    context.obj = data_dir
    if context.invoked_subcommand:
        return
    from localcloud.commands.dev import serve
    from localcloud.commands.system import Options

    options = Options(port, data_dir, ephemeral, database_url, app_database_url, listen)
    with _failures_explained(DEFAULT if ephemeral else data_dir):
        if as_json:
            code = serve(options, Console(sys.stderr), ready=Console(sys.stdout), verbose=verbose)
        else:
            code = serve(options, Console(sys.stdout), verbose=verbose)
    raise typer.Exit(code)


@dev_app.command()
def reset(
    context: typer.Context,
    data_dir: Annotated[Path | None, typer.Option(help="The data folder to empty.")] = None,
) -> None:
    """Empty the database and load the demo people again, also while a server runs."""
    from localcloud.commands.reset import empty_and_seed

    with _failures_explained():
        empty_and_seed(DataDir(data_dir or context.obj), Console(sys.stdout))


@app.command()
def demo(  # noqa: PLR0913 (each is an option of the command)
    *,
    data_dir: DataFolder = DEFAULT,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Start a separate system, even when a server runs.")
    ] = False,
    billable_after: Annotated[
        int | None,
        typer.Option(
            min=0, max=_MOST_BILLABLE_SECONDS, help="Seconds: the setting min_billable_seconds during the demo."
        ),
    ] = None,
    pay: Annotated[
        Literal["free", "card", "credit"],
        typer.Option(help="How the session is paid; card and credit print the ledger."),
    ] = "free",
    outcome: Annotated[
        Literal["completed", "cancelled"], typer.Option(help="cancelled: the customer cancels and is refunded.")
    ] = "completed",
    video: Annotated[
        bool, typer.Option("--video", help="They hold a call, with picture and sound, instead of writing.")
    ] = False,
) -> None:
    """Run one consultation over HTTP, on the running server or on a new one; print its timeline."""
    from localcloud.commands.demo.command import Story, run_demo

    with _failures_explained():
        run_demo(DataDir(data_dir), typer.echo, Story(pay, outcome, billable_after, video), own=ephemeral)


@app.command()
def token(
    sub: Annotated[UUID, typer.Option(help="The user's id.")],
    group: Annotated[Literal["customers", "mechanics", "admins"], typer.Option(help="The user's only group.")],
    data_dir: DataFolder = DEFAULT,
    hours: Annotated[
        float, typer.Option(min=-_MOST_HOURS, max=_MOST_HOURS, callback=_number, help="How long the token is valid.")
    ] = 12,
) -> None:
    """Print an access token that the running server accepts."""
    from localcloud.commands import access

    with _failures_explained():
        typer.echo(access.token(DataDir(data_dir), str(sub), group, hours * 3600))


@app.command()
def invoke(
    function: Annotated[str, typer.Argument(help="Logical id in template.yaml, such as MigrateFunction.")],
    event: Annotated[Path | None, typer.Argument(help="A file with the event as JSON; by default {}.")] = None,
    *,
    debug: Annotated[bool, typer.Option(help="On this terminal, so that breakpoint() works.")] = False,
    data_dir: DataFolder = DEFAULT,
) -> None:
    """Run one function on one event and print its answer."""
    from localcloud.commands import access
    from localcloud.commands.system import Options
    from localcloud.services.invocation import UnknownFunction

    with _failures_explained():
        payload = _event(event) if event else {}
        try:
            if debug:
                raise typer.Exit(access.debug(Options(data_dir=data_dir), Console(sys.stderr), function, payload))
            result = access.invoke(Options(data_dir=data_dir), Console(sys.stderr), function, payload)
        except UnknownFunction as unknown:
            _fail(str(unknown))
    typer.echo(json.dumps(result.payload, indent=2))
    raise typer.Exit(1 if result.error else 0)


@app.command()
def event(
    route: Annotated[str, typer.Argument(help='Method and path, such as "POST /api/intake/start".')],
    *,
    caller: Annotated[str | None, typer.Option("--as", help="Who calls: a name of the roster.")] = None,
    body: Annotated[Path | None, typer.Option(help="A file with the body as JSON.")] = None,
) -> None:
    """Print the event that API Gateway would give the function of a route, for `sam local invoke` and `invoke`."""
    from localcloud.commands.sam import gateway_event

    with _failures_explained():
        sent = json.dumps(_event(body)).encode() if body else b""
        typer.echo(json.dumps(gateway_event(route, caller, sent), indent=2))


@app.command("sam-env")
def sam_env(
    data_dir: DataFolder = DEFAULT,
    host: Annotated[str, typer.Option(help="Where a container reaches this machine.")] = "host.docker.internal",
) -> None:
    """Print the file for `sam local --env-vars`: each function's variables, on the running server's database."""
    from localcloud.commands.sam import container_environment

    with _failures_explained():
        stripe = running_server.find(data_dir).stripe_environment()
        typer.echo(json.dumps(container_environment(DataDir(data_dir).server(), stripe, host), indent=2))


def _event(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        _fail(f"{file} cannot be read: {error.strerror}")
    except ValueError as error:
        _fail(f"{file} is not JSON: {error}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def bench(context: typer.Context) -> None:
    """Count and time what the product does against its peers; options: autodoctor bench --help."""
    if missing := [name for name in _BENCH_MODULES if find_spec(name) is None]:
        how = f"{', '.join(missing)} not installed; try: uv run --group bench autodoctor bench"
        if "--help" not in context.args:
            _fail(how)
        typer.echo(f"{context.command.help}\n{how} --help")
        raise typer.Exit
    raise typer.Exit(bench_command.run(context.args))
