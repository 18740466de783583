"""Brings a database to the schema this release needs: the plain .sql files of `sql/`, run by Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, text

# Any number will do, as long as nothing else on the database uses it: "auto" in ASCII.
ADVISORY_LOCK = 0x6175746F


def migrate(database_url: str) -> list[str]:
    """Apply what is missing, in order and all in one transaction: the schema is the old one or the new one.

    Safe to run twice and at once: an advisory lock of the transaction lets one caller in at a time,
    the others wait and then find nothing to do. It goes with its connection, so a migration that is
    killed leaves no lock behind.

    Args:
        database_url: the owner's `postgresql://` URL, direct and not through RDS Proxy.

    Returns:
        The names of the migrations that were applied now, oldest first.

    Raises:
        psycopg.Error: a migration failed; nothing was changed.
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
        before = MigrationContext.configure(connection).get_current_revision()
        applied = [script.module.__name__ for script in scripts.iterate_revisions("head", before or "base")]
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return [name.removesuffix("_py") for name in reversed(applied)]
