"""What the role of the functions may do in the database, to the column, and its time-outs."""

import psycopg
import pytest

from localcloud.database.postgres import APP_ROLE, Database
from support.world import World

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
    "payout_reversals": {"payout_id", "dispute_id", "booking", "amount_cents"},
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
    "session_assignments": {"status", "mechanic_id", "offer_expires_at", "decline_reason", "actor", "actor_id"},
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
        *("processing_since", "late_since", "late_answer"),
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
    "payout_reversals": {*JOB_ENDS, "attempts", "stripe_reversal_id", "done_at"},
    "mechanic_accounts": {
        *("idempotency_key", "keyed_at", "asked", "stripe_account_id"),
        *("transfers_enabled", "payouts_enabled", "details_submitted", "updated_at"),
        *("former_account_ids", "stripe_as_of", "bank_as_of", "doubtful", "closed"),
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
