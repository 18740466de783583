"""Facts of the schema: the same states and moves as in Python, comments, the privileges of each role, time-outs."""

import re
from datetime import timedelta
from enum import StrEnum
from itertools import product
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from autodoctor.domain.ending import Absent
from autodoctor.domain.lifecycle import (
    ACTIVE_SESSION,
    ASSIGNMENT_MOVES,
    SESSION_MOVES,
    TERMINAL,
    AssignmentStatus,
    EndReason,
    SessionStatus,
)
from autodoctor.domain.money import share_of
from autodoctor.legacy import target_state
from localcloud.database.postgres import APP_ROLE, Database
from support.world import World

CONSTRAINT = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s"
INDEX = "SELECT pg_get_indexdef(%s::regclass)"

CHANGE = ("change_id", "changed_by")
TERMS = {
    *("name", "price_cents", "credits", "included_minutes", "max_minutes", "mechanic_share_bp", "minute_packs"),
    *("mechanic_fixed_pay_cents", "uses_per_customer", *CHANGE),
}
PACK = {"name", "credits", "price_cents", "active", *CHANGE}
JOB_ENDS = {"state", "waits_for", "next_attempt_at", "last_error"}

# What the application's role may do beyond reading; columns where not all of the table's.
MAY_INSERT = {
    "customers": {"user_id", "name", "email", "phone", "referrer_id"},
    "intakes": None,
    "waivers": {"session_id", "signed_name", "version", "signed_at"},
    "idempotency_keys": None,
    "attachments": {
        *("id", "user_id", "role", "mechanic_id", "session_id", "object_key", "content_type", "bytes"),
        *("expires_at", "name", "sha256"),
    },
    "sessions": {"id", "customer_id", "current_assignment_id", "status", "scheduled_for", "actor", "actor_id"},
    "session_assignments": {
        *("id", "session_id", "attempt", "status", "mechanic_id", "workshop_id", "urgent", "available_at"),
        *("offer_expires_at", "actor", "actor_id"),
    },
    "session_participants": {"session_id", "role", "customer_id"},
    "end_explanations": {"session_id", "actor_id", "text"},
    "notifications": {"user_id", "event_id", "kind", "session_id", "checkout_id", "data", "created_at"},
    "mail_deliveries": {"event_id", "user_id", "claim_id", "kind", "state", "error", "address_hash", "settled_at"},
    "notification_preferences": {"user_id", "kind", "email", "in_app", "push"},
    "push_subscriptions": {"user_id", "endpoint", "public_key", "secret"},
    "push_deliveries": {"subscription_id", "event_id", "topic", "kind"},
    "notification_locales": {"user_id", "locale"},
    "admin_lookups": {"id", "actor_id", "kind", "found"},
    "admin_changes": {"id", "actor_id", "kind", "subject", "changed", "before", "after"},
    "mechanics": {"user_id", "name", "email", "workshop_id", *CHANGE},
    "workshops": {"id", "name", *CHANGE},
    "plans": {"code", "session_types", *TERMS},
    "credit_packs": {"code", *PACK},
    "mail_suppressions": {"address_hash", "reason", "at", "feedback"},
    "confirmed_addresses": {"user_id", "address_hash"},
    "address_confirmations": {"user_id", "address_hash", "token_hash", "expires_at"},
    "ledger_transfer": {
        *("key", "debit_account", "credit_account", "amount", "currency", "kind", "intake_id", "actor_id", "reason"),
    },
    "settlements": {"session_id", "outcome", "facts"},
    "extension_settlements": {"extension_id", "outcome", "facts"},
    "contests": {"session_id", "reason", "words"},
    "netting_consents": {"mechanic_id", "version", "words"},
    "payouts": {"session_id", "extension_id", "mechanic_id", "kind", "amount_cents", "currency"},
    "payout_holds": {"payout_id", "reason", "note", "held_by"},
    "mechanic_accounts": {"mechanic_id", "idempotency_key"},
    "refunds": {"intake_id", "kind", "amount_cents", "currency"},
    "quotes": {"id", "session_id", "mechanic_id", "workshop_id", "note", "actor", "actor_id"},
    "checkouts": {
        *("id", "kind", "user_id", "intake_id", "pack_code", "credits", "title", "amount_cents", "currency"),
        *("request_hash", "signed_name", "waiver_version", "idempotency_key"),
    },
    "stripe_refunds": {"id", "payment_intent_id", "amount_cents", "pending", "failed"},
    "stripe_disputes": {
        *("id", "payment_intent_id", "amount_cents", "currency", "status", "withdrawn_cents", "reinstated_cents")
    },
    "payout_reversals": {"payout_id", "dispute_id", "amount_cents"},
    "dispute_evidence": {"dispute_id", "checkout_id"},
    "dispute_documents": {"evidence_id", "field", "content"},
    "stripe_events": {"id", "endpoint", "type", "account", "object_id", "livemode", "created_at"},
    "health_alerts": {"alert", "subject", "severity", "since", "facts"},
    "stripe_movements": {
        *("id", "type", "flow", "source", "subject", "claimed", "amount", "fee", "currency", "livemode", "happened_at"),
        *("charge_id", "payment_intent_id", "transfer_id", "destination"),
        *("checkout_id", "intake_id", "refund_id", "payout_id"),
    },
    "stripe_statement": {"whole_until"},
    "reconcile_runs": {"started_at", "since", "finished", "found", "report"},
    "verify_runs": {"walk_id", "began_at", "stopped_in", "stopped_at", "findings", "report"},
    **dict.fromkeys(("realtime_tickets", "realtime_connections", "feed", "schedule_runs")),
}
MAY_UPDATE = {
    "attachments": {"session_id", "place", "state", "removed_at"},
    "customers": {"name", "email", "phone", "referrer_id"},
    "idempotency_keys": None,
    "sessions": {
        *("status", "mechanic_id", "ended_at", "end_reason"),
        *("absent", "actor", "actor_id", "change_data"),
    },
    "session_assignments": {"status", "mechanic_id", "offer_expires_at", "actor", "actor_id", "change_data"},
    "notifications": {"read_at"},
    "mail_deliveries": {"claim_id", "claimed_at", "state", "message_id", "error", "address_hash", "settled_at"},
    "notification_preferences": {"email", "in_app", "push", "updated_at"},
    "push_subscriptions": {"user_id", "public_key", "secret", "made_at", "called_at"},
    "push_deliveries": {"withdrawn_at"},
    "notification_locales": {"locale", "updated_at"},
    "mechanics": {"available_until", "name", "email", "workshop_id", "status", "suspension_reason", *CHANGE},
    "workshops": {"name", *CHANGE},
    "quotes": {"status", "amount_cents", "description", "given_by_id", "actor", "actor_id"},
    "plans": TERMS,
    "credit_packs": PACK,
    "outbox": {"attempts", "error"},
    "realtime_connections": {"ready", "queue_position", "seen_at", "heard_at"},
    "settlement_holds": {"outcome", "note", "decided_at", "decided_by", "change_id"},
    "netting_consents": {"withdrawn_at"},
    "contests": {"answer", "outcome", "refund_cents", "refund_credits", "note", "decided_by", "change_id"},
    "address_confirmations": {"token_hash", "expires_at"},
    "feed": {"sent_at"},
    "feed_head": {"seq", "pruned_through"},
    "settlements_due": {"retry_at"},
    "checkouts": {
        *("idempotency_key", "stripe_session_id", "stripe_payment_intent_id", "url", "status", "checked_at"),
        *("fee_due_at", "fee_booked_at", "refunds_due_at", "tax_cents"),
    },
    "stripe_events": {"handled_at", "outcome"},
    "stripe_refunds": {"pending", "failed", "booked", "part", "bookings"},
    "stripe_disputes": {
        *("status", "withdrawn_cents", "reinstated_cents", "booked", "lost_cents", "part", "bookings"),
        *("fees_due_at", "updated_at"),
    },
    "stripe_jobs": {
        *JOB_ENDS,
        *("attempts", "lease_id", "idempotency_key", "keyed_at", "asked_at", "asked_cents"),
    },
    "dispute_documents": {"stripe_file_id"},
    "dispute_evidence": {
        *JOB_ENDS,
        *("attempts", "idempotency_key", "keyed_at", "due_by", "prepared_at", "texts", "gaps", "proves", "version"),
        *("staged_version", "staged_at", "sends", "sent_by", "sent_at", "submission_count", "closed_because", *CHANGE),
    },
    "payout_reversals": {*JOB_ENDS, "amount_cents", "attempts", "stripe_reversal_id", "done_at"},
    "mechanic_accounts": {
        *("idempotency_key", "keyed_at", "asked", "stripe_account_id"),
        *("transfers_enabled", "payouts_enabled", "details_submitted", "updated_at"),
        *("former_account_ids", "stripe_as_of", "doubtful", "closed"),
    },
    "stripe_statement": {"whole_until"},
    "payouts": {
        *JOB_ENDS,
        *(
            "attempts",
            "stripe_transfer_id",
            "sent_at",
            "withheld_cents",
            "netted_cents",
            "sent_cents",
            "reversed_cents",
        ),
    },
    "payout_holds": {"note", "held_by", "held_at", "released_by", "released_at"},
    "refunds": {
        *JOB_ENDS,
        *("attempts", "idempotency_key", "keyed_at", "asked_cents", "stripe_refund_id", "sent_at"),
    },
    "health_alerts": {"severity", "facts", "cleared_at", "opened_notified_at", "cleared_notified_at", "claimed_until"},
    "schedule_runs": {"started_at", "finished_at", "failed"},
}
MAY_DELETE = dict.fromkeys(
    (
        *("idempotency_keys", "realtime_tickets", "realtime_connections", "feed", "settlements_due"),
        *("push_subscriptions", "push_deliveries", "dispute_documents"),
    )
)


def quoted(text: str) -> set[str]:
    """The string literals of an SQL expression."""
    return set(re.findall(r"'([^']*)'", text))


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("sessions_status_known", SessionStatus),
        ("session_assignments_status_known", AssignmentStatus),
        ("sessions_absent_known", Absent),
    ],
)
def test_the_database_knows_the_same_values_as_python(world: World, constraint: str, values: type[StrEnum]) -> None:
    assert quoted(world.one(CONSTRAINT, constraint)) == set(values)


def test_the_database_knows_the_same_reasons_as_python(world: World) -> None:
    assert quoted(world.one(CONSTRAINT, "sessions_reason_fits_status")) == {
        *EndReason, *(status for status, moves in SESSION_MOVES.items() if not moves)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("function", "statuses", "moves"),
    [
        ("session_may_move", SessionStatus, SESSION_MOVES),
        ("assignment_may_move", AssignmentStatus, ASSIGNMENT_MOVES),
    ],
)
def test_the_database_allows_the_same_moves_as_python(
    world: World, function: str, statuses: type[StrEnum], moves: dict[StrEnum, frozenset[StrEnum]]
) -> None:
    """Every pair, also of a status with itself."""
    pairs = list(product(statuses, repeat=2))
    rows = world.owner.execute(
        f"SELECT source, target FROM unnest(%s::text[], %s::text[]) AS pair (source, target) "
        f"WHERE {function}(source, target)",
        [[source for source, _ in pairs], [target for _, target in pairs]],
    )
    allowed = {(row["source"], row["target"]) for row in rows}
    assert allowed == {(source, target) for source, targets in moves.items() for target in targets}


def test_the_unique_indexes_cover_what_python_calls_active(world: World) -> None:
    """They say `ended_at IS NULL`, which a constraint holds equal to being active."""
    assert quoted(world.one(CONSTRAINT, "sessions_end_is_complete")) == set(SessionStatus) - ACTIVE_SESSION
    for index in ("uq_active_session_per_customer", "uq_busy_session_per_mechanic"):
        assert "(ended_at IS NULL)" in world.one(INDEX, index)


def test_what_is_over_has_one_meaning(world: World) -> None:
    """Constraints and indexes spell it out; the functions and Python ask."""
    rows = world.owner.execute(
        "SELECT status FROM unnest(%s::text[]) AS status WHERE is_terminal(status)", [[*SessionStatus]]
    )
    assert {row["status"] for row in rows} == TERMINAL
    assert quoted(world.one(CONSTRAINT, "session_assignments_end_is_stamped")) == TERMINAL | {"declined"}
    assert quoted(world.one(INDEX, "session_events_ended")) == TERMINAL


@pytest.mark.parametrize(
    ("limit", "key", "otherwise"),
    [
        ("lead_time", "lead_seconds", 15 * 60),
        ("offer_time", "offer_seconds", 120),
        ("orphan_age", "orphan_seconds", 2 * 60 * 60),
        ("absence_limit", "absence_seconds", 10 * 60),
        ("parting_limit", "parting_seconds", 10 * 60),
    ],
)
def test_a_time_limit_is_a_setting(world: World, limit: LiteralString, key: str, otherwise: int) -> None:
    assert world.one(f"SELECT {limit}()") == timedelta(seconds=otherwise)
    world.owner.execute("INSERT INTO settings (key, value) VALUES (%s, '7')", [key])
    assert world.one(f"SELECT {limit}()") == timedelta(seconds=7)
    with pytest.raises(psycopg.errors.CheckViolation, match="settings_time_limits_are_seconds"):
        world.owner.execute("UPDATE settings SET value = 'soon' WHERE key = %s", [key])


def test_the_import_knows_the_same_time_limits(world: World) -> None:
    """It judges what the old system left behind by the rules that the sweeps follow afterwards."""
    assert world.one("SELECT ARRAY[lead_time(), orphan_age(), absence_limit(), parting_limit()]") == [
        target_state.LEAD,
        target_state.ORPHANED,
        target_state.DESERTED,
        target_state.DESERTED,
    ]


def test_a_share_is_rounded_as_python_rounds_it(world: World) -> None:
    pairs = [*product((*range(120), 999, 2_999, 12_350, 10**9), (*range(0, 10_001, 125), 1, 6_667, 9_999))]
    rows = world.owner.execute(
        "SELECT share_of(amount, part) AS share"
        " FROM unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS pair (amount, part, n) ORDER BY n",
        [[amount for amount, _ in pairs], [part for _, part in pairs]],
    )
    assert [row["share"] for row in rows] == [share_of(amount, part) for amount, part in pairs]
    assert world.one("SELECT share_of(7, 3, 14)") == share_of(7, 3, 14) == 2  # 1.5


def test_every_table_and_function_says_what_it_is_for(world: World) -> None:
    silent = world.owner.execute(
        "SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        "   AND relkind IN ('r', 'v') AND obj_description(oid, 'pg_class') IS NULL "
        "UNION ALL "
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        "   AND obj_description(oid, 'pg_proc') IS NULL"
    )
    assert silent.fetchall() == []


def test_every_column_that_its_name_does_not_explain_has_a_comment(world: World) -> None:
    """Keys and references explain themselves, a snapshot its neighbours, and an inherited column has its parent's."""
    rows = world.owner.execute(
        "SELECT c.oid::regclass || '.' || a.attname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
        "   AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount = 0 AND col_description(c.oid, a.attnum) IS NULL"
        "   AND a.attname !~ '(^|_)id$'"
    )
    explained_by_a_neighbour = {
        *(f"intakes.{name}" for name in ("currency", "credits", "mechanic_share_bp", "max_minutes")),
        *(f"intakes.{name}" for name in ("plan_code", "session_type", "customer_name", "created_at")),
        "session_assignment_events.to_status",
    }
    assert {row["name"] for row in rows} <= explained_by_a_neighbour


def test_the_application_may_do_exactly_this(world: World) -> None:
    """Any further grant of a migration has to be listed here."""
    rows = world.owner.execute(
        "SELECT table_name AS name, column_name AS part, privilege_type AS may"
        "  FROM information_schema.column_privileges"
        " WHERE grantee = %(app)s AND table_schema = 'public' AND privilege_type <> 'SELECT' "
        "UNION ALL "
        "SELECT table_name, NULL, privilege_type FROM information_schema.table_privileges"
        " WHERE grantee = %(app)s AND table_schema = 'public' AND privilege_type <> 'SELECT'",
        {"app": APP_ROLE},
    ).fetchall()
    whole_tables = {(row["name"], row["may"]) for row in rows if row["part"] is None}
    granted: dict[str, dict[str, set[str] | None]] = {"INSERT": {}, "UPDATE": {}, "DELETE": {}}
    for row in rows:
        columns = granted[row["may"]].setdefault(
            row["name"], None if (row["name"], row["may"]) in whole_tables else set()
        )
        if columns is not None:
            columns.add(row["part"])
    assert granted == {"INSERT": MAY_INSERT, "UPDATE": MAY_UPDATE, "DELETE": MAY_DELETE}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE plans SET currency = 'usd'",
        "UPDATE plans SET session_types = '{chat}'",
        "DELETE FROM plans",
        "INSERT INTO settings (key, value) VALUES ('min_billable_seconds', '0')",
        "UPDATE settings SET value = '0'",
        "INSERT INTO mechanics (user_id, name, available_until) VALUES (new_id(), 'Eve', 'infinity')",
        "UPDATE mechanics SET user_id = new_id()",
        "DELETE FROM mechanics",
        "DELETE FROM workshops",
        "UPDATE intakes SET price_cents = 1",
        "DELETE FROM intakes",
        "DELETE FROM customers",
        "UPDATE customers SET user_id = new_id()",
        "UPDATE waivers SET signed_name = 'Eve'",
        "DELETE FROM waivers",
        "UPDATE sessions SET created_at = now()",
        "UPDATE sessions SET released_at = now()",
        "UPDATE session_assignments SET queued_at = now()",
        "UPDATE session_assignments SET declined_by = NULL",
        "UPDATE notifications SET data = '{}'",
        "DELETE FROM notifications",
        "DELETE FROM mail_deliveries",
        "UPDATE mail_suppressions SET reason = 'bounce'",
        "DELETE FROM mail_suppressions",
        "INSERT INTO credit_packs (code, name, credits, price_cents, currency) VALUES ('eve', 'Eve', 1000, 1, 'usd')",
        "DELETE FROM credit_packs",
        "UPDATE admin_changes SET actor_id = new_id()",
        "DELETE FROM admin_changes",
        "UPDATE ledger_transfer SET amount = 1",
        "DELETE FROM ledger_transfer",
        "TRUNCATE ledger_transfer",
        "INSERT INTO credit_balances (user_id, balance) VALUES (new_id(), 1)",
        "UPDATE credit_balances SET balance = 1",
        "UPDATE settlements SET outcome = 'pay'",
        "DELETE FROM settlements",
        "UPDATE payouts SET amount_cents = 1",
        "DELETE FROM payouts",
        "DELETE FROM refunds",
        "UPDATE mechanics SET referral_code = 'AAAAAAAA'",
        "UPDATE intakes SET referral_bp = 10000",
        "UPDATE quotes SET escalation_bp = 10000",
        "DELETE FROM quotes",
        "INSERT INTO quote_events (quote_id, actor, to_status) VALUES (new_id(), 'eve', 'approved')",
        "DELETE FROM quote_events",
        "INSERT INTO settlements_due (session_id) VALUES (new_id())",
        "UPDATE stripe_movements SET amount = 1",
        "DELETE FROM stripe_movements",
        "UPDATE reconcile_runs SET found = 0",
        "DELETE FROM reconcile_runs",
        "UPDATE schema_migrations SET checksum = ''",
        "CREATE TABLE mine (id integer)",
        "CREATE SCHEMA mine",
        "DROP INDEX uq_active_session_per_customer",
        "ALTER TABLE sessions DROP CONSTRAINT sessions_start_is_proven",
        f"ALTER ROLE {APP_ROLE} SUPERUSER",
        "SET ROLE autodoctor_owner",
        "SET session_replication_role = replica",
        f"ALTER ROLE {APP_ROLE} SET app.min_billable_seconds = '0'",
    ],
)
def test_the_application_may_not(database: Database, statement: str) -> None:
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_the_application_s_time_outs_stand_on_its_role(database: Database) -> None:
    """A SET by the client would pin the connection of RDS Proxy."""
    with psycopg.connect(database.app_url) as connection:
        found = connection.execute(
            "SELECT name, setting || unit, source FROM pg_settings WHERE name = ANY (%s) ORDER BY name",
            [["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"]],
        ).fetchall()
    assert found == [
        ("idle_in_transaction_session_timeout", "10000ms", "user"),
        ("lock_timeout", "2000ms", "user"),
        ("statement_timeout", "5000ms", "user"),
    ]


def store_threshold(database: Database, value: str) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        superuser.execute(
            sql.SQL("ALTER DATABASE {} SET app.min_billable_seconds = {}").format(sql.Identifier(database.name), value)
        )


def test_the_threshold_comes_from_the_table_then_the_database_then_60(world: World) -> None:
    assert world.one("SELECT min_billable_seconds()") == 60
    store_threshold(world.urls, "90")
    assert world.one("SELECT min_billable_seconds()") == 90
    world.owner.execute("INSERT INTO settings (key, value) VALUES ('min_billable_seconds', '30')")
    assert world.one("SELECT min_billable_seconds()") == 30
    with pytest.raises(psycopg.errors.CheckViolation):
        world.owner.execute("UPDATE settings SET value = 'soon' WHERE key = 'min_billable_seconds'")


@pytest.mark.parametrize("nonsense", ["60.5", "-5", "soon", ""])
def test_a_stored_setting_that_is_no_count_of_seconds_counts_as_not_set(world: World, nonsense: str) -> None:
    """Otherwise nobody could end a session."""
    store_threshold(world.urls, nonsense)
    assert world.one("SELECT min_billable_seconds()") == 60


@pytest.mark.parametrize("threshold", ["0", "999999"])
def test_no_connection_chooses_its_threshold(database: Database, threshold: str) -> None:
    """Anybody may SET a name with a dot, or connect with it; to store it for a role takes a superuser."""
    with psycopg.connect(database.app_url, options=f"-c app.min_billable_seconds={threshold}") as thief:
        assert thief.execute("SHOW app.min_billable_seconds").fetchone() == (threshold,)
        assert thief.execute("SELECT min_billable_seconds()").fetchone() == (60,)
        thief.execute(sql.SQL("SET app.min_billable_seconds = {}").format(threshold))
        assert thief.execute("SELECT min_billable_seconds()").fetchone() == (60,)


def test_a_waiver_has_a_version_also_without_its_setting(world: World) -> None:
    world.owner.execute("DELETE FROM settings WHERE key = 'waiver_versions'")
    assert world.one("SELECT waiver_versions()") == ["1.0"]
    assert world.one("SELECT current_waiver_version()") == "1.0"
    with pytest.raises(psycopg.errors.CheckViolation):
        world.owner.execute("INSERT INTO settings (key, value) VALUES ('waiver_versions', '')")
