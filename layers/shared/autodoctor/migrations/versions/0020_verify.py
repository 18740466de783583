"""Runs sql/0020_verify.sql."""

from autodoctor.migrations import sql_file

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    sql_file.run("0020_verify")
