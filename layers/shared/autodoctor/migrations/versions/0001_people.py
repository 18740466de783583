"""Runs sql/0001_people.sql."""

from autodoctor.migrations import sql_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    sql_file.run("0001_people")
