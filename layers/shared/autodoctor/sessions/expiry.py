"""The sweep: whatever was left behind is expired, released, queued again, brought due or ended, in bounded batches."""

from collections.abc import Callable
from typing import Final, LiteralString

import psycopg

from autodoctor.db import Database, Refused
from autodoctor.errors import SessionBusy
from autodoctor.sessions.end import Ender, end_session
from autodoctor.sessions.factory import LEAD_MINUTES
from autodoctor.sessions.intake import IDEMPOTENCY_HOURS
from autodoctor.wire import Answer

BATCH: Final = 200
ACTOR: Final = "system:expire-orphans"
NO_SHOW_MINUTES: Final = 10
ABANDONED_MINUTES: Final = 10
MARGIN_SECONDS: Final = 5.0

# Every sweep: sessions are locked first, what others hold is skipped, the UPDATE checks the state again.
# The order is that of the index that holds active sessions only, so that no plan walks the history.
_ORPHANS: Final[LiteralString] = "SELECT expire_orphaned_sessions(%(batch)s) AS changed"

_UNREACHABLE: Final[LiteralString] = "SELECT open_unreachable_requests(%(batch)s) AS changed"

_LAPSED_OFFERS: Final[LiteralString] = """
WITH lapsed AS MATERIALIZED (
  SELECT a.id FROM session_assignments a JOIN sessions s ON s.id = a.session_id
   WHERE a.status = 'offered' AND a.offer_expires_at <= now()
   ORDER BY s.id LIMIT %(batch)s
     FOR NO KEY UPDATE OF s SKIP LOCKED
), changed AS (
  UPDATE session_assignments a SET status = 'expired', actor = %(actor)s
    FROM lapsed WHERE a.id = lapsed.id AND a.status = 'offered' AND a.offer_expires_at <= now()
  RETURNING 1
)
SELECT count(*) AS changed FROM changed
"""

_DUE: Final[LiteralString] = """
WITH due AS MATERIALIZED (
  SELECT id FROM sessions
   WHERE ended_at IS NULL AND status = 'scheduled'
     AND scheduled_for <= now() + make_interval(mins => %(lead_minutes)s)
   ORDER BY customer_id LIMIT %(batch)s
     FOR NO KEY UPDATE SKIP LOCKED
), changed AS (
  UPDATE sessions s SET status = 'pending', actor = %(actor)s
    FROM due WHERE s.id = due.id AND s.status = 'scheduled'
  RETURNING 1
)
SELECT count(*) AS changed FROM changed
"""

_MECHANIC_NEVER_CAME: Final[LiteralString] = """
WITH left_waiting AS MATERIALIZED (
  SELECT id FROM sessions
   WHERE ended_at IS NULL AND status = 'waiting' AND mechanic_joined_at IS NULL
     AND greatest(accepted_at, scheduled_for) <= now() - make_interval(mins => %(no_show_minutes)s)
   ORDER BY customer_id LIMIT %(batch)s
     FOR NO KEY UPDATE SKIP LOCKED
), changed AS (
  UPDATE sessions s SET status = 'pending', actor = %(actor)s
    FROM left_waiting w WHERE s.id = w.id AND s.status = 'waiting' AND s.mechanic_joined_at IS NULL
     AND greatest(s.accepted_at, s.scheduled_for) <= now() - make_interval(mins => %(no_show_minutes)s)
  RETURNING 1
)
SELECT count(*) AS changed FROM changed
"""

_OLD_KEYS: Final[LiteralString] = """
WITH old AS MATERIALIZED (
  SELECT user_id, key FROM idempotency_keys WHERE created_at < now() - make_interval(hours => %(idempotency_hours)s)
   LIMIT %(batch)s
     FOR UPDATE SKIP LOCKED
), changed AS (
  DELETE FROM idempotency_keys k USING old WHERE k.user_id = old.user_id AND k.key = old.key RETURNING 1
)
SELECT count(*) AS changed FROM changed
"""

_ABANDONED: Final[LiteralString] = """
SELECT s.id FROM sessions s JOIN intakes i ON i.id = s.id
 WHERE s.ended_at IS NULL AND s.status = 'live'
   AND (s.parted_at <= now() - make_interval(mins => %(abandoned_minutes)s)
        OR s.started_at <= now() - make_interval(mins => i.max_minutes))
 ORDER BY s.customer_id LIMIT %(batch)s
"""


class Swept(Answer):
    """How many of each were found and dealt with."""

    orphans: int
    lapsed_offers: int
    opened_to_all: int
    came_due: int
    released: int
    ended: int
    forgotten_keys: int


def sweep(database: Database, seconds_left: Callable[[], float]) -> Swept:
    """Deal with everything that was left behind, until it is done or time runs short.

    Safe to run twice and at once. What does not fit into this run is left for the next. A sweep that
    fails does not keep the others from running.

    Args:
        database: where.
        seconds_left: how many seconds this run still has.

    Raises:
        ExceptionGroup: what failed, after all sweeps had their turn.
    """
    parameters = {
        "batch": BATCH,
        "actor": ACTOR,
        "lead_minutes": LEAD_MINUTES,
        "no_show_minutes": NO_SHOW_MINUTES,
        "abandoned_minutes": ABANDONED_MINUTES,
        "idempotency_hours": IDEMPOTENCY_HOURS,
    }
    failures: list[Exception] = []

    def in_batches(statement: LiteralString) -> int:
        total = 0
        try:
            while seconds_left() > MARGIN_SECONDS:
                row = database.one(statement, parameters)
                changed: int = row["changed"] if row else 0
                total += changed
                if changed < BATCH:
                    break
        except (psycopg.Error, Refused) as failure:
            failures.append(failure)
        return total

    swept = Swept(
        orphans=in_batches(_ORPHANS),
        lapsed_offers=in_batches(_LAPSED_OFFERS),
        opened_to_all=in_batches(_UNREACHABLE),
        came_due=in_batches(_DUE),
        released=in_batches(_MECHANIC_NEVER_CAME),
        ended=_end_abandoned(database, parameters, seconds_left, failures),
        forgotten_keys=in_batches(_OLD_KEYS),
    )
    if failures:
        raise ExceptionGroup(f"{len(failures)} sweeps failed", failures)
    return swept


def _end_abandoned(
    database: Database, parameters: dict[str, object], seconds_left: Callable[[], float], failures: list[Exception]
) -> int:
    """End live sessions whose parties have not been together for 10 minutes, or that are past their maximum."""
    ended = 0
    try:
        for session in database.all(_ABANDONED, parameters):
            if seconds_left() <= MARGIN_SECONDS:
                break
            try:
                ended += not end_session(database, Ender(any_session=True, actor=ACTOR), session["id"]).already_ended
            except SessionBusy:
                continue  # somebody is at it; the next run looks again
    except (psycopg.Error, Refused) as failure:
        failures.append(failure)
    return ended
