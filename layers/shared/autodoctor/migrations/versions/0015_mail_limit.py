"""Runs sql/0015_mail_limit.sql."""

from autodoctor.migrations import sql_file

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    sql_file.run("0015_mail_limit")
