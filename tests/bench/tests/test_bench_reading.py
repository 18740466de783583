"""The bench's readings of PostgreSQL's own reports: the server's log and pg_waldump's totals."""

import pytest

from bench.measure.meter import logged_statements

PREFIX = "2026-11-21 03:00:00.000 UTC [4711] autodoctor_app@autodoctor LOG:  "


@pytest.mark.parametrize(
    ("line", "statements"),
    [
        ("execute <unnamed>: SELECT 1 FROM sessions WHERE id = $1", 1),
        ("statement: SELECT 1", 1),
        ("statement: BEGIN", 0),
        ("statement: COMMIT", 0),
        ("statement: ROLLBACK", 0),
        ("execute <unnamed>: SELECT pg_stat_force_next_flush()", 0),
        ("duration: 1.2 ms", 0),
    ],
)
def test_begin_commit_and_our_own_flush_are_no_statements(line: str, statements: int) -> None:
    assert logged_statements(PREFIX + line) == statements


def test_statements_of_other_roles_are_not_counted() -> None:
    assert logged_statements(PREFIX.replace("autodoctor_app", "postgres") + "statement: SELECT 1") == 0


def test_the_lines_of_one_statement_are_one_statement() -> None:
    log = (
        f"{PREFIX}execute <unnamed>: SELECT 1\n\tFROM sessions\n{PREFIX}statement: COMMIT\n{PREFIX}statement: SELECT 2"
    )
    assert logged_statements(log) == 2
