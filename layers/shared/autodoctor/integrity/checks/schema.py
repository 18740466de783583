"""Schema drift: what the catalog holds, compared object by object with what this release's migrations make.

`expected_schema.json` holds a fingerprint of every function, trigger, constraint, index, view and column of a freshly
migrated database, and what the application's role and everybody (PUBLIC) may do with each object; a test compares the
two, and `uv run python -m localcloud.database.expected_schema` writes it anew. Fingerprints are made of what
reads the same on PostgreSQL 15 to 18: the source of a function, not its deparsed text; no NOT NULL constraints (rows of
the catalog from 18 on, columns say it everywhere); no order of columns. Objects of other names, such as an operator's
own tables and indexes, are nobody's business, but for triggers and constraints on our tables, which change what our
statements do; nor is what other roles may read or do. That all objects are one owner's is what counts, not its name.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import tuple_row

from autodoctor.integrity.checks.base import Check, Finding, Section

_IN_SCHEMA = Section.SCHEMA
REVISION: Final = Check("schema_revision", _IN_SCHEMA, "the schema is not that of this release; migrate")
MISSING: Final = Check("schema_missing", _IN_SCHEMA, "an object of the schema is missing")
CHANGED: Final = Check("schema_changed", _IN_SCHEMA, "an object of the schema is not what the migrations made")
FOREIGN: Final = Check("schema_foreign", _IN_SCHEMA, "a trigger or constraint on our tables that no migration made")
PRIVILEGES: Final = Check(
    "schema_privileges",
    _IN_SCHEMA,
    "the application or everybody may do more, or less, than the migrations granted",
    10,
)
OWNER: Final = Check("schema_owner", _IN_SCHEMA, "an object is another role's than the schema's owner's")
CHECKS: Final = (REVISION, MISSING, CHANGED, FOREIGN, PRIVILEGES, OWNER)

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
# What an owner may do with what is theirs is not counted: it has grown by a privilege in 17.
_PRIVILEGES: Final[LiteralString] = """
WITH ours AS (SELECT oid, nspowner, nspacl FROM pg_namespace WHERE nspname = 'public'),
object AS (
  SELECT CASE c.relkind WHEN 'S' THEN 'sequence ' WHEN 'v' THEN 'view ' ELSE 'table ' END || c.relname AS name,
         c.relowner AS owner,
         coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS acl
    FROM pg_class c JOIN ours ON ours.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S')
  UNION ALL
  SELECT 'function ' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
         p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
    FROM pg_proc p JOIN ours ON ours.oid = p.pronamespace
   WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
  UNION ALL
  SELECT 'schema public', nspowner, coalesce(nspacl, acldefault('n', nspowner)) FROM ours
), granted AS (
  SELECT o.name, o.owner, a.grantee, a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END AS privilege
    FROM object o CROSS JOIN LATERAL aclexplode(o.acl) AS a
  UNION ALL
  SELECT 'table ' || c.relname, c.relowner, x.grantee,
         x.privilege_type || '(' || a.attname || ')' || CASE WHEN x.is_grantable THEN '*' ELSE '' END
    FROM pg_class c JOIN ours ON ours.oid = c.relnamespace AND c.relkind IN ('r', 'p')
    JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped CROSS JOIN LATERAL aclexplode(a.attacl) AS x
)
SELECT 'privileges on ' || o.name,
       coalesce(string_agg(g.who || ':' || g.privilege, ' ' ORDER BY g.who COLLATE "C", g.privilege COLLATE "C"), '')
  FROM object o
  LEFT JOIN (
    SELECT name, privilege, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END AS who
      FROM granted WHERE grantee <> owner
  ) AS g ON g.name = o.name AND g.who IN ('PUBLIC', %(application)s)
 GROUP BY o.name
UNION ALL
-- the schema itself may be whoever's
SELECT 'owner of ' || o.name, pg_get_userbyid(o.owner)
  FROM object o CROSS JOIN (
    SELECT mode() WITHIN GROUP (ORDER BY relowner) AS owner FROM pg_class JOIN ours ON ours.oid = relnamespace
     WHERE relkind = 'r') AS usual
 WHERE o.name <> 'schema public' AND (o.owner <> usual.owner OR pg_get_userbyid(o.owner) = %(application)s)
"""
_APPLICATION: Final = "autodoctor_app"
_REVISION: Final[LiteralString] = "SELECT max(name) FROM schema_migrations"
_EXISTS: Final[LiteralString] = """
SELECT known IS NOT NULL, coalesce(has_table_privilege(known, 'SELECT'), true)
  FROM to_regclass('public.schema_migrations') AS known
"""
_OF_PRIVILEGES: Final = ("privileges ", "owner ")
"""How the names begin whose definitions are kept in words, so that it can be said what is too much."""


@cache
def expected() -> Mapping[str, str]:
    """By kind and name the fingerprint of every object, privileges, and `revision`: the last file that is applied."""
    text = files("autodoctor.integrity").joinpath("expected_schema.json").read_text(encoding="utf-8")
    known: dict[str, str] = json.loads(text)
    return known


def present(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """What this database holds in schema public.

    Args:
        connection: of any role; the catalog is readable for all.

    Returns:
        By kind and name the fingerprint of every object, who else may do what with it, and who owns it where that is
        not the owner of most; and `revision`, which a role that may not read it cannot say.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        made = {name: fingerprint(definition) for name, definition in cursor.execute(_OBJECTS)}
        made |= dict(cursor.execute(_PRIVILEGES, {"application": _APPLICATION}).fetchall())
        (is_ours, is_readable) = cursor.execute(_EXISTS).fetchall()[0]
        revision = cursor.execute(_REVISION).fetchone() if is_ours and is_readable else None
    known = {"revision": revision[0] if revision else ""} if is_readable else {}
    return {**known, **dict(sorted(made.items()))}


def fingerprint(definition: str) -> str:
    """Twelve digits of the SHA-256 of a definition, whose white space does not count."""
    return hashlib.sha256(" ".join(definition.split()).encode()).hexdigest()[:12]


def check(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """How the schema differs from what this release's migrations make."""
    made, wanted = present(connection), expected()
    revision = made.get("revision", wanted["revision"])
    if revision != wanted["revision"]:
        yield REVISION.of("schema_migrations", f"it is {revision or 'missing'}, expected {wanted['revision']}")
    for name, wants in wanted.items():
        if name == "revision":
            continue
        if name.startswith(_OF_PRIVILEGES):
            yield from _privileges(name, made.get(name, wants), wants)
        elif name not in made:
            yield MISSING.of(name, "missing")
        elif made[name] != wants:
            yield CHANGED.of(name, f"{made[name]}, expected {wants}")
    tables = {name.split()[1].split(".")[0] for name in wanted if name.startswith("column ")}
    for name in made.keys() - wanted.keys():
        kind, *_, table = name.split()
        if kind in {"trigger", "constraint"} and table in tables:
            yield FOREIGN.of(name, "no migration made it")
        elif kind == "owner" and f"privileges on {name.removeprefix('owner of ')}" in wanted:
            yield OWNER.of(name.removeprefix("owner of "), f"its owner is {made[name]}")


def _privileges(name: str, made: str, wants: str) -> Iterator[Finding]:
    """Privileges on an object that no migration granted, and granted privileges that are missing."""
    may, granted = set(made.split()), set(wants.split())
    for says, which in (("too much", may - granted), ("no longer", granted - may)):
        if which:
            yield PRIVILEGES.of(name.removeprefix("privileges on "), f"{says}: {', '.join(sorted(which))}")
