"""Runs sql/0013_checkout.sql."""

from autodoctor.migrations import sql_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    sql_file.run("0013_checkout")
