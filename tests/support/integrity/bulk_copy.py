"""Many copies of the sample data in its own database, each with its own ids and slightly shifted times.

The rows were made by the use cases and are copied with triggers and foreign keys off. Ids and all values that contain
them are replaced, so that every copy is as right or as wrong as the first.
"""

from typing import Any, Final

import psycopg
from psycopg import sql

from support.database.tables import tables

# Ids of ours by their version and sixteen of their random bits, Stripe's by their end.
_OURS: Final = "([0-9a-f]{8}-[0-9a-f]{4}-)7([0-9a-f]{3}-[0-9a-f]{4}-)[0-9a-f]{4}([0-9a-f]{8})"
_STRIPES: Final = r"\m((?:re|dp|du|pi|tr|trr|cs|ch|py|evt|acct|txn|po|cus|file)_\w+)"
_COPY: Final = """
INSERT INTO {table} ({columns})
SELECT {fields}
  FROM {table} AS x CROSS JOIN generate_series(1, %(copies)s) AS copy (n)
  CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, regexp_replace(regexp_replace(
    to_jsonb(x)::text, %(ours)s, '\\18\\2' || lpad(to_hex(copy.n), 4, '0') || '\\3', 'g'),
    %(stripes)s, '\\1x' || copy.n, 'g')::jsonb) AS made
"""
_COLUMNS: Final = """
SELECT attname::text, atttypid = 'timestamptz'::regtype FROM pg_attribute
 WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""


def multiply(superuser: psycopg.Connection[Any], copies: int) -> None:
    """Copy everything so many times, once and for all: copies of copies would be named alike.

    Args:
        superuser: an autocommit connection.
        copies: up to 65,000.
    """
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute("CREATE TEMPORARY TABLE shift (n integer PRIMARY KEY, seconds float) ON COMMIT DROP")
        superuser.execute("INSERT INTO shift SELECT n, random() * 240 FROM generate_series(1, %s) n", [copies])
        for table in tables(superuser):
            _copy(superuser, table, copies)
    superuser.execute("ANALYZE")


def size(superuser: psycopg.Connection[Any]) -> int:
    """The number of all rows."""
    counts = [
        superuser.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(each))) for each in tables(superuser)
    ]
    return sum(int(row[0]) for cursor in counts for row in cursor)


def _copy(superuser: psycopg.Connection[Any], table: str, copies: int) -> None:
    columns = superuser.execute(_COLUMNS, [table]).fetchall()
    fields = [_field(name, is_time=bool(is_time)) for name, is_time in columns]
    query = sql.SQL(_COPY).format(
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
        fields=sql.SQL(", ").join(fields),
    )
    superuser.execute(query, {"copies": copies, "ours": _OURS, "stripes": _STRIPES})


def _field(name: str, *, is_time: bool) -> sql.Composable:
    if name == "referral_code":
        return sql.SQL("new_referral_code()")
    if name == "year":  # numbers are given once a year
        return sql.SQL("made.year + copy.n")
    column = sql.SQL("made.{}").format(sql.Identifier(name))
    if not is_time:
        return column
    return sql.SQL("{} - make_interval(secs => (SELECT seconds FROM shift WHERE shift.n = copy.n))").format(column)
