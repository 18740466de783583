"""The tables that are emptied between tests: all that are empty in a new database."""

import psycopg
from psycopg import sql

from localcloud.database.postgres import Database
from support.database.tables import APPLIED, SEEDED, all_tables


def test_a_new_database_has_rows_in_seeded_tables_only(database: Database) -> None:
    with psycopg.connect(database.owner_url) as connection:
        filled = {
            name
            for name in all_tables(connection)
            if connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(name))).rowcount
        }
    assert filled == {*SEEDED, APPLIED}
