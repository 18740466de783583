"""Lets the application's role log in: a migration creates it without a password."""

from typing import LiteralString

import psycopg
from psycopg import sql

_ALTER: LiteralString = "ALTER ROLE {} LOGIN PASSWORD {}"


def let_in(owner_url: str, role: str, password: str) -> None:
    """Give a role this password, which the server sees only as the SCRAM verifier that it keeps of it.

    Safe to run again, also after the password was rotated where it is kept.

    Args:
        owner_url: of the role's creator, direct and not through RDS Proxy.
        role: which one.
        password: in clear.

    Raises:
        psycopg.Error: the database cannot be reached, or the role is not the owner's to change.
    """
    with psycopg.connect(owner_url) as connection:
        # in clear it would stand in the server's log, wherever statements are logged
        verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
        connection.execute(sql.SQL(_ALTER).format(sql.Identifier(role), sql.Literal(verifier.decode())))
