"""An erasure misses no column: each text column is filled, and the columns that stay are a list with reasons.

New tables, and new columns of text or JSON, are found in the catalogue: they have to be erased, or listed here.
"""

from collections.abc import Iterator
from typing import Final, LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from autodoctor.db import Database as App
from autodoctor.operations.privacy import erase_customer
from autodoctor.sessions.end import Ender, end_session
from localcloud.database.postgres import PostgresServer
from support.database.tables import tables
from support.integrity.sample_data import SampleData
from support.world import World

KEPT: Final[dict[str, tuple[str, ...]]] = {
    "what was bought, from our own price list and texts": (
        *("checkouts.pack_code", "checkouts.title", "checkouts.waiver_version", "intakes.currency"),
        *("intakes.plan_code", "session_extensions.pack", "receipts.subject", "receipts.title", "waivers.version"),
    ),
    "keys that we made, and ids and words of Stripe's or SES's": (
        *("checkouts.idempotency_key", "checkouts.stripe_payment_intent_id", "checkouts.stripe_session_id"),
        *("checkouts.url", "ledger_transfer.key", "mail_deliveries.error", "mail_deliveries.message_id"),
        *("mail_suppressions.feedback", "payout_reversals.dispute_id", "payout_reversals.idempotency_key"),
        *("payout_reversals.last_error", "payout_reversals.stripe_reversal_id", "payouts.idempotency_key"),
        *("payouts.last_error", "payouts.stripe_transfer_id", "refunds.idempotency_key", "refunds.last_error"),
        *(
            "refunds.stripe_refund_id",
            "stripe_disputes.currency",
            "stripe_disputes.id",
            "stripe_disputes.payment_intent_id",
        ),
        *("dispute_evidence.dispute_id", "dispute_evidence.idempotency_key", "dispute_evidence.last_error"),
        *("stripe_disputes.status", "stripe_events.account", "stripe_events.id", "stripe_events.object_id"),
        *("stripe_events.outcome", "stripe_events.type", "stripe_refunds.id", "stripe_refunds.payment_intent_id"),
    ),
    "what happened: states, kinds and ids, which name nobody": (
        *("feed.previous_status", "feed.reason", "feed.status", "limit_counters.limit_name", "mail_deliveries.kind"),
        "outbox.error",
        *("outbox_poison.error", "outbox_poison.payload", "outbox_poison.type", "quote_events.actor"),
        *("quote_events.from_status", "quote_events.to_status", "session_assignment_events.actor"),
        *("session_assignment_events.data", "session_assignment_events.from_status"),
        *("session_assignment_events.to_status", "session_events.actor", "session_events.data"),
        *("session_events.from_status", "session_events.to_status", "session_presence.witness", "settlements.facts"),
        "extension_settlements.facts",
        *("settlement_holds.facts", "media_events.attendee", "media_events.meeting", "session_meetings.meeting"),
        "session_meetings.meeting_id",
    ),
    "an operator's words about a booking or a payout": (
        *("ledger_transfer.reason", "payout_holds.note", "settlement_holds.note", "contests.note"),
    ),
    "what an admin changed; of people only which columns": (
        *("admin_changes.after", "admin_changes.before", "admin_changes.changed", "admin_changes.subject"),
    ),
    "the import's own words about an old row, and where that was": (
        *("legacy_rows.note", "legacy_rows.row_key", "legacy_rows.table_name"),
    ),
    "about mechanics and workshops, who are no customers": (
        *("mechanic_accounts.former_account_ids", "mechanic_accounts.idempotency_key"),
        *("mechanic_accounts.stripe_account_id", "mechanics.email", "mechanics.name", "workshops.name"),
        *("mechanics.suspension_reason", "netting_consents.words"),
    ),
}
"""The columns whose words an erasure leaves, by reason."""
NO_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "every column of words has a check that allows a few only, or there is none": (
        *(
            "address_confirmations",
            "admin_lookups",
            "confirmed_addresses",
            "contest_parts",
            "credit_balances",
            "late_replies",
            "minute_words",
            "missed_offers",
        ),
        *("notification_locales", "receipt_lines", "receipt_numbers"),
        *("rooms", "session_participants", "session_summaries", "sessions", "settlements_due"),
    ),
    "the erasure itself writes it": ("erasures",),
    "runs, alerts and changes of staff: ids, counts and cents": (
        *("health_alerts", "legacy_imports", "reconcile_runs", "repairs", "schedule_runs"),
        *("stripe_movements", "stripe_statement", "verify_runs"),
    ),
}
"""The tables in which no column took a word, by reason."""

_COLUMNS: Final[LiteralString] = """
SELECT c.relname::text AS table_name, a.attname::text AS column_name, format_type(a.atttypid, NULL) AS type
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname = ANY (%s)
   AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
   AND a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'jsonb'::regtype, 'json'::regtype, 'text[]'::regtype)
 ORDER BY 1, 2
"""
# Rows that sign-in, browsers, SES, the bus and an import lead to, all about one customer.
_MORE: Final[LiteralString] = """
INSERT INTO idempotency_keys (user_id, key, request_hash, intake_id)
SELECT %(user)s, 'key', '', i.id FROM intakes i JOIN customers c ON c.id = i.customer_id WHERE c.user_id = %(user)s
 LIMIT 1;
INSERT INTO notifications (user_id, event_id, kind, session_id, data, created_at)
SELECT %(user)s, new_id(), 'session_cancelled', id, '{}', now() FROM sessions LIMIT 1;
INSERT INTO mail_deliveries (event_id, user_id, claim_id, kind, state, address_hash)
VALUES (new_id(), %(user)s, new_id(), 'session_cancelled', 'claimed', sha256('a'));
INSERT INTO mail_suppressions (address_hash, reason, at, feedback) VALUES (sha256('a'), 'bounce', now(), '{}');
INSERT INTO notification_locales (user_id, locale) VALUES (%(user)s, 'de');
INSERT INTO notification_preferences (user_id, kind, email, in_app, push)
VALUES (%(user)s, 'session_cancelled', true, true, true);
INSERT INTO push_subscriptions (user_id, endpoint, public_key, secret)
VALUES (%(user)s, 'https://push.example/a', decode(repeat('04', 65), 'hex'), decode(repeat('04', 16), 'hex'));
INSERT INTO push_deliveries (subscription_id, event_id, topic, kind)
SELECT id, new_id(), new_id(), 'message_waiting' FROM push_subscriptions;
INSERT INTO realtime_tickets (ticket_hash, user_id, groups, expires_at) VALUES ('', %(user)s, '{customers}', now());
INSERT INTO realtime_connections (connection_id, user_id, groups, since, expires_at)
VALUES ('connection', %(user)s, '{customers}', 0, now());
DELETE FROM session_messages WHERE role = 'system'; -- what the system says names nobody, and stays
INSERT INTO session_messages (session_id, seq, client_id, role, kind, text)
SELECT id, 1000, new_id(), 'customer', 'text', 'hello' FROM sessions LIMIT 1;
INSERT INTO feed (seq, event_id, type, session_id, session_seq, status)
SELECT 1, new_id(), 'session_updated', id, 1, status FROM sessions LIMIT 1;
INSERT INTO session_notes (session_id, mechanic_id, version, text)
SELECT id, mechanic_id, 1, '' FROM sessions WHERE mechanic_id IS NOT NULL;
INSERT INTO settlement_holds (session_id, demanded, facts, outcome, note, decided_at, decided_by, change_id)
SELECT id, 'cancelled', '{}', 'pay', 'seen', now(), new_id(), new_id() FROM sessions LIMIT 1;
INSERT INTO contests (session_id, reason, words, answer, answered_at)
SELECT session_id, 'other', 'It squeals.', 'It does not.', now() FROM settlements WHERE outcome = 'pay' LIMIT 1;
INSERT INTO end_explanations (session_id, text) SELECT id, 'Sorry' FROM sessions LIMIT 1;
INSERT INTO outbox_poison (subject_id, id, type, payload, error)
SELECT id, 1, 'session.live', '{}', 'refused' FROM sessions LIMIT 1;
-- who bought credits before any request has no row of customers, so no address here either
UPDATE checkouts SET user_id = %(user)s WHERE user_id NOT IN (SELECT user_id FROM customers);
INSERT INTO stripe_disputes (id, payment_intent_id, amount_cents, status) VALUES ('du_erased', 'pi_erased', 1, 'lost');
INSERT INTO dispute_evidence (dispute_id, checkout_id)
SELECT 'du_erased', id FROM checkouts WHERE user_id = %(user)s LIMIT 1;
INSERT INTO dispute_documents (evidence_id, field, content)
SELECT id, 'receipt', 'x' FROM dispute_evidence WHERE dispute_id = 'du_erased';
INSERT INTO legacy_rows (table_name, row_key, import_id, became, user_id, content)
VALUES ('customers', 'key', new_id(), 'moved', %(user)s, '{}');
"""
# Row by row, as a check may refuse the word in some rows only.
_FILL: Final[LiteralString] = """
CREATE FUNCTION pg_temp.fill(target regclass, field text, written text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  place tid;
  taken integer := 0;
BEGIN
  FOR place IN EXECUTE format('SELECT ctid FROM %s', target) LOOP
    BEGIN
      EXECUTE format('UPDATE %s SET %I = %s WHERE ctid = $1', target, field, written) USING place;
      taken := taken + 1;
    EXCEPTION WHEN integrity_constraint_violation THEN -- another way of writing may be taken
    END;
  END LOOP;
  RETURN taken;
END
$$
"""
# The word by itself, as what has to be unique, and as an address.
_WRITTEN: Final = {
    "text": ("'{word}'", "'{word}' || md5(ctid::text)", "'{word}@zq.example'"),
    "jsonb": ("""jsonb_build_object('word', '{word}')""",),
    "text[]": ("ARRAY['{word}']",),
}


@pytest.fixture
def world(postgres_server: PostgresServer, sample_data: SampleData) -> Iterator[World]:
    """A copy of the sample data in which every customer may be erased."""
    assert sample_data.sessions
    with postgres_server.temporary_database("erased_columns", template="sample_data") as copy:
        world = World(copy)
        yield world
        world.close()


def customers(world: World) -> list[UUID]:
    return [row["user_id"] for row in world.owner.execute("SELECT user_id FROM customers").fetchall()]


def let_everything_end(world: World) -> None:
    """End what would keep a customer from being erased, and forget who was erased before."""
    active = world.owner.execute(
        "SELECT s.id, c.user_id FROM sessions s JOIN customers c ON c.id = s.customer_id WHERE s.ended_at IS NULL"
    ).fetchall()
    for row in active:
        end_session(world.app, Ender(row["user_id"], actor="customer"), row["id"])
    with world.without_triggers() as connection:
        connection.execute("UPDATE checkouts SET status = 'expired' WHERE status IN ('open', 'processing')")
        connection.execute("DELETE FROM erasures")
        # a mechanic's are erased with the mechanic
        connection.execute("DELETE FROM notifications WHERE user_id NOT IN (SELECT user_id FROM customers)")
        connection.execute("UPDATE customers SET erased_at = NULL")


def fill(world: World) -> dict[str, str]:
    """Put a word of its own into every column that takes one; the words by column."""
    words: dict[str, str] = {}
    with world.without_triggers() as connection:
        connection.execute(_FILL)
        for row in connection.execute(_COLUMNS, [tables(connection)]).fetchall():
            word = f"zq{len(words)}zq"
            for written in _WRITTEN[row["type"]]:
                found = connection.execute(
                    "SELECT pg_temp.fill(%s, %s, %s) AS taken",
                    [row["table_name"], row["column_name"], written.format(word=word)],
                ).fetchone()
                if found is not None and found["taken"]:
                    words[f"{row['table_name']}.{row['column_name']}"] = word
                    break
    return words


def text_of(world: World, table: str) -> str:
    rows = world.owner.execute(sql.SQL("SELECT t::text AS text FROM {} t").format(sql.Identifier(table))).fetchall()
    return "\n".join(row["text"] for row in rows)


def words_left(world: World) -> tuple[set[str], set[str]]:
    """Erase everybody: the columns whose words are left, and the tables in which no column took one."""
    let_everything_end(world)
    everybody = customers(world)
    with world.without_triggers() as connection:
        psycopg.ClientCursor(connection).execute(_MORE, {"user": everybody[0]})  # several statements at once
    words = fill(world)
    owner = App(lambda: world.urls.owner_url)
    for customer in everybody:
        erase_customer(owner, customer, "ada")
    owner.close()
    text = "\n".join(text_of(world, table) for table in tables(world.owner))
    filled = {column.partition(".")[0] for column in words}
    return {column for column, word in words.items() if word in text}, {*tables(world.owner)} - filled


def test_every_word_is_erased_but_those_of_the_list(world: World) -> None:
    left, without = words_left(world)
    assert left == {column for columns in KEPT.values() for column in columns}
    assert without == {table for names in NO_WORDS.values() for table in names}


def test_a_new_column_does_not_escape(world: World) -> None:
    world.owner.execute("ALTER TABLE intakes ADD COLUMN parking_note text")
    left, _without = words_left(world)
    assert left - {column for columns in KEPT.values() for column in columns} == {"intakes.parking_note"}
