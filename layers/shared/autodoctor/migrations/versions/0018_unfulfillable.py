"""Runs sql/0018_unfulfillable.sql."""

from autodoctor.migrations import sql_file

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    sql_file.run("0018_unfulfillable")
