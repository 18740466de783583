"""Runs sql/0010_ledger.sql."""

from autodoctor.migrations import sql_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    sql_file.run("0010_ledger")
