"""The user's own database in place of the embedded one (`--database-url`)."""

import secrets
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from localcloud.database.postgres import APP_ROLE
from localcloud.host.datadir import DataDir

_PASSWORD_FILE = "app.password"  # noqa: S105 - the name of a file


class AppRoleInUse(Exception):
    """The application role already has a password, which is unknown to us and must not change."""

    def __init__(self) -> None:
        super().__init__(
            f"role {APP_ROLE} can already log in there, with a password of its own; "
            "name its connection string with --app-database-url"
        )


def app_url(owner_url: str, data_dir: DataDir) -> str:
    """Return a connection string of the application role in the database of `owner_url`.

    Gives the role its first password and keeps that in the data folder. Raises AppRoleInUse, or psycopg's
    error when `owner_url` may not alter the role.
    """
    file = data_dir.folder / _PASSWORD_FILE
    if file.exists() and _can_log_in(known := _with_login(owner_url, file.read_text())):
        return known
    password = secrets.token_hex(12)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        if connection.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone() == (True,):
            raise AppRoleInUse
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(APP_ROLE), sql.Literal(password))
        )
    data_dir.write_private(_PASSWORD_FILE, password)
    return _with_login(owner_url, password)


def _with_login(owner_url: str, password: str) -> str:
    parts = urlsplit(owner_url)
    return parts._replace(netloc=f"{APP_ROLE}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


def _can_log_in(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
