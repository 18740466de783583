"""`autodoctor dev`: the whole system up, until told to stop."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from autodoctor.operations.console import Console, StepFailed, last_lines
from localcloud.commands.banner import banner, ready_line, sample_files
from localcloud.commands.system import Options, System, prepared
from localcloud.database.postgres import PostgresFailed
from localcloud.host.datadir import RunningServer, option
from localcloud.host.ports import LOOPBACK
from localcloud.host.screen import log_of
from localcloud.host.supervise import Launcher, ToldToStop, signals_raise, wait_until_over
from localcloud.identity import roster
from localcloud.services.cloud import CloudSettings, RunningCloud, running_cloud

TEMPLATE = Path(__file__).parents[3] / "template.yaml"
TOKEN_SECONDS = 12 * 3600
ANY_PORT_HERE = "http://localhost:*,http://127.0.0.1:*"
"""Whatever site somebody builds on this machine may call the API from a browser."""


def serve(options: Options, console: Console, ready: Console | None = None, *, verbose: bool = False) -> int:
    """Run until a signal arrives, and return the exit code. `ready` gets the line of `--json` in place of the banner.

    With `verbose` a terminal shows every hop of a call, not one line for it.

    Raises the errors of `system.prepared`.
    """
    launcher = Launcher()
    with signals_raise():
        try:
            with prepared(options, console) as system, cloud(system, console, verbose=verbose) as running:
                server = announced(system, running)
                if ready:
                    ready.line(ready_line(server))
                else:
                    console.line(banner(server, system.data_dir.folder))
                try:
                    wait_until_over(launcher, system.database_runs)
                    _require_database(system)
                finally:
                    system.data_dir.withdraw()
        except ToldToStop as told:
            console.line(f"stopped: {told}")
            return 0
    console.line("stopped: uv ended")
    return 1


def _require_database(system: System) -> None:
    """Raise StepFailed when our PostgreSQL has ended by itself."""
    if system.embedded and not system.database_runs():
        raise StepFailed(
            "keeping PostgreSQL running",
            PostgresFailed("stay up", "it ended by itself"),
            last_lines(system.embedded.log_file),
            f"autodoctor dev{option(system.data_dir.folder)} again, which recovers its data",
        )


@contextlib.contextmanager
def cloud(
    system: System, console: Console, *, port: int | None = None, verbose: bool = False
) -> Iterator[RunningCloud]:
    """Start the functions, gateway and schedules of template.yaml on a prepared system. Raises StepFailed."""
    port = system.port if port is None else port
    here = {"AllowedOrigins": ANY_PORT_HERE}
    if port:
        here["SessionBaseUrl"] = f"http://{LOOPBACK}:{port}/console"
    settings = CloudSettings(
        template=TEMPLATE,
        data_dir=system.data_dir.folder,
        app_database_url=system.app_url,
        owner_database_url=system.owner_url,
        port=port,
        log=log_of(console.line, lambda: console.columns, verbose=verbose),
        overrides=here,
    )
    with contextlib.ExitStack() as stack:
        with console.step("functions and gateway", "uv sync, then look at template.yaml"):
            running = stack.enter_context(running_cloud(settings))
        yield running


def announced(system: System, running: RunningCloud) -> RunningServer:
    """Write the server's addresses and everybody's tokens to files, for curl and for our other commands."""
    tokens = {
        person.key: running.issuer.token(str(person.sub), [person.group], expires_in=TOKEN_SECONDS)
        for person in roster.ROSTER
    }
    server = RunningServer(
        pid=os.getpid(),
        api_url=running.api_url,
        owner_url=system.owner_url,
        app_url=system.app_url,
        embedded=system.embedded is not None,
        tokens=tokens,
        realtime_url=running.realtime_url,
    )
    for name, text in sample_files(server).items():
        system.data_dir.write_private(name, text)
    system.data_dir.announce(server)
    return server
