"""`autodoctor token`, `invoke` and `end`: the issuer, the functions and the sessions of a server, by hand."""

import getpass
from uuid import UUID

import jwt
import psycopg

from autodoctor.db import Database
from autodoctor.errors import Problem
from autodoctor.sessions.end import Ender, end_session
from localcloud.commands.dev import TEMPLATE
from localcloud.commands.system import Options, prepared
from localcloud.host.console import Console, Refusal, one_line
from localcloud.host.datadir import DataDir, RunningServer
from localcloud.identity.issuer import PATH, Issuer
from localcloud.identity.roster import Group
from localcloud.services.cloud import CloudSettings, InvokeResult, running_cloud


class NotEnded(Refusal):
    """The session could not be ended."""

    def __init__(self, session_id: UUID, cause: Problem | psycopg.Error) -> None:
        super().__init__(f"{session_id}: {one_line(cause)}")


def token(data_dir: DataDir, sub: str, group: Group, seconds: float) -> str:
    """Sign an access token that the running server accepts. Raises NoServer."""
    claims = jwt.decode(data_dir.server().tokens["admin"], options={"verify_signature": False})
    issuer = Issuer(data_dir.folder, claims["iss"].removesuffix(PATH), claims["client_id"])
    return issuer.token(sub, [group], expires_in=seconds)


def end(data_dir: DataDir, database_url: str | None, session_id: UUID) -> str:
    """End a session in the given database, or the running server's, and return the outcome as JSON.

    Raises NoServer or NotEnded.
    """
    url = database_url or data_dir.server().app_url
    operator = Ender(any_session=True, actor=f"operator:{getpass.getuser()}")
    try:
        outcome = end_session(Database(lambda: url), operator, session_id)
    except (Problem, psycopg.Error) as cause:
        raise NotEnded(session_id, cause) from cause
    return outcome.model_dump_json(by_alias=True, indent=2)


def invoke(options: Options, console: Console, function: str, event: object) -> InvokeResult:
    """Run one function on an event, in a process of its own on the data of the folder.

    Works beside a running server and without one. Raises cloud.UnknownFunction and what system.prepared does.
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
