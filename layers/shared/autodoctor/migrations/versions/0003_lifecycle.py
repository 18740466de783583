"""Runs sql/0003_lifecycle.sql."""

from autodoctor.migrations import sql_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    sql_file.run("0003_lifecycle")
