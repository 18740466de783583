"""A stolen password of the application: what it can do has a reason, and is audited by trigger or found by verify."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from autodoctor.admin.payouts import HoldRequest, hold
from autodoctor.ids import new_id
from autodoctor.integrity.verify import reader, verify
from localcloud.database.postgres import APP_ROLE
from support.database.rights import FUNCTIONS, TABLES
from support.money.ring import Ring
from support.world import World

_RIGHTS = """
SELECT DISTINCT privilege_type || ' ' || table_name AS what FROM information_schema.column_privileges
 WHERE grantee = %(app)s AND table_schema = 'public' AND privilege_type <> 'SELECT'
UNION SELECT privilege_type || ' ' || table_name FROM information_schema.table_privileges
 WHERE grantee = %(app)s AND table_schema = 'public' AND privilege_type <> 'SELECT'
"""
_WRITERS = """
SELECT DISTINCT p.proname::text AS what FROM pg_proc p
 WHERE p.pronamespace = 'public'::regnamespace AND p.provolatile = 'v' AND p.prorettype <> 'trigger'::regtype
   AND has_function_privilege(%(app)s, p.oid, 'EXECUTE')
"""
_CHANGES = "SELECT kind, actor, subject, changed FROM admin_changes ORDER BY id"


@pytest.fixture
def thief(world: World) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """Somebody who connects with the application's password."""
    with psycopg.connect(world.urls.app_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


def found(world: World) -> set[str]:
    """The slugs of what verify finds."""
    with reader(world.urls.owner_url, "verify") as connection:
        return {slug for slug, tally in verify(connection).tallies.items() if tally.samples}


@pytest.mark.parametrize(("query", "reasons"), [(_RIGHTS, TABLES), (_WRITERS, FUNCTIONS)], ids=["tables", "functions"])
def test_there_is_a_reason_for_everything_it_can_do(world: World, query: str, reasons: dict[str, str]) -> None:
    """Generated from the catalogue: a new right needs its reason, and a reason its right."""
    rows = world.owner.execute(query.encode(), {"app": APP_ROLE}).fetchall()
    assert {row["what"] for row in rows} == set(reasons)


def test_every_function_with_the_owner_s_rights_has_a_pinned_path(world: World) -> None:
    rows = world.owner.execute(
        "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef"
        " AND NOT coalesce('search_path=pg_catalog, public, pg_temp' = ANY (p.proconfig), false)"
    )
    assert rows.fetchall() == []


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE plans SET mechanic_share_bp = 10000 WHERE code = 'quick'", "plan.changed"),
        ("UPDATE credit_packs SET price_cents = 1 WHERE code = 'ten'", "credit_pack.changed"),
        ("UPDATE mechanics SET status = 'suspended'", "mechanic.changed"),
        ("UPDATE mechanics SET email = 'eve@example.com'", "mechanic.changed"),
        ("INSERT INTO mechanics (user_id, name) VALUES (new_id(), 'Eve')", "mechanic.added"),
        ("INSERT INTO workshops (name) VALUES ('Eve and Sons')", "workshop.added"),
        ("UPDATE plans SET change_id = new_id(), price_cents = 1 WHERE code = 'quick'", "plan.changed"),
    ],
)
def test_a_change_that_names_no_admin_is_audited_and_found(
    world: World, thief: psycopg.Connection[Any], statement: str, kind: str
) -> None:
    world.mechanic()
    assert world.one("SELECT count(*) FROM admin_changes") == 0, "the owner's own changes are not the application's"
    thief.execute(statement.encode())
    [change] = world.owner.execute(_CHANGES).fetchall()
    assert (change["kind"], change["actor"]) == (kind, f"db:{APP_ROLE}")
    assert "change_by_nobody" in found(world)


@pytest.mark.parametrize(
    ("statement", "actor"),
    [
        ("UPDATE payout_holds SET released_at = clock_timestamp()", f"db:{APP_ROLE}"),
        ("UPDATE payout_holds SET released_at = clock_timestamp(), released_by = new_id()", None),
    ],
)
def test_a_release_is_audited_whoever_it_names(
    world: World, thief: psycopg.Connection[Any], statement: str, actor: str | None
) -> None:
    """The share of a large quote, and the session's own payout that an admin held."""
    ring = Ring(world)
    ring.held_session("card", 10_000_000)
    payout = world.one("SELECT id FROM payouts WHERE kind = 'session'")
    hold(world.app, new_id(), payout, HoldRequest(reason="Who is this?"))
    before = world.one("SELECT max(id::text) FROM admin_changes")
    thief.execute(statement.encode())
    assert world.one("SELECT count(*) FROM payouts WHERE state = 'due'") == 2
    released = world.owner.execute(
        "SELECT kind, actor, after->>'reason' AS reason FROM admin_changes WHERE id::text > %s ORDER BY 3", [before]
    ).fetchall()
    assert [tuple(each.values()) for each in released] == [
        ("payout.released", actor, "escalation"),
        ("payout.released", actor, "operator"),
    ]
    assert ("change_by_nobody" in found(world)) == (actor is not None)


def test_what_the_system_holds_and_releases_is_no_change_by_anybody(world: World) -> None:
    ring = Ring(world)
    ring.held_session("card", 1_000)
    for status in ("suspended", "active"):
        world.owner.execute("UPDATE mechanics SET status = %s", [status])
    assert world.one("SELECT count(*) FROM payout_holds WHERE released_at IS NOT NULL") > 0
    assert world.one("SELECT count(*) FROM admin_changes") == 0


def test_availability_is_no_change_of_a_mechanic(world: World, thief: psycopg.Connection[Any]) -> None:
    world.mechanic()
    thief.execute("UPDATE mechanics SET available_until = now()")
    assert world.one("SELECT count(*) FROM admin_changes") == 0


def test_a_grant_refers_to_its_change_whoever_inserts_it(world: World, thief: psycopg.Connection[Any]) -> None:
    eve = new_id()
    thief.execute(
        "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, actor_id, reason)"
        " VALUES ('grant:anything', 'credits_issued', %s, 1000, 'credit', 'credit_grant', %s, 'because')",
        [f"customer:{eve}:credits", new_id()],
    )
    [change] = world.owner.execute("SELECT id, kind, after FROM admin_changes").fetchall()
    assert change["kind"] == "credits.granted"
    assert change["after"] == {"credits": 1000, "key": "grant:anything"}
    assert world.one("SELECT change_id FROM ledger_transfer") == change["id"]


@pytest.mark.parametrize(
    "setting", ["SET search_path = 'evil'", "SET statement_timeout = 0", "RESET lock_timeout", "SET work_mem = '1GB'"]
)
def test_what_it_stores_for_its_own_role_is_found(world: World, thief: psycopg.Connection[Any], setting: str) -> None:
    assert "role_setting" not in found(world)
    try:
        thief.execute(f"ALTER ROLE {APP_ROLE} {setting}".encode())
        assert "role_setting" in found(world)
    finally:
        with psycopg.connect(world.urls.superuser_url, autocommit=True) as superuser:
            for name, value in (
                ("statement_timeout", "5s"),
                ("lock_timeout", "2s"),
                ("idle_in_transaction_session_timeout", "10s"),
            ):
                superuser.execute(
                    sql.SQL("ALTER ROLE {} SET {} = {}").format(sql.Identifier(APP_ROLE), sql.Identifier(name), value)
                )
            for name in ("search_path", "work_mem"):
                superuser.execute(
                    sql.SQL("ALTER ROLE {} RESET {}").format(sql.Identifier(APP_ROLE), sql.Identifier(name))
                )


def test_a_large_object_is_found(world: World, thief: psycopg.Connection[Any]) -> None:
    thief.execute("SELECT lo_create(0)")
    assert "large_object" in found(world)


@pytest.mark.parametrize("statement", ["DELETE FROM outbox", "LOCK TABLE outbox", "LOCK TABLE ledger_transfer"])
def test_it_neither_empties_nor_locks_the_outbox(thief: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), thief.transaction():
        thief.execute(statement.encode())
