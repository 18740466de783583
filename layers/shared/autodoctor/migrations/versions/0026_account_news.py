"""Runs sql/0026_account_news.sql."""

from autodoctor.migrations import sql_file

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    sql_file.run("0026_account_news")
