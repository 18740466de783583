"""Runs sql/0009_availability.sql."""

from autodoctor.migrations import sql_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    sql_file.run("0009_availability")
