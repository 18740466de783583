"""Runs sql/0008_notifications.sql."""

from autodoctor.migrations import sql_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    sql_file.run("0008_notifications")
