"""Runs sql/0002_sessions.sql."""

from autodoctor.migrations import sql_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    sql_file.run("0002_sessions")
