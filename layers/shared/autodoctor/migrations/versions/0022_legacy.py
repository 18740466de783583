"""Runs sql/0022_legacy.sql."""

from autodoctor.migrations import sql_file

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    sql_file.run("0022_legacy")
