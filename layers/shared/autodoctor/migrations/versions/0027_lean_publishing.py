"""Runs sql/0027_lean_publishing.sql."""

from autodoctor.migrations import sql_file

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    sql_file.run("0027_lean_publishing")
