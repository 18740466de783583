"""Runs sql/0004_consistency.sql."""

from autodoctor.migrations import sql_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    sql_file.run("0004_consistency")
