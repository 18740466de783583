"""As many rows as one likes in every list and timeline, of one customer, one mechanic, one session and one workshop.

The rows are made inside the server without triggers and foreign keys, so that it takes seconds; what a page shows has
the longest texts that its columns take, in characters that JSON writes with six bytes.
"""

from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from localcloud.database.postgres import Database


@dataclass(frozen=True)
class Crowd:
    """A database that is filled, and how many rows each list has."""

    urls: Database
    rows: int


def made(kind: int, number: int) -> UUID:
    """The id of the row with this number, as `pg_temp.made` gives it: in order, and none old enough to forget."""
    return UUID(f"{2_208_988_800_000 + number:012x}7{kind:03x}8000{number:012x}")


CUSTOMER: Final = made(3, 0)
MECHANIC: Final = made(5, 0)
ADMIN: Final = made(9, 0)
"""The `sub` of those whose lists these are."""

WORKSHOP: Final = made(6, 1)
MECHANIC_ID: Final = made(4, 0)

_SUPPORT: Final[LiteralString] = r"""
CREATE FUNCTION pg_temp.made(kind integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex(2208988800000 + n), 12, '0') || '7' || lpad(to_hex(kind), 3, '0') || '8000'
          || lpad(to_hex(n), 12, '0'))::uuid
$$;
CREATE FUNCTION pg_temp.at(n bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT date_trunc('hour', now()) - interval '1 hour' - (pg_temp.most() - n) * interval '1 minute'
$$;
CREATE FUNCTION pg_temp.words(n bigint, most integer) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN n NOT BETWEEN 300 AND pg_temp.most() - 300 THEN repeat(E'\x01', most - 1) || 'a'
              ELSE 'It squeals.' END
$$;
CREATE TEMPORARY TABLE many AS SELECT n FROM generate_series(1, pg_temp.most()) n
"""
_INTAKE_COLUMNS: Final[LiteralString] = """
id, customer_id, plan_code, funding, session_type, price_cents, currency, credits, mechanic_share_bp, max_minutes,
customer_name, vehicle, concern, urgent, evidence, created_at
"""
_INTAKE_VALUES: Final[LiteralString] = """
'free', 'free', 'chat', 0, 'usd', 0, 0, 180, pg_temp.words(n, 200),
jsonb_build_object('year', 2019, 'make', pg_temp.words(n, 100), 'model', pg_temp.words(n, 100)),
pg_temp.words(n, 4000), false, 'witnessed', pg_temp.at(n)
"""

_PEOPLE: Final[LiteralString] = """
INSERT INTO workshops (id, name, created_at) SELECT pg_temp.made(6, n), pg_temp.words(n, 200), pg_temp.at(n) FROM many;
INSERT INTO mechanics (id, user_id, name, workshop_id, available_until, referral_code, created_at)
SELECT pg_temp.made(4, n), pg_temp.made(5, n), CASE n WHEN 0 THEN 'Mia Moreno' ELSE pg_temp.words(n, 200) END,
       pg_temp.made(6, CASE n % 2 WHEN 0 THEN 1 ELSE n END), 'infinity',
       (SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((n >> 5 * place) & 31)::integer, 1), '')
          FROM generate_series(0, 7) place), pg_temp.at(n)
  FROM (SELECT 0::bigint AS n UNION ALL SELECT n FROM many) AS n ON CONFLICT DO NOTHING;
INSERT INTO customers (id, user_id, name, email, created_at)
VALUES (pg_temp.made(2, 0), pg_temp.made(3, 0), 'Cora Castillo', 'cora@example.com', pg_temp.at(0));
INSERT INTO customers (id, user_id, name, email, created_at)
SELECT pg_temp.made(18, n), pg_temp.made(19, n), pg_temp.words(n, 200), 'c' || n || '@example.com', pg_temp.at(n)
  FROM many
"""

_HISTORY: Final[LiteralString] = (
    "INSERT INTO intakes ("
    + _INTAKE_COLUMNS
    + ") SELECT pg_temp.made(0, n), pg_temp.made(2, 0),"
    + _INTAKE_VALUES
    + " FROM many;"
    """
INSERT INTO sessions (id, customer_id, current_assignment_id, created_at, customer_present, mechanic_present, status,
                      mechanic_id, accepted_at, customer_joined_at, mechanic_joined_at, started_at, ended_at,
                      end_reason, ended_by, together_seconds, min_billable_seconds, min_messages_each, late_minutes)
SELECT pg_temp.made(0, n), pg_temp.made(2, 0), pg_temp.made(1, n), pg_temp.at(n), true, true, 'completed',
       pg_temp.made(4, 0), pg_temp.at(n), pg_temp.at(n), pg_temp.at(n), pg_temp.at(n),
       pg_temp.at(n) + interval '30 seconds', 'billable', 'mechanic', 30, 20, 1, 10 FROM many;
INSERT INTO session_assignments (id, session_id, available_at, queued_at, status, mechanic_id, ended_at)
SELECT pg_temp.made(1, n), pg_temp.made(0, n), pg_temp.at(n), pg_temp.at(n), 'completed', pg_temp.made(4, 0),
       pg_temp.at(n) FROM many;
INSERT INTO session_participants (session_id, role, since, customer_id, mechanic_id)
SELECT pg_temp.made(0, n), role, pg_temp.at(n), CASE role WHEN 'customer' THEN pg_temp.made(2, 0) END,
       CASE role WHEN 'mechanic' THEN pg_temp.made(4, 0) END
  FROM many, (VALUES ('customer'), ('mechanic')) AS party (role);
INSERT INTO session_events (session_id, from_status, to_status, actor, occurred_at)
SELECT pg_temp.made(0, n), from_status, to_status, 'system', pg_temp.at(n)
  FROM many, (VALUES (NULL, 'pending'), ('live', 'completed')) AS step (from_status, to_status);
INSERT INTO session_events (session_id, from_status, to_status, actor, occurred_at)
SELECT pg_temp.made(0, pg_temp.most()), 'pending', 'waiting', 'system', pg_temp.at(n) FROM many;
INSERT INTO session_assignment_events (session_id, assignment_id, from_status, to_status, actor, occurred_at)
SELECT pg_temp.made(0, pg_temp.most()), pg_temp.made(1, n), 'offered', 'declined', 'system', pg_temp.at(n) FROM many;
INSERT INTO session_presence (session_id, role, mechanic_id, source, witness, since, recorded_at, until, closed_at)
SELECT pg_temp.made(0, pg_temp.most()), 'customer', NULL, 'room', n::text, pg_temp.at(n), pg_temp.at(n),
       pg_temp.at(n) + interval '0.05 s', pg_temp.at(n) + interval '0.05 s' FROM many;
INSERT INTO session_messages (session_id, seq, at, client_id, role, kind, text)
SELECT pg_temp.made(0, pg_temp.most()), n, pg_temp.at(n), pg_temp.made(7, n), 'customer', 'text', pg_temp.words(n,
       4000) FROM many;
INSERT INTO rooms (session_id, latest, customer_written) VALUES (pg_temp.made(0, pg_temp.most()), pg_temp.most(),
       pg_temp.most())
"""
)

_QUEUE: Final[LiteralString] = (
    "INSERT INTO intakes ("
    + _INTAKE_COLUMNS
    + ") SELECT pg_temp.made(16, n), pg_temp.made(18, n),"
    + _INTAKE_VALUES
    + " FROM many;"
    """
INSERT INTO sessions (id, customer_id, current_assignment_id, created_at)
SELECT pg_temp.made(16, n), pg_temp.made(18, n), pg_temp.made(17, n), pg_temp.at(n) FROM many;
INSERT INTO session_assignments (id, session_id, available_at, queued_at, status)
SELECT pg_temp.made(17, n), pg_temp.made(16, n), pg_temp.at(n), pg_temp.at(n), 'queued' FROM many;
INSERT INTO session_events (session_id, from_status, to_status, actor, occurred_at)
SELECT pg_temp.made(16, n), NULL, 'pending', 'customer', pg_temp.at(n) FROM many;
INSERT INTO rooms (session_id) SELECT pg_temp.made(16, n) FROM many;
INSERT INTO session_participants (session_id, role, since, customer_id)
SELECT pg_temp.made(16, n), 'customer', pg_temp.at(n), pg_temp.made(18, n) FROM many
"""
)

_MONEY: Final[LiteralString] = """
INSERT INTO settlements (session_id, outcome, facts) SELECT pg_temp.made(0, n), 'pay', '{}' FROM many;
INSERT INTO payouts (id, session_id, mechanic_id, kind, amount_cents, state, waits_for, created_at)
SELECT pg_temp.made(8, n), pg_temp.made(0, n), pg_temp.made(4, 0), 'session', 100, 'held', 'release', pg_temp.at(n)
  FROM many;
INSERT INTO payout_holds (payout_id, reason, note, held_by, held_at)
SELECT pg_temp.made(8, n), 'escalation', pg_temp.words(n, 500), pg_temp.made(9, 0), pg_temp.at(n) FROM many;
INSERT INTO refunds (id, intake_id, kind, amount_cents, state, waits_for, created_at)
SELECT pg_temp.made(10, n), pg_temp.made(0, n), 'session', 100, 'held', 'balance', pg_temp.at(n) FROM many;
INSERT INTO ledger_transfer (id, key, debit_account, credit_account, amount, currency, kind, intake_id, created_at)
SELECT pg_temp.made(11, n), 'crowd:' || n, 'customer:' || pg_temp.made(3, 0) || ':credits',
       'session:' || pg_temp.made(0, pg_temp.most()) || ':credits', 1, 'credit', 'credit_hold', pg_temp.made(0,
       pg_temp.most()),
       pg_temp.at(n) FROM many;
INSERT INTO ledger_transfer (id, key, debit_account, credit_account, amount, currency, kind, intake_id, created_at)
SELECT pg_temp.made(27, n), 'crowd:earning:' || n, 'credit_sales',
       'mechanic:' || pg_temp.made(4, 0) || ':payable', 100, 'usd', 'earning', pg_temp.made(0, n), pg_temp.at(n)
  FROM many;
INSERT INTO checkouts (id, kind, user_id, pack_code, credits, title, amount_cents, currency, idempotency_key,
                       stripe_session_id, stripe_payment_intent_id, status, created_at)
SELECT pg_temp.made(12, n), 'pack', pg_temp.made(3, 0), (SELECT min(code) FROM credit_packs), 5, 'Five credits', 4499,
       'usd', 'crowd:' || n, 'cs_' || n, 'pi_' || n, 'paid', pg_temp.at(n) FROM many;
INSERT INTO credit_balances (user_id, balance) VALUES (pg_temp.made(3, 0), 100);
INSERT INTO receipts (id, year, sequence, kind, cause, subject, user_id, checkout_id, title, amount, currency,
       issued_at)
SELECT pg_temp.made(13, n), 2026, n, 'receipt', 'credits', 'checkout:' || n, pg_temp.made(3, 0), pg_temp.made(12, n),
       'Five credits', 4499, 'usd', pg_temp.at(n) FROM many;
INSERT INTO receipts (id, year, sequence, kind, cause, subject, user_id, checkout_id, corrects_id, title, amount,
                      currency, issued_at)
SELECT pg_temp.made(20, n), 2025, n, 'credit_note', 'refund', 're_' || n, pg_temp.made(3, 1), pg_temp.made(12,
       pg_temp.most()),
       pg_temp.made(13, pg_temp.most()), 'Five credits', 1, 'usd', pg_temp.at(n) FROM many;
INSERT INTO contests (session_id, reason, words, contested_at, answer, answered_at)
SELECT pg_temp.made(0, n), 'other', pg_temp.words(n, 2000), pg_temp.at(n), pg_temp.words(n, 2000), pg_temp.at(n)
       FROM many;
INSERT INTO settlement_holds (session_id, held_at, demanded, facts)
SELECT pg_temp.made(0, n), pg_temp.at(n), 'cancelled', '{}' FROM many;
INSERT INTO stripe_disputes (id, payment_intent_id, status, amount_cents, currency, created_at, updated_at)
SELECT 'du_' || n, 'pi_' || n, 'needs_response', 4499, 'usd', pg_temp.at(n), pg_temp.at(n) FROM many;
INSERT INTO dispute_evidence (id, dispute_id, checkout_id, state, created_at)
SELECT pg_temp.made(21, n), 'du_' || n, pg_temp.made(12, n), 'due', pg_temp.at(n) FROM many
"""

_TALES: Final[LiteralString] = """
INSERT INTO quotes (id, session_id, mechanic_id, workshop_id, note, requested_at, status, amount_cents, description,
                    given_by_id, given_at)
SELECT pg_temp.made(14, n), pg_temp.made(0, CASE n % 2 WHEN 0 THEN pg_temp.most() ELSE n END), pg_temp.made(4, 0),
       CASE n % 2 WHEN 0 THEN pg_temp.made(6, n) ELSE pg_temp.made(6, 1) END, pg_temp.words(n, 2000),
       pg_temp.at(n), 'given', 100, pg_temp.words(n, 2000), pg_temp.made(4, 1), pg_temp.at(n) FROM many;
INSERT INTO quote_events (quote_id, occurred_at, actor, from_status, to_status)
SELECT pg_temp.made(14, n), pg_temp.at(n), 'mechanic', NULL, 'requested' FROM many;
INSERT INTO quote_events (quote_id, occurred_at, actor, from_status, to_status, amount_cents)
SELECT pg_temp.made(14, pg_temp.most()), pg_temp.at(n), 'mechanic', 'given', 'given', n FROM many;
INSERT INTO notifications (id, user_id, event_id, kind, session_id, data, created_at)
SELECT pg_temp.made(22, n), pg_temp.made(3, 0), pg_temp.made(23, n), 'session_completed', pg_temp.made(0, n),
       jsonb_build_object('mechanicId', pg_temp.made(4, n), 'sessionType', 'chat', 'durationSeconds', 600),
       pg_temp.at(n) FROM many;
INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after, at)
SELECT pg_temp.made(24, n), pg_temp.made(9, 0), 'mechanic.changed', pg_temp.made(4, 0)::text, '{workshop_id}', '{}',
       '{}',
       pg_temp.at(n) FROM many;
INSERT INTO admin_lookups (id, actor_id, kind, found, at)
SELECT pg_temp.made(25, n), pg_temp.made(9, 0), 'name', ARRAY[pg_temp.made(0, pg_temp.most())], pg_temp.at(n) FROM many;
INSERT INTO reconcile_runs (started_at, finished, found, report)
SELECT pg_temp.at(n), true, 500, jsonb_build_object('differences', (
         SELECT jsonb_agg(jsonb_build_object('kind', 'charge_missing', 'why', repeat('x', 200)))
           FROM generate_series(1, 500)))
  FROM many WHERE n > pg_temp.most() - 100;
INSERT INTO realtime_connections (connection_id, user_id, groups, since, ready, expires_at, room)
SELECT 'crowd' || n, pg_temp.made(3, 0), '{customers}', 0, true, 'infinity', pg_temp.made(0, pg_temp.most()) FROM many;
INSERT INTO feed (seq, event_id, type, session_id, session_seq, status, created_at, sent_at)
SELECT n, pg_temp.made(26, n), 'session_updated', pg_temp.made(0, n), 1, 'completed', pg_temp.at(n), pg_temp.at(n)
  FROM many
"""


def fill(superuser: psycopg.Connection[Any], rows: int) -> None:
    """Fill a migrated, empty database.

    The session that has a long timeline, a long room and many quotes is the newest, `made(0, rows)`; the customer who
    is last in the queue is `made(19, rows)`.

    Args:
        superuser: an autocommit connection.
        rows: of each list and timeline.
    """
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        number = sql.SQL("CREATE FUNCTION pg_temp.most() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT {}::bigint'")
        superuser.execute(number.format(rows))
        for part in (_SUPPORT, _PEOPLE, _HISTORY, _QUEUE, _MONEY, _TALES):
            superuser.execute(part)
        superuser.execute("DROP TABLE many; DROP FUNCTION pg_temp.made, pg_temp.at, pg_temp.words, pg_temp.most")
    superuser.execute("VACUUM ANALYZE")
