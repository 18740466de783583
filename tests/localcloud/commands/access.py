"""`autodoctor token` and `autodoctor invoke`: use a server's issuer and functions by hand."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jwt

from autodoctor.operations.console import Console
from localcloud.commands.dev import TEMPLATE
from localcloud.commands.system import Options, prepared
from localcloud.host.datadir import DataDir, RunningServer
from localcloud.identity.issuer import PATH, Issuer
from localcloud.identity.roster import Group
from localcloud.services.cloud import CloudSettings, RunningCloud, running_cloud
from localcloud.services.invocation import InvokeResult

_DEBUGGER = Path(__file__).parents[1] / "compute" / "debugger.py"


def token(data_dir: DataDir, sub: str, group: Group, seconds: float) -> str:
    """Sign an access token that the running server accepts. Raises NoServer."""
    claims = jwt.decode(data_dir.server().tokens["admin"], options={"verify_signature": False})
    issuer = Issuer(data_dir.folder, claims["iss"].removesuffix(PATH), claims["client_id"])
    return issuer.token(sub, [group], expires_in=seconds)


def invoke(options: Options, console: Console, function: str, event: object) -> InvokeResult:
    """Run one function on an event, in a process of its own on the data of the folder.

    Works with or without a running server. Raises cloud.UnknownFunction and the errors of system.prepared.
    """
    with _account(options, console) as running:
        return running.invoke(function, event)


def debug(options: Options, console: Console, function: str, event: object) -> int:
    """Run one function on an event on this terminal, so that `breakpoint()` in it works; returns the exit code.

    Otherwise like `invoke`.
    """
    with _account(options, console) as running, tempfile.TemporaryDirectory() as folder:
        launch = running.launch(function)
        file = Path(folder) / "event.json"
        file.write_text(json.dumps(event), encoding="utf-8")
        command = [sys.executable, "-S", "-P", str(_DEBUGGER), launch.command[-1], str(file)]
        return subprocess.run(command, cwd=launch.folder, env=dict(launch.environment), check=False).returncode


@contextlib.contextmanager
def _account(options: Options, console: Console) -> Iterator[RunningCloud]:
    """The functions on the data of the folder, beside a running server or without one."""
    data_dir = DataDir(options.data_dir)
    if server := data_dir.running_server():
        with running_cloud(_settings(server, data_dir, console)) as running:
            yield running
        return
    with prepared(options, console) as system:
        server = RunningServer(0, "", system.owner_url, system.app_url, system.embedded is not None, {})
        with running_cloud(_settings(server, data_dir, console)) as running:
            yield running


def _settings(server: RunningServer, data_dir: DataDir, console: Console) -> CloudSettings:
    return CloudSettings(
        template=TEMPLATE,
        data_dir=data_dir.folder,
        app_database_url=server.app_url,
        owner_database_url=server.owner_url,
        port=0,
        log=console.line,
        reload=False,
        schedules=False,
        event_sources=False,
        sockets_url=server.api_url,
    )
