"""Runs sql/0007_realtime.sql."""

from autodoctor.migrations import sql_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    sql_file.run("0007_realtime")
