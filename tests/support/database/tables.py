"""The tables of the schema, read from the catalogue."""

import re
from typing import Any, Final

import psycopg

from autodoctor.migrations import schema_files

# A statement of the schema begins at the margin; an INSERT inside a function does not.
_SEED: Final = re.compile(r"^INSERT INTO (\w+)", re.MULTILINE)
SEEDED: Final = frozenset(name for file in schema_files() for name in _SEED.findall(file.read_text()))
"""Tables that the schema itself fills: plans, settings and the like."""
APPLIED: Final = "schema_migrations"
"""The applied files; `migrate` itself writes it."""


def all_tables(connection: psycopg.Connection[Any]) -> list[str]:
    """Every table of the schema that has rows of its own, by name: one that others inherit from shows theirs."""
    rows = connection.execute(
        "SELECT array_agg(c.relname::text ORDER BY c.relname) AS names FROM pg_class c"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
        "   AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid)"
    )
    [found] = rows
    names: list[str] = found["names"] if isinstance(found, dict) else found[0]
    return names


def tables(connection: psycopg.Connection[Any]) -> list[str]:
    """Every table that is empty in a new database."""
    return [name for name in all_tables(connection) if name not in SEEDED and name != APPLIED]
