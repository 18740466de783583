"""Runs sql/0005_sweeps.sql."""

from autodoctor.migrations import sql_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    sql_file.run("0005_sweeps")
