"""`autodoctor dev reset` under a running server, whose functions go on undisturbed."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
from psycopg import sql

from localcloud.commands.reset import empty
from localcloud.database.postgres import Database
from support.cloud.dev_process import eventually

# The tables that a transaction holds for itself alone while it waits for another one.
HELD = """
SELECT c.relname FROM pg_locks held
  JOIN pg_locks waiting ON waiting.pid = held.pid AND NOT waiting.granted
  JOIN pg_class c ON c.oid = held.relation AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
 WHERE held.granted AND held.mode = 'AccessExclusiveLock' AND held.database = waiting.database
   AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def test_reset_survives_a_transaction_with_the_opposite_lock_order(database: Database) -> None:
    with (
        psycopg.connect(database.owner_url, autocommit=True) as looking,
        psycopg.connect(database.owner_url) as at_work,
        ThreadPoolExecutor(1) as thread,
    ):
        at_work.execute("LOCK TABLE sessions IN ACCESS SHARE MODE")
        emptying = thread.submit(empty, database.owner_url)
        assert eventually(lambda: looking.execute(HELD).fetchone() is not None, within=30)
        for (held,) in looking.execute(HELD).fetchall()[:1]:
            with suppress(psycopg.errors.DeadlockDetected):  # the one that waited longer is refused
                at_work.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(held)))
        at_work.rollback()
        emptying.result(timeout=30)
        assert looking.execute("SELECT FROM pg_tables WHERE schemaname = 'public'").fetchall() == []
