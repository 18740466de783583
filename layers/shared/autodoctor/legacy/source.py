"""The old database: one read-only snapshot of it, whichever tables and columns it has."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from autodoctor.legacy.names import ARCHIVED, CONSULTATIONS, SESSION, USERS
from autodoctor.legacy.parsing import RowValues, as_uuid

_COLUMNS: Final[LiteralString] = """
SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
   AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
"""


_OURS: Final = "legacy_imports"
"""A schema that has this table is one of ours, whatever else it has."""

type _Parameters = dict[str, list[str]] | list[str] | None


class OldRow(NamedTuple):
    """A row of the old system.

    Attributes:
        key: its id as text, or a digest of a row without one.
        content: all of it as the text of a JSON object, for the archive.
        values: the same, to be read.
    """

    key: str
    content: str
    values: RowValues


class NoOldSystem(Exception):
    """None of the tables of the old system are there, or none that may be read; or it is a schema of ours."""

    def __init__(self, schema: str) -> None:
        super().__init__(f"schema {schema} holds none of the old tables {', '.join(CONSULTATIONS)}")


class Source:
    """A snapshot of the old system's tables in one schema.

    Attributes:
        tables: its tables, with the type of each column.
    """

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        """Look what there is.

        Args:
            connection: in one read-only transaction with one snapshot, for as long as this is used.
            schema: where the old tables are.

        Raises:
            NoOldSystem: they are not there.
        """
        self._connection = connection
        self.schema = schema
        self.tables = self._described(schema)
        if not any(table in self.tables for table in CONSULTATIONS) or _OURS in self.tables:
            raise NoOldSystem(schema)
        self.has_users = "id" in self._described(USERS[0]).get(USERS[1], {})

    @property
    def archived(self) -> list[str]:
        """The tables that are kept word for word."""
        named = [table for table in ARCHIVED if table in self.tables]
        others = {table for table in self.tables if table not in ARCHIVED and self._has_any(table, SESSION)}
        return named + sorted(others)

    def has(self, table: str, column: str) -> bool:
        """Whether there is such a table with this column."""
        return column in self.tables.get(table, {})

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self._asked(sql.SQL("SELECT count(*) FROM {}").format(self._name(table)))[0][0])

    def chunks(self, table: str, size: int) -> Iterator[list[OldRow]]:
        """All rows of a table in the order of their ids, so many at a time, by a server-side cursor."""
        in_order = sql.SQL("ORDER BY t.id" if self.has(table, "id") else "")
        query = sql.SQL("SELECT {}, to_jsonb(t)::text FROM {} AS t {}").format(
            self._key(table), self._name(table), in_order
        )
        with self._connection.cursor(f"legacy {table}"[:60], row_factory=tuple_row) as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(size):
                yield [OldRow(key, content, json.loads(content)) for key, content in rows]

    def related(self, table: str, columns: Sequence[str], values: Sequence[str]) -> list[OldRow]:
        """The rows of a table, if there is one, that hold one of the values in one of the columns it has."""
        found = [self._matches(column, self.tables[table][column]) for column in columns if self.has(table, column)]
        if not found or not values:
            return []
        query = sql.SQL("SELECT {}, to_jsonb(t)::text FROM {} AS t WHERE {} ORDER BY 1").format(
            self._key(table), self._name(table), sql.SQL(" OR ").join(found)
        )
        return [OldRow(key, content, json.loads(content)) for key, content in self._asked(query, _kinds(values))]

    def users(self, ids: Sequence[str]) -> dict[str, RowValues]:
        """What the sign-in's table knows of these users: their mail address only."""
        if not self.has_users or not ids:
            return {}
        query = sql.SQL("SELECT t.id::text, to_jsonb(t) ->> 'email' FROM {} AS t WHERE {}").format(
            sql.Identifier(*USERS), self._matches("id", self._described(USERS[0])[USERS[1]]["id"])
        )
        return {key: {"email": email} for key, email in self._asked(query, _kinds(ids))}

    def repeated(self, table: str, column: str) -> list[tuple[str, int]]:
        """Values that stand in more than one row of a table, and in how many."""
        query = sql.SQL(
            "SELECT t.{0}::text, count(*) FROM {1} AS t WHERE t.{0} IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
            " ORDER BY 1"
        ).format(sql.Identifier(column), self._name(table))
        return [(value, count) for value, count in self._asked(query)]

    def _described(self, schema: str) -> dict[str, dict[str, str]]:
        tables: dict[str, dict[str, str]] = {}
        for table, column, kind in self._asked(sql.SQL(_COLUMNS), [schema]):
            tables.setdefault(table, {})[column] = kind
        return tables

    def _has_any(self, table: str, columns: Sequence[str]) -> bool:
        return any(self.has(table, column) for column in columns)

    def _name(self, table: str) -> sql.Identifier:
        return sql.Identifier(self.schema, table)

    def _key(self, table: str) -> sql.Composable:
        return sql.SQL("t.id::text") if self.has(table, "id") else sql.SQL("md5(to_jsonb(t)::text)")

    def _matches(self, column: str, kind: str) -> sql.Composable:
        """A condition that an index on the column can serve, whatever its type."""
        kinds = {"uuid": "t.{} = ANY (%(uuids)s::uuid[])", "text": "t.{} = ANY (%(texts)s::text[])"}
        return sql.SQL(kinds.get(kind, "t.{}::text = ANY (%(texts)s::text[])")).format(sql.Identifier(column))

    def _asked(self, query: sql.SQL | sql.Composed, parameters: _Parameters = None) -> list[tuple[Any, ...]]:
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(query, parameters).fetchall()


def _kinds(values: Sequence[str]) -> dict[str, list[str]]:
    """The values as each type of column is compared with them."""
    return {"texts": list(values), "uuids": [value for value in values if as_uuid(value)]}
