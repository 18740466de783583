"""Runs sql/0012_admin.sql."""

from autodoctor.migrations import sql_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    sql_file.run("0012_admin")
