"""Runs sql/0016_disputes.sql."""

from autodoctor.migrations import sql_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    sql_file.run("0016_disputes")
