"""Schema drift: what the catalog holds, compared object by object with what this release's migrations make.

`expected_schema.json` holds a fingerprint of every function, trigger, constraint, index, view and column of a freshly
migrated database; a test compares the two, and `uv run python -m localcloud.expected_schema` writes it anew after a
migration. Fingerprints are made of what reads the same on PostgreSQL 15 to 18: the source of a function, not its
deparsed text; no NOT NULL constraints (rows of the catalog from 18 on, columns say it everywhere); no order of columns.
Objects of other names, such as an operator's own tables and indexes, are nobody's business, but for triggers and
constraints on our tables, which change what our statements do.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import tuple_row

from autodoctor.health.checks import Check, Finding, Section

_IN_SCHEMA = Section.SCHEMA
REVISION: Final = Check("schema_revision", _IN_SCHEMA, "the schema is not that of this release; migrate")
MISSING: Final = Check("schema_missing", _IN_SCHEMA, "an object of the schema is missing")
CHANGED: Final = Check("schema_changed", _IN_SCHEMA, "an object of the schema is not what the migrations made")
FOREIGN: Final = Check("schema_foreign", _IN_SCHEMA, "a trigger or constraint on our tables that no migration made")
CHECKS: Final = (REVISION, MISSING, CHANGED, FOREIGN)

_OBJECTS: Final[LiteralString] = r"""
WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname = 'public'),
relation AS (SELECT c.oid, c.relname::text AS name, c.relkind FROM pg_class c JOIN ours ON ours.oid = c.relnamespace)
SELECT 'function ' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       concat_ws(' ', l.lanname, p.provolatile, p.prosecdef, p.proisstrict, p.proretset, pg_get_function_result(p.oid),
                 p.proconfig::text,
                 CASE WHEN p.proname <> 'new_id' THEN p.prosrc END) -- the one that depends on the server's version
  FROM pg_proc p JOIN ours ON ours.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'trigger ' || t.tgname || ' on ' || r.name, concat_ws(' ', t.tgenabled, pg_get_triggerdef(t.oid))
  FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'constraint ' || c.conname || ' on ' || r.name, pg_get_constraintdef(c.oid)
  FROM pg_constraint c JOIN relation r ON r.oid = c.conrelid WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL
SELECT 'index ' || r.name, concat_ws(' ', i.indisvalid, i.indisready, pg_get_indexdef(i.indexrelid))
  FROM pg_index i JOIN relation r ON r.oid = i.indexrelid
UNION ALL
-- from 16 on a column is not qualified where it need not be
SELECT 'view ' || r.name, regexp_replace(pg_get_viewdef(r.oid), '\m[a-z_0-9]+\.', '', 'g')
  FROM relation r WHERE r.relkind IN ('v', 'm')
UNION ALL
SELECT 'column ' || r.name || '.' || a.attname,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated,
                 pg_get_expr(d.adbin, d.adrelid))
  FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid AND r.relkind = 'r'
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped
"""
_REVISION: Final[LiteralString] = "SELECT version_num FROM alembic_version"
_EXISTS: Final[LiteralString] = "SELECT to_regclass('public.alembic_version') IS NOT NULL"


@cache
def expected() -> Mapping[str, str]:
    """The fingerprint of every object that the migrations make, by its kind and name, and `revision`."""
    text = files("autodoctor.health").joinpath("expected_schema.json").read_text(encoding="utf-8")
    known: dict[str, str] = json.loads(text)
    return known


def present(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The fingerprint of every object that this database holds in schema public, by its kind and name.

    Args:
        connection: of any role; the catalog is readable for all.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        made = {name: fingerprint(definition) for name, definition in cursor.execute(_OBJECTS)}
        (is_ours,) = cursor.execute(_EXISTS).fetchall()[0]
        revision = cursor.execute(_REVISION).fetchone() if is_ours else None
    return {"revision": revision[0] if revision else "", **dict(sorted(made.items()))}


def fingerprint(definition: str) -> str:
    """Twelve digits of the SHA-256 of a definition, whose white space does not count."""
    return hashlib.sha256(" ".join(definition.split()).encode()).hexdigest()[:12]


def check(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """How the schema differs from what this release's migrations make."""
    made, wanted = present(connection), expected()
    if made["revision"] != wanted["revision"]:
        yield REVISION.of("alembic_version", f"it is {made['revision'] or 'missing'}, expected {wanted['revision']}")
    for name, wants in wanted.items():
        if name == "revision":
            continue
        if name not in made:
            yield MISSING.of(name, "missing")
        elif made[name] != wants:
            yield CHANGED.of(name, f"{made[name]}, expected {wants}")
    tables = {name.split()[1].split(".")[0] for name in wanted if name.startswith("column ")}
    for name in made.keys() - wanted.keys():
        kind, *_, table = name.split()
        if kind in {"trigger", "constraint"} and table in tables:
            yield FOREIGN.of(name, "no migration made it")
