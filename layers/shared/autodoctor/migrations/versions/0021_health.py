"""Runs sql/0021_health.sql."""

from autodoctor.migrations import sql_file

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    sql_file.run("0021_health")
