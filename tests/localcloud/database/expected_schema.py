"""Regenerates the two descriptions of a freshly migrated database; run it after changing a file of `sql/`.

`expected_schema.json` has the fingerprints that `verify` compares with, the repository's `schema.sql` the whole schema.

uv run python -m localcloud.database.expected_schema
"""

import json
import re
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Final

import psycopg

from autodoctor.integrity.checks.schema import present
from autodoctor.migrations import migrate
from localcloud.database import binaries
from localcloud.database.postgres import PostgresServer, PostgresSettings
from localcloud.host import ports

FINGERPRINTS: Final = Path(str(files("autodoctor.integrity").joinpath("expected_schema.json")))
WHOLE: Final = Path(__file__).parents[3] / "schema.sql"
_HEADER: Final = """\
-- The schema as pg_dump shows it, for reading; what makes it are the files of layers/shared/autodoctor/sql.
-- Written by `uv run python -m localcloud.database.expected_schema`.

"""
# Lines that differ from run to run or say nothing: session settings, headings, a token for psql.
_NOISE: Final = re.compile(
    r"^(--\n-- .*\n--|-- Dumped .*|SET .*;|SELECT pg_catalog\.set_config.*;|\\(un)?restrict .*)\n", re.MULTILINE
)


def main() -> None:
    """Migrate an empty database on a temporary server and write both descriptions of its catalog."""
    folder = Path(tempfile.mkdtemp(prefix="autodoctor-schema-"))
    folder.chmod(0o711)  # so that PostgreSQL's account can enter it
    settings = PostgresSettings(folder / "postgres", ports.scattered_port(), durable=False, delete=folder)
    server = PostgresServer(settings, progress=lambda _sentence: None)
    server.start()
    try:
        database = server.create_database("expected")
        migrate(database.owner_url)
        with psycopg.connect(database.owner_url) as connection:
            made = present(connection)
        FINGERPRINTS.write_text(json.dumps(made, indent=0) + "\n", encoding="utf-8")
        WHOLE.write_text(dumped(database.owner_url), encoding="utf-8")
    finally:
        server.stop()


def dumped(owner_url: str) -> str:
    """The schema of a database of the embedded server; the same files always give the same text."""
    program = binaries.programs(None, binaries.server_account()) / "pg_dump"
    options = ("--schema-only", "--no-owner", "--schema=public", f"--dbname={owner_url}")
    text = subprocess.run([program, *options], capture_output=True, text=True, check=True).stdout
    return _HEADER + re.sub(r"\n{3,}", "\n\n", _NOISE.sub("", text)).strip("\n") + "\n"


if __name__ == "__main__":
    main()
