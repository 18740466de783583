"""PostgreSQL behind TLS, as a managed database is: the embedded one has none, so this is Debian's."""

import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud.database.postgres import PostgresServer, PostgresSettings
from localcloud.host import ports
from support.database.certificates import Authority

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
HOST = "localhost"


@contextmanager
def tls_postgres(folder: Path, authority: Authority, port: int | None = None) -> Iterator[PostgresServer]:
    """Run a server whose certificate is for `localhost`, its files in a new folder.

    Args:
        folder: for its files; the server's account must be able to reach it.
        authority: who signs the certificate.
        port: to listen on; by default a free one.
    """
    folder.mkdir(mode=0o711, exist_ok=True)
    certificate, key = authority.certificate(HOST)
    files = {}
    for name, text in (("server.crt", certificate), ("server.key", key)):
        files[name] = folder / name
        files[name].touch(mode=0o600)
        files[name].write_text(text, encoding="utf-8")
        if os.geteuid() == 0:
            shutil.chown(files[name], pwd.getpwnam("nobody").pw_uid)
    options = {"ssl": "on", "ssl_cert_file": str(files["server.crt"]), "ssl_key_file": str(files["server.key"])}
    settings = PostgresSettings(
        folder / "postgres", port or ports.scattered_port(), PROGRAMS, durable=False, delete=folder, options=options
    )
    server = PostgresServer(settings, progress=lambda _sentence: None)
    server.start()
    try:
        yield server
    finally:
        server.stop()
