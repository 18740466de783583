"""Writes the layer's `expected_schema.json` anew from a freshly migrated database, after a migration was added.

uv run python -m localcloud.database.expected_schema
"""

import json
import tempfile
from importlib.resources import files
from pathlib import Path

import psycopg

from autodoctor.integrity.checks.schema import present
from autodoctor.migrations import migrate
from localcloud.database.postgres import PostgresServer, PostgresSettings
from localcloud.host import ports


def main() -> None:
    """Migrate an empty database on a server of its own and write what its catalog holds."""
    folder = Path(tempfile.mkdtemp(prefix="autodoctor-schema-"))
    folder.chmod(0o711)  # the account that PostgreSQL runs as passes through
    settings = PostgresSettings(folder / "postgres", ports.scattered_port(), durable=False, delete=folder)
    server = PostgresServer(settings, progress=lambda _sentence: None)
    server.start()
    try:
        database = server.create_database("expected")
        migrate(database.owner_url)
        with psycopg.connect(database.owner_url) as connection:
            write(present(connection))
    finally:
        server.stop()


def write(made: dict[str, str]) -> None:
    """Write the fingerprints where the layer reads them."""
    target = Path(str(files("autodoctor.integrity").joinpath("expected_schema.json")))
    target.write_text(json.dumps(made, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
