"""Runs sql/0024_dead_letters.sql."""

from autodoctor.migrations import sql_file

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    sql_file.run("0024_dead_letters")
