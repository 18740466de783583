"""Runs sql/0014_sending.sql."""

from autodoctor.migrations import sql_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    sql_file.run("0014_sending")
