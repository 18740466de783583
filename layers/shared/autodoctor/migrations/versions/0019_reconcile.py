"""Runs sql/0019_reconcile.sql."""

from autodoctor.migrations import sql_file

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    sql_file.run("0019_reconcile")
