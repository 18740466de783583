"""Brings a database to the schema this release needs: the files of `sql/`, in the order of their numbers.

The name of a file is the only place of its number, which counts over all folders: these are subjects, for readers. What
was applied stands in the table `schema_migrations`, with the SHA-256 of its text, so that a file that was changed
afterwards is noticed.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg

_SQL: Final = Path(__file__).parent.parent / "sql"
# Any number will do, as long as nothing else on the database uses it: "auto" in ASCII.
ADVISORY_LOCK: Final = 0x6175746F

_LOCK: Final[LiteralString] = "SELECT pg_advisory_xact_lock(%s)"
_TABLES: Final[LiteralString] = "SELECT to_regclass('public.schema_migrations'), to_regclass('public.alembic_version')"
# Alembic revisions 0001 to 0027 made the schema before it was written down by subject.
_UNRELEASED: Final[LiteralString] = "SELECT version_num FROM alembic_version WHERE version_num ~ '^00[0-9]{2}$'"
_APPLIED: Final[LiteralString] = "SELECT name, checksum FROM schema_migrations"
_RECORD: Final[LiteralString] = "INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)"


class SchemaRefused(Exception):
    """The database cannot be brought to this release's schema; nothing was changed."""


class UnreleasedSchema(SchemaRefused):
    """Its schema was made before the first release, by other files."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"this database has a schema from before the first release (revision {revision}), which cannot be brought"
            " to this one. Nothing was changed. Make a new, empty database and migrate that."
        )


class FileChanged(SchemaRefused):
    """A file was changed after it was applied: what the database has is not what the file says."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name}.sql was applied to this database with a different text than in this release. Nothing was changed."
            " Migrate with the release that applied it, or make a new, empty database and migrate that."
        )


def schema_files() -> list[Path]:
    """The files that make the schema, in the order in which they are applied."""
    return sorted(_SQL.rglob("*.sql"), key=lambda file: file.name)


def migrate(database_url: str) -> list[str]:
    """Apply what is missing, in order and all in one transaction: the schema is the old one or the new one.

    Safe to run twice and at once: an advisory lock of the transaction lets one caller in at a time,
    the others wait and then find nothing to do. It goes with its connection, so a migration that is
    killed leaves no lock behind. Files that only a later release knows are left alone, so that going
    back to this one is not refused.

    Args:
        database_url: the owner's `postgresql://` URL, direct and not through RDS Proxy.

    Returns:
        The names of the files that were applied now, in order.

    Raises:
        SchemaRefused: the database has another schema than these files make; nothing was changed.
        psycopg.Error: a file failed, or the database cannot be reached; nothing was changed.
    """
    with psycopg.connect(database_url) as connection:
        connection.execute(_LOCK, (ADVISORY_LOCK,))
        applied = _applied(connection)
        missing = []
        for file in schema_files():
            text = file.read_bytes()
            checksum = sha256(text).hexdigest()
            if file.stem not in applied:
                connection.execute(text)  # whole and without parameters: no parser of SQL but PostgreSQL's own
                connection.execute(_RECORD, (file.stem, checksum))
                missing.append(file.stem)
            elif applied[file.stem] != checksum:
                raise FileChanged(file.stem)
    return missing


def pending(database_url: str) -> list[str]:
    """The names of the files that `migrate` would apply, in order; changes nothing.

    Args:
        database_url: the owner's `postgresql://` URL.

    Raises:
        UnreleasedSchema: the database has another schema than these files make.
        psycopg.Error: it cannot be reached.
    """
    with psycopg.connect(database_url) as connection:
        applied = _applied(connection)
    return [file.stem for file in schema_files() if file.stem not in applied]


def _applied(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The checksum of every file that was applied, by its name. Raises UnreleasedSchema."""
    ours, alembics = connection.execute(_TABLES).fetchall()[0]
    if ours:
        return dict(connection.execute(_APPLIED).fetchall())
    if alembics and (revision := connection.execute(_UNRELEASED).fetchone()):
        raise UnreleasedSchema(revision[0])
    return {}
