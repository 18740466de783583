"""What a sweep reads is bounded, however much there is that it leaves alone, and no row stops it."""

from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from autodoctor.db import Database
from autodoctor.sessions.expiry import BATCH, sweep
from support.database.crowd import Crowd, made

PAGES_TO_LOOK: Final = 10_000
"""A scan of what is open, with ten or a hundred thousand of that: a tenth of a second, once a minute."""

PAGES_TO_CHANGE_ONE: Final = 250
"""With its trail, its events and its notifications."""

SWEEPS: LiteralString = """
SELECT p.proname AS name FROM pg_proc p
 WHERE p.pronamespace = 'public'::regnamespace AND p.proargnames[1] = 'batch' AND p.prorettype = 'integer'::regtype
 ORDER BY 1
"""
REFUSES: LiteralString = """
CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not this one'; END$$;
CREATE TRIGGER refuses BEFORE UPDATE ON sessions FOR EACH ROW WHEN (OLD.id IN ({})) EXECUTE FUNCTION refuses()
"""
ENOUGH_SECONDS: Final = 60.0


def in_vain(connection: psycopg.Connection[Any], statement: sql.Composed) -> Any:  # noqa: ANN401 (a count, or a plan)
    """The first value that a statement gives; what it changed is undone."""
    with connection.transaction(force_rollback=True):
        row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]


def test_what_a_sweep_reads_is_bounded_by_what_it_changes(crowd: Crowd) -> None:
    explain = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ")
    with psycopg.connect(crowd.urls.app_url, autocommit=True) as connection:
        names = [name for (name,) in connection.execute(SWEEPS)]
        changed: dict[str, int] = {}
        for name in names:
            call = sql.SQL("SELECT {}({})").format(sql.Identifier(name), BATCH)
            changed[name] = in_vain(connection, call)
            plan = in_vain(connection, explain + call)[0]["Plan"]
            pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            assert changed[name] <= BATCH
            assert pages <= PAGES_TO_LOOK + PAGES_TO_CHANGE_ONE * changed[name], name
    assert len(names) > 10
    assert changed["expire_orphaned_sessions"] == BATCH


def test_rows_that_refuse_keep_no_others_from_being_swept(crowd: Crowd) -> None:
    refuse = [made(16, number) for number in (1, 2, 3)]  # those that each batch begins with
    batches = iter([ENOUGH_SECONDS] * 4)
    database = Database(lambda: crowd.urls.app_url)
    with psycopg.connect(crowd.urls.owner_url, autocommit=True) as owner:
        owner.execute(sql.SQL(REFUSES).format(sql.SQL(", ").join(map(sql.Literal, refuse))))
        try:
            swept = sweep(database, lambda: next(batches, 0.0))
        finally:
            owner.execute("DROP TRIGGER refuses ON sessions; DROP FUNCTION refuses")
            database.close()
    assert swept.orphans == 4 * (BATCH - len(refuse))
