"""Runs sql/0011_settlement.sql."""

from autodoctor.migrations import sql_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    sql_file.run("0011_settlement")
