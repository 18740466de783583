"""Runs sql/0023_privacy.sql."""

from autodoctor.migrations import sql_file

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    sql_file.run("0023_privacy")
