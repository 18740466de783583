"""Runs sql/0025_refund_lookups.sql."""

from autodoctor.migrations import sql_file

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    sql_file.run("0025_refund_lookups")
