"""Runs sql/0006_events.sql."""

from autodoctor.migrations import sql_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    sql_file.run("0006_events")
