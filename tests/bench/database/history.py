"""Ended sessions in bulk: what a marketplace has behind it after years, valid for every invariant.

The rows are made inside the server, with triggers and foreign keys switched off for the loading connection
(`session_replication_role`, superusers only), so they must be right by themselves: bench/tests/
test_bench_history.py runs the invariant checker on them.
"""

from collections.abc import Callable
from typing import Any, Final, LiteralString

import psycopg

BATCH: Final = 20_000
SESSIONS_PER_CUSTOMER: Final = 10
MECHANICS: Final = 1_000

# UUIDs in the order of time, as the product makes them, in a past in which nothing else here happened.
_SUPPORT: Final[LiteralString] = """
CREATE FUNCTION pg_temp.past_id(kind integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex(1600000000000 + n), 12, '0') || '7' || lpad(to_hex(kind), 3, '0') || '8000'
          || lpad(to_hex(n), 12, '0'))::uuid
$$;
CREATE FUNCTION pg_temp.past_time(n bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
  SELECT timestamptz '2022-01-01 00:00:00Z' + n * interval '1 minute'
$$;
CREATE TEMPORARY TABLE past (
  n bigint, id uuid, assignment_id uuid, customer_id uuid, customer_sub uuid, mechanic_id uuid, mechanic_sub uuid,
  began timestamptz, ended timestamptz, status text, reason text)
"""

_MECHANICS: Final[LiteralString] = """
INSERT INTO mechanics (id, user_id, name, created_at)
SELECT pg_temp.past_id(4, n), pg_temp.past_id(5, n), 'Mia Moreno', pg_temp.past_time(0)
  FROM generate_series(0, %(mechanics)s - 1) n ON CONFLICT DO NOTHING
"""

# Four in five are completed after ten minutes; the others end after half a minute. Both sides write in all of them.
_BATCH: Final[LiteralString] = """
INSERT INTO past
SELECT n, pg_temp.past_id(0, n), pg_temp.past_id(1, n),
       pg_temp.past_id(2, n / %(per_customer)s), pg_temp.past_id(3, n / %(per_customer)s),
       pg_temp.past_id(4, n %% %(mechanics)s), pg_temp.past_id(5, n %% %(mechanics)s),
       pg_temp.past_time(n),
       pg_temp.past_time(n) + interval '80 seconds'
         + CASE WHEN n %% 5 = 4 THEN interval '30 seconds' ELSE interval '10 minutes' END,
       CASE WHEN n %% 5 = 4 THEN 'cancelled' ELSE 'completed' END,
       CASE WHEN n %% 5 = 4 THEN 'too_short' ELSE 'billable' END
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
"""

_TABLES: Final[tuple[LiteralString, ...]] = (
    """
INSERT INTO customers (id, user_id, name, email, created_at)
SELECT DISTINCT ON (customer_id) customer_id, customer_sub, 'Cora Castillo', 'cora@example.com', began
  FROM past ORDER BY customer_id, n ON CONFLICT DO NOTHING
""",
    """
INSERT INTO intakes (id, customer_id, plan_code, funding, session_type, price_cents, currency, credits,
                     mechanic_share_bp, max_minutes, customer_name, vehicle, concern, urgent, evidence, created_at)
SELECT id, customer_id, 'free', 'free', 'chat', 0, 'usd', 0, 0, 180, 'Cora Castillo',
       '{"year": 2019, "make": "Volvo", "model": "V60"}', 'The brakes squeal when I stop at low speed.', n % 20 = 0,
       'witnessed', began
  FROM past ORDER BY n
""",
    """
INSERT INTO sessions (id, customer_id, current_assignment_id, created_at, customer_present, mechanic_present, status,
                      mechanic_id, accepted_at, customer_joined_at, mechanic_joined_at, started_at, ended_at,
                      end_reason, ended_by, together_seconds, min_billable_seconds, min_messages_each, late_minutes)
SELECT id, customer_id, assignment_id, began, true, true, status, mechanic_id, began + interval '60 s',
       began + interval '70 s', began + interval '80 s', began + interval '80 s', ended, reason, 'mechanic',
       extract(epoch FROM ended - began - interval '80 s'), 60, 1, 10
  FROM past ORDER BY n
""",
    """
INSERT INTO session_assignments (id, session_id, urgent, available_at, queued_at, status, mechanic_id, ended_at)
SELECT assignment_id, id, n % 20 = 0, began, began + interval '10 s', status, mechanic_id, ended FROM past ORDER BY n
""",
    """
INSERT INTO session_participants (session_id, role, since, customer_id, mechanic_id)
SELECT id, role, began + after,
       CASE role WHEN 'customer' THEN customer_id END, CASE role WHEN 'mechanic' THEN mechanic_id END
  FROM past, (VALUES ('customer', interval '0 s'), ('mechanic', interval '60 s')) AS party (role, after)
 ORDER BY n, after
""",
    """
INSERT INTO waivers (session_id, signed_name, version, signed_at)
SELECT id, 'Cora Castillo', '1.0', began + interval '10 s' FROM past ORDER BY n
""",
    """
INSERT INTO session_events (session_id, from_status, to_status, actor, actor_id, occurred_at, data)
SELECT id, from_status, coalesce(to_status, status), actor,
       CASE actor WHEN 'customer' THEN customer_sub ELSE mechanic_sub END, coalesce(began + after, ended),
       CASE WHEN after IS NULL THEN jsonb_build_object('reason', reason) END
  FROM past, (VALUES
    (1, NULL, 'pending', 'customer', interval '0 s'),
    (2, 'pending', 'waiting', 'mechanic', interval '60 s'),
    (3, 'waiting', 'live', 'mechanic', interval '80 s'),
    (4, 'live', NULL, 'mechanic', NULL)
  ) AS event (step, from_status, to_status, actor, after)
 ORDER BY n, step
""",
    """
INSERT INTO session_presence (session_id, role, mechanic_id, source, witness, since, recorded_at, until, closed_at)
SELECT id, role, CASE role WHEN 'mechanic' THEN mechanic_id END, 'room', role, began + after, began + after,
       ended, ended
  FROM past, (VALUES ('customer', interval '70 s'), ('mechanic', interval '80 s')) AS party (role, after)
 ORDER BY n, after
""",
    """
INSERT INTO rooms (session_id, latest, customer_read, mechanic_read, customer_written, mechanic_written)
SELECT id, 7, 7, 7, 1, 1 FROM past ORDER BY n
""",
    """
INSERT INTO session_messages (session_id, seq, at, client_id, mechanic_id, role, kind, note, text)
SELECT id, seq, coalesce(began + after, ended), CASE WHEN role <> 'system' THEN pg_temp.past_id(5 + seq, n) END,
       CASE role WHEN 'mechanic' THEN mechanic_id END, role, CASE role WHEN 'system' THEN 'system' ELSE 'text' END,
       note, coalesce(text, note_words(note))
  FROM past, (VALUES
    (1, 'system', 'accepted', NULL, interval '60 s'),
    (2, 'system', 'customer_joined', NULL, interval '70 s'),
    (3, 'system', 'mechanic_joined', NULL, interval '80 s'),
    (4, 'system', 'started', NULL, interval '80 s'),
    (5, 'customer', NULL, 'It squeals when I brake.', interval '85 s'),
    (6, 'mechanic', NULL, 'Since when?', interval '90 s'),
    (7, 'system', 'ended_by_mechanic', NULL, NULL)
  ) AS message (seq, role, note, text, after)
 ORDER BY n, seq
""",
    """
INSERT INTO session_summaries (session_id, due_at, told_at)
SELECT id, ended + interval '15 minutes', ended + interval '15 minutes' FROM past WHERE status = 'completed' ORDER BY n
""",
    """
INSERT INTO session_assignment_events (session_id, assignment_id, from_status, to_status, actor, actor_id, occurred_at)
SELECT id, assignment_id, from_status, coalesce(to_status, status), actor,
       CASE actor WHEN 'customer' THEN customer_sub ELSE mechanic_sub END, coalesce(began + after, ended)
  FROM past, (VALUES
    (1, NULL, 'pending_waiver', 'customer', interval '0 s'),
    (2, 'pending_waiver', 'queued', 'customer', interval '10 s'),
    (3, 'queued', 'accepted', 'mechanic', interval '60 s'),
    (4, 'accepted', NULL, 'mechanic', NULL)
  ) AS event (step, from_status, to_status, actor, after)
 ORDER BY n, step
""",
)


# What the queue's index keeps of those who went through it, until a vacuum comes.
_STEP_THROUGH_QUEUE: Final[LiteralString] = """
UPDATE session_assignments a SET status = 'queued', mechanic_id = NULL, ended_at = NULL
  FROM past WHERE a.id = past.assignment_id;
UPDATE session_assignments a SET status = past.status, mechanic_id = past.mechanic_id, ended_at = past.ended
  FROM past WHERE a.id = past.assignment_id
"""


def load(
    superuser: psycopg.Connection[Any],
    first: int,
    last: int,
    progress: Callable[[int], None],
    *,
    through_queue: bool = False,
) -> None:
    """Add ended sessions number `first` to `last`, not included.

    Args:
        superuser: an autocommit connection.
        first: 0, or where the load before stopped.
        last: how many there are afterwards.
        progress: called with the number of sessions just added.
        through_queue: leave behind the dead rows and index entries that passing through the queue makes.
    """
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute(_SUPPORT)
        superuser.execute(_MECHANICS, {"mechanics": MECHANICS})
        for start in range(first, last, BATCH):
            end = min(start + BATCH, last)
            superuser.execute("TRUNCATE past")
            superuser.execute(
                _BATCH,
                {"first": start, "last": end - 1, "per_customer": SESSIONS_PER_CUSTOMER, "mechanics": MECHANICS},
            )
            for statement in _TABLES:
                superuser.execute(statement)
            if through_queue:
                superuser.execute(_STEP_THROUGH_QUEUE)
            progress(end - start)
        superuser.execute("DROP TABLE past")
        superuser.execute("DROP FUNCTION pg_temp.past_id, pg_temp.past_time")
