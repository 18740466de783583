"""Runs sql/0017_referrals.sql."""

from autodoctor.migrations import sql_file

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    sql_file.run("0017_referrals")
