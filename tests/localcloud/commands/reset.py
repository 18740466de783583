"""`autodoctor dev reset`: an empty database with the demo roster, whether or not a server is running."""

import contextlib
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg

from autodoctor.migrations import migrate
from autodoctor.operations.console import Console, Refusal
from localcloud.commands.system import Options, prepared
from localcloud.database.postgres import PostgresServer, PostgresSettings
from localcloud.gateway.connections_api import INFIX
from localcloud.gateway.open_sockets import OpenSockets
from localcloud.host import ports
from localcloud.host.datadir import DataDir
from localcloud.identity import roster
from localcloud.identity.user_pool import memberships
from localcloud.messaging.message_file import forget_messages
from localcloud.services.mail import mail_store
from localcloud.services.topics import published_store
from localcloud.stack.sockets import PREFIX
from localcloud.storage.objects import forget_objects
from localcloud.stripe.state.store import forget_books

# The connections API asks for a signature and cannot check its secret.
_SIGNED = f"AWS4-HMAC-SHA256 Credential=local, SignedHeaders=host, Signature={'0' * 64}"
_TIMEOUT_SECONDS = 10.0


class UsersOwnDatabase(Refusal):
    """The running server does not use the embedded database."""

    def __init__(self) -> None:
        super().__init__("the running server uses your own database; empty it yourself")


def empty_and_seed(data_dir: DataDir, console: Console) -> None:
    """Empty the database and seed it again; also queues, mailboxes, buckets and the local Stripe's books.

    While a server runs, only the schema is dropped and made again, so that nothing has to be restarted; WebSockets
    are closed, because the new database does not know them. Otherwise the whole cluster is made again, which also
    helps when it no longer starts. Raises UsersOwnDatabase, datadir.FolderHeld while a server is starting, and
    httpx.HTTPError when the running server does not answer.
    """
    if server := data_dir.running_server():
        if not server.embedded:
            raise UsersOwnDatabase
        empty(server.owner_url)
        migrate(server.owner_url)
        roster.seed(server.owner_url)
        _forget_the_rest(data_dir)
        _close_connections(data_dir.folder, server.api_url)
        console.note(f"emptied and seeded again; {server.api_url} keeps running")
        return
    with data_dir.hold():
        _forget_the_rest(data_dir)
        PostgresServer(PostgresSettings(data_dir.postgres, ports.DEFAULT_PORT), console.note).discard()
    with prepared(Options(data_dir=data_dir.folder), console):
        console.note("emptied and seeded again")


def empty(owner_url: str) -> None:
    """Drop the schema and make an empty one.

    A running function may hold locks in another order: PostgreSQL then ends the deadlock by refusing one of the two.
    When it refuses this one, nothing has changed. Raises psycopg.Error.
    """
    for last in (False, False, False, True):
        try:
            with psycopg.connect(owner_url) as connection:
                connection.execute("DROP SCHEMA public CASCADE")
                connection.execute("CREATE SCHEMA public")
                connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")  # as in every new database
        except psycopg.errors.DeadlockDetected:
            if last:
                raise
        else:
            return


def _forget_the_rest(data_dir: DataDir) -> None:
    forget_messages(data_dir.folder)
    forget_books(data_dir.folder)
    forget_objects(data_dir.folder)
    mail_store(data_dir.folder).forget()
    published_store(data_dir.folder).forget()
    memberships(data_dir.folder).forget()


def _close_connections(data_dir: Path, api_url: str) -> None:
    """Close every connection of the cloud that runs on a data folder.

    Clients reconnect by themselves, each with a new ticket. Raises httpx.HTTPError.
    """
    with contextlib.closing(OpenSockets(data_dir)) as sockets, httpx.Client(trust_env=False) as http:
        for link in sockets.listed():
            http.delete(
                f"{api_url}{PREFIX}/{link.api}/{link.stage}{INFIX}{quote(link.connection_id)}",
                headers={"Authorization": _SIGNED},
                timeout=_TIMEOUT_SECONDS,
            )
