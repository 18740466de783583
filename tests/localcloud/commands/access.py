"""`autodoctor token` and `autodoctor invoke`: use a server's issuer and functions by hand."""

import jwt

from autodoctor.operations.console import Console
from localcloud.commands.dev import TEMPLATE
from localcloud.commands.system import Options, prepared
from localcloud.host.datadir import DataDir, RunningServer
from localcloud.identity.issuer import PATH, Issuer
from localcloud.identity.roster import Group
from localcloud.services.cloud import CloudSettings, InvokeResult, running_cloud


def token(data_dir: DataDir, sub: str, group: Group, seconds: float) -> str:
    """Sign an access token that the running server accepts. Raises NoServer."""
    claims = jwt.decode(data_dir.server().tokens["admin"], options={"verify_signature": False})
    issuer = Issuer(data_dir.folder, claims["iss"].removesuffix(PATH), claims["client_id"])
    return issuer.token(sub, [group], expires_in=seconds)


def invoke(options: Options, console: Console, function: str, event: object) -> InvokeResult:
    """Run one function on an event, in a process of its own on the data of the folder.

    Works with or without a running server. Raises cloud.UnknownFunction and the errors of system.prepared.
    """
    data_dir = DataDir(options.data_dir)
    if server := data_dir.running_server():
        return _invoke(server, data_dir, console, function, event)
    with prepared(options, console) as system:
        server = RunningServer(0, "", system.owner_url, system.app_url, system.embedded is not None, {})
        return _invoke(server, data_dir, console, function, event)


def _invoke(server: RunningServer, data_dir: DataDir, console: Console, function: str, event: object) -> InvokeResult:
    settings = CloudSettings(
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
    with running_cloud(settings) as running:
        return running.invoke(function, event)
