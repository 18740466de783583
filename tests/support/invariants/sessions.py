"""The checker: proves invariants 1 to 10 (SPEC.md#invariants) on any database, starting from the audit trail.

It trusts no trigger and no function of the schema. The allowed moves come from `domain.lifecycle`, the outcome
of an ended session is judged again from its evidence by `domain.ending`, and the audit trail has to explain
without a gap how each row reached its state.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import dict_row, tuple_row

from autodoctor.domain.ending import Evidence, Limits, Stretch, first_together, verdict
from autodoctor.domain.lifecycle import (
    ACTIVE_SESSION,
    ASSIGNMENT_MOVES,
    OPEN_ASSIGNMENT,
    SESSION_MOVES,
)
from support.invariants.money import LEDGER_ADDS_UP, SETTLED_ONCE
from support.invariants.receipts import RECEIPTS
from support.invariants.referrals import REFERRED_AND_ESCALATED

# Between the verdict's clock and the audit row's there is one round trip; a paused test machine may stretch it.
_ROUND_TRIP: Final = timedelta(seconds=10)

_ONE_ACTIVE_SESSION: Final[LiteralString] = """
SELECT format('customer %%s has %%s active sessions', customer_id, count(*))
  FROM sessions WHERE status = ANY (%(active)s) GROUP BY customer_id HAVING count(*) > 1
"""

_ONE_CURRENT_ASSIGNMENT: Final[LiteralString] = """
SELECT format('session %%s (%%s) has %%s assignments up to attempt %%s, %%s open; its current one is %%s (%%s, of %%s)',
              s.id, s.status, h.assignments, h.last_attempt, h.open, s.current_assignment_id, a.status, a.session_id)
  FROM sessions s
  LEFT JOIN session_assignments a ON a.id = s.current_assignment_id
  CROSS JOIN LATERAL (SELECT count(*) AS assignments, max(attempt) AS last_attempt,
                             count(*) FILTER (WHERE status = ANY (%(open)s)) AS open
                        FROM session_assignments o WHERE o.session_id = s.id) AS h
 WHERE a.session_id IS DISTINCT FROM s.id
    OR h.assignments = 0 OR h.last_attempt <> h.assignments OR a.attempt <> h.last_attempt
    OR s.status = ANY (%(active)s) AND (h.open <> 1 OR a.status <> ALL (%(open)s))
UNION ALL
SELECT format('session %%s was never recorded with its customer as its one customer', s.id)
  FROM sessions s
 WHERE (SELECT count(*) FILTER (WHERE p.customer_id = s.customer_id AND p.until IS NULL) <> 1 OR count(*) <> 1
          FROM session_participants p WHERE p.session_id = s.id AND p.role = 'customer')
"""

_ENDED_TOGETHER: Final[LiteralString] = """
SELECT format('session %%s is %%s, its assignment %%s is %%s', s.id, s.status, a.id, a.status)
  FROM sessions s JOIN session_assignments a ON a.session_id = s.id
 WHERE s.status <> ALL (%(active)s)
   AND (a.status = ANY (%(open)s) OR a.id = s.current_assignment_id AND a.status <> s.status)
UNION ALL
SELECT format('session %%s is %%s without saying when, why and by which threshold', s.id, s.status)
  FROM sessions s
 WHERE (s.status <> ALL (%(active)s))
    <> (s.ended_at IS NOT NULL AND s.end_reason IS NOT NULL AND s.min_billable_seconds IS NOT NULL)
"""

_ALLOWED_MOVES: Final[LiteralString] = """
SELECT format('session %%s went from %%s to %%s', e.session_id, coalesce(e.from_status, 'nothing'), e.to_status)
  FROM session_events e
 WHERE CASE WHEN e.from_status IS NULL THEN e.to_status NOT IN ('pending', 'scheduled')
            ELSE e.from_status || '>' || e.to_status <> ALL (%(session_moves)s) END
UNION ALL
SELECT format('assignment %%s went from %%s to %%s', e.assignment_id, coalesce(e.from_status, 'nothing'), e.to_status)
  FROM session_assignment_events e
 WHERE CASE WHEN e.from_status IS NULL THEN e.to_status NOT IN ('pending_waiver', 'queued', 'offered')
            ELSE e.from_status || '>' || e.to_status <> ALL (%(assignment_moves)s) END
   -- no move: a workshop's request became general
   AND (e.from_status, e.to_status, e.actor) IS DISTINCT FROM ('queued', 'queued', 'system:workshop-unavailable')
"""

_ACCEPTED_IS_HELD: Final[LiteralString] = """
SELECT format('session %%s is %%s by mechanic %%s, its assignment %%s by %%s; %%s of %%s participants is that one',
              s.id, s.status, s.mechanic_id, a.status, a.mechanic_id, p.same, p.present)
  FROM sessions s
  JOIN session_assignments a ON a.id = s.current_assignment_id
  CROSS JOIN LATERAL (SELECT count(*) AS present, count(*) FILTER (WHERE p.mechanic_id = s.mechanic_id) AS same
                        FROM session_participants p
                       WHERE p.session_id = s.id AND p.role = 'mechanic' AND p.until IS NULL) AS p
 WHERE (s.status IN ('waiting', 'live')) <> (a.status = 'accepted')
    OR s.status IN ('pending', 'scheduled') AND s.mechanic_id IS NOT NULL
    OR s.status IN ('waiting', 'live', 'completed') AND s.mechanic_id IS NULL
    OR s.mechanic_id IS NOT NULL AND s.mechanic_id IS DISTINCT FROM a.mechanic_id
    OR p.present <> (s.mechanic_id IS NOT NULL)::integer OR p.same <> p.present
UNION ALL
SELECT format('session %%s was accepted %%s times and had %%s mechanics', s.id, accepted.times, took_part.times)
  FROM sessions s
  CROSS JOIN LATERAL (SELECT count(*) AS times FROM session_assignment_events e
                       WHERE e.session_id = s.id AND e.to_status = 'accepted') AS accepted
  CROSS JOIN LATERAL (SELECT count(*) AS times FROM session_participants p
                       WHERE p.session_id = s.id AND p.role = 'mechanic') AS took_part
 WHERE accepted.times <> took_part.times
UNION ALL
SELECT format('mechanic %%s is the customer of session %%s', m.id, s.id)
  FROM sessions s JOIN customers c ON c.id = s.customer_id JOIN mechanics m ON m.id = s.mechanic_id
 WHERE m.user_id = c.user_id
"""

_COMPLETED_IS_EARNED: Final[LiteralString] = """
SELECT format('session %%s is %%s (%%s) from %%s to %%s with a minimum of %%s s',
              id, status, end_reason, started_at, ended_at, min_billable_seconds)
  FROM sessions
 WHERE status <> ALL (%(active)s)
   AND (status = 'completed')
       <> coalesce(started_at IS NOT NULL AND together_seconds >= min_billable_seconds, false)
UNION ALL
SELECT format('session %%s is %%s and started at %%s', id, status, started_at)
  FROM sessions
 WHERE (status = 'live' AND started_at IS NULL)
    OR (status IN ('scheduled', 'pending', 'waiting', 'expired') AND started_at IS NOT NULL)
    OR started_at > clock_timestamp() OR ended_at > clock_timestamp() OR ended_at < started_at
"""

_AUDITED: Final[LiteralString] = """
WITH session_chain AS (
  SELECT *, xmin AS by_transaction, lag(to_status) OVER chain AS before, lag(occurred_at) OVER chain AS then_at,
         lead(id) OVER chain IS NULL AS is_last
    FROM session_events WINDOW chain AS (PARTITION BY session_id ORDER BY id)
), assignment_chain AS (
  SELECT *, xmin AS by_transaction, lag(to_status) OVER chain AS before, lag(occurred_at) OVER chain AS then_at,
         lead(id) OVER chain IS NULL AS is_last
    FROM session_assignment_events WINDOW chain AS (PARTITION BY assignment_id ORDER BY id)
), chain AS (
  SELECT 'session ' || session_id AS subject, id, from_status, to_status, before, occurred_at, then_at
    FROM session_chain
  UNION ALL
  SELECT 'assignment ' || assignment_id, id, from_status, to_status, before, occurred_at, then_at
    FROM assignment_chain
)
SELECT format('%%s: event %%s says from %%s to %%s at %%s, after %%s at %%s',
              subject, id, from_status, to_status, occurred_at, before, then_at)
  FROM chain WHERE from_status IS DISTINCT FROM before OR occurred_at < then_at
UNION ALL
SELECT format('session %%s: event %%s was caused by "%%s" %%s', session_id, id, actor, actor_id)
  FROM (SELECT session_id, id, actor, actor_id FROM session_events
        UNION ALL SELECT session_id, id, actor, actor_id FROM session_assignment_events) AS e
 WHERE CASE WHEN actor IN ('customer', 'mechanic', 'admin') THEN actor_id IS NULL
            ELSE actor_id IS NOT NULL OR actor !~ '^(system|operator|db):.+' END
UNION ALL
SELECT format('session %%s is %%s, its audit trail ends in %%s', coalesce(s.id, e.session_id), s.status, e.to_status)
  FROM sessions s FULL JOIN (SELECT * FROM session_chain WHERE is_last) e ON e.session_id = s.id
 WHERE s.status IS DISTINCT FROM e.to_status
UNION ALL
SELECT format('assignment %%s of session %%s is %%s, its audit trail ends in %%s of session %%s',
              coalesce(a.id, e.assignment_id), a.session_id, a.status, e.to_status, e.session_id)
  FROM session_assignments a FULL JOIN (SELECT * FROM assignment_chain WHERE is_last) e ON e.assignment_id = a.id
 WHERE a.status IS DISTINCT FROM e.to_status OR a.session_id IS DISTINCT FROM e.session_id
UNION ALL
SELECT format('session %%s went from %%s to %%s, but no assignment to %%s by the same hand in the same transaction',
              e.session_id, e.from_status, e.to_status, follows.status)
  FROM session_chain e
  CROSS JOIN LATERAL (SELECT CASE e.to_status WHEN 'waiting' THEN 'accepted' WHEN 'pending' THEN 'expired'
                                  ELSE e.to_status END AS status) AS follows
 WHERE (e.to_status IN ('waiting', 'completed', 'cancelled', 'expired')
        OR (e.from_status, e.to_status) = ('waiting', 'pending'))
   AND NOT EXISTS (SELECT FROM assignment_chain f
                    WHERE f.session_id = e.session_id AND f.to_status = follows.status
                      AND f.by_transaction = e.by_transaction
                      AND (f.actor, f.actor_id) IS NOT DISTINCT FROM (e.actor, e.actor_id))
"""

_PRESENCE_IS_EVIDENCED: Final[LiteralString] = """
SELECT format('session %%s: stretch %%s of %%s ends before it began, or outlasts its session',
              p.session_id, p.id, p.role)
  FROM session_presence p JOIN sessions s ON s.id = p.session_id
 WHERE p.until < p.since OR p.source = 'claim' AND p.until IS NULL AND s.ended_at IS NOT NULL
UNION ALL
SELECT format('session %%s: mechanic %%s was there and never held it', e.session_id, e.mechanic_id)
  FROM session_presence e
 WHERE e.role = 'mechanic' AND NOT EXISTS (SELECT FROM session_participants p
                                            WHERE p.session_id = e.session_id AND p.mechanic_id = e.mechanic_id)
UNION ALL
SELECT format('session %%s says present: customer %%s, mechanic %%s; its evidence does not',
              s.id, s.customer_present, s.mechanic_present)
  FROM sessions s
  CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE p.role = 'customer') > 0 AS customer,
                             count(*) FILTER (WHERE p.mechanic_id = s.mechanic_id) > 0 AS mechanic
                        FROM session_presence p
                       WHERE p.session_id = s.id AND p.until IS NULL AND p.replaced_at IS NULL) AS here
 WHERE s.ended_at IS NULL AND (s.customer_present, s.mechanic_present) <> (here.customer, here.mechanic)
UNION ALL
SELECT format('session %%s says first joins %%s and %%s, its evidence %%s and %%s',
              s.id, s.customer_joined_at, s.mechanic_joined_at, e.customer_at, e.mechanic_at)
  FROM sessions s
  CROSS JOIN LATERAL (SELECT min(since) FILTER (WHERE role = 'customer') AS customer_at,
                             min(since) FILTER (WHERE mechanic_id = s.mechanic_id
                                                  AND since >= s.accepted_at) AS mechanic_at
                        FROM session_presence WHERE session_id = s.id) AS e
 WHERE (s.customer_joined_at, s.mechanic_joined_at) IS DISTINCT FROM (e.customer_at, e.mechanic_at)
   AND NOT EXISTS (SELECT FROM session_presence c -- the medium may say so late, and a page's window is no join
                    WHERE c.session_id = s.id AND c.source IN ('medium', 'mutual'))
"""

_ONE_SESSION_PER_MECHANIC: Final[LiteralString] = """
SELECT format('mechanic %%s has %%s waiting or live sessions', mechanic_id, count(*))
  FROM sessions WHERE status IN ('waiting', 'live') GROUP BY mechanic_id HAVING count(*) > 1
"""

INVARIANTS: Final[dict[int, LiteralString]] = {
    1: _ONE_ACTIVE_SESSION,
    2: _ONE_CURRENT_ASSIGNMENT,
    3: _ENDED_TOGETHER,
    4: _ALLOWED_MOVES,
    5: _ACCEPTED_IS_HELD,
    6: _COMPLETED_IS_EARNED,
    7: _AUDITED + "UNION ALL (" + _PRESENCE_IS_EVIDENCED + ")",
    8: _ONE_SESSION_PER_MECHANIC,
    9: SETTLED_ONCE + "UNION ALL (" + REFERRED_AND_ESCALATED + ")",
    10: LEDGER_ADDS_UP + "UNION ALL (" + RECEIPTS + ")",
}
"""One query per invariant; each row it returns is one sentence about what is wrong."""

_STARTED_AND_ENDED: Final[LiteralString] = """
SELECT s.id, s.status, s.end_reason, s.started_at, s.ended_at, s.absent, s.ended_by, s.together_seconds, s.mechanic_id,
       s.accepted_at, s.scheduled_for, s.min_billable_seconds, s.min_messages_each, s.late_minutes, i.max_minutes,
       i.evidence AS kind, r.customer_written, r.mechanic_written, ended.occurred_at AS ended_event_at,
       started.actor LIKE 'db:%%' OR ended.actor LIKE 'db:%%' AS by_hand,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(p.role, p.source, p.since,
                 CASE WHEN p.closed_at <= ended.occurred_at THEN p.until END)), '[]')
          FROM session_presence p
         WHERE p.session_id = s.id AND (ended.occurred_at IS NULL OR p.recorded_at <= ended.occurred_at)
           AND (p.replaced_at IS NULL OR p.replaced_at > ended.occurred_at)
           AND (p.role = 'customer' OR p.mechanic_id = s.mechanic_id AND p.since >= s.accepted_at)) AS evidence
  FROM sessions s
  JOIN intakes i ON i.id = s.id
  LEFT JOIN rooms r ON r.session_id = s.id
  LEFT JOIN session_events ended ON ended.session_id = s.id AND ended.to_status IN ('completed', 'cancelled', 'expired')
  LEFT JOIN session_events started ON started.session_id = s.id AND started.to_status = 'live'
 WHERE s.status IN ('live', 'completed', 'cancelled', 'expired')
"""


def violations(connection: psycopg.Connection[Any]) -> list[str]:
    """The faults of this database, a sentence each: "invariant 2: session ... has ...".

    Args:
        connection: of any role that may read; its transaction is left as it is.
    """
    parameters = {
        "active": sorted(ACTIVE_SESSION),
        "open": sorted(OPEN_ASSIGNMENT),
        "session_moves": [f"{source}>{target}" for source, moves in SESSION_MOVES.items() for target in moves],
        "assignment_moves": [f"{source}>{target}" for source, moves in ASSIGNMENT_MOVES.items() for target in moves],
    }
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = [
            f"invariant {number}: {sentence}"
            for number, query in INVARIANTS.items()
            for (sentence,) in cursor.execute(query, parameters).fetchall()
        ]
    with connection.cursor(row_factory=dict_row) as sessions:
        for session in sessions.execute(_STARTED_AND_ENDED, {}):
            found += [f"invariant 6: session {session['id']} {wrong}" for wrong in _misjudged(session)]
    return found


def _misjudged(session: dict[str, Any]) -> Iterator[str]:
    """The differences of start and outcome from those that the evidence demands; hand-typed values are believed."""
    if session["by_hand"]:
        return
    seen = tuple(
        Stretch(role, source, datetime.fromisoformat(since), until and datetime.fromisoformat(until))
        for role, source, since, until in session["evidence"]
    )
    asked_at = session["ended_event_at"] or datetime.max.replace(tzinfo=UTC)
    together = first_together(seen, asked_at)
    if session["started_at"] != together:
        yield f"started at {session['started_at']}, its evidence says {together}"
    if session["status"] in {"live", "expired"}:
        return
    if together is None and not timedelta() <= asked_at - session["ended_at"] < _ROUND_TRIP:
        yield f"ended at {session['ended_at']}, its audit row says {asked_at}"
    expected = verdict(
        Evidence(
            session["accepted_at"] if session["mechanic_id"] is not None else None,
            None,
            seen,
            (session["customer_written"], session["mechanic_written"]),
            session["kind"],
            session["scheduled_for"],
        ),
        asked_at,
        Limits(
            timedelta(seconds=session["min_billable_seconds"]),
            timedelta(minutes=session["max_minutes"]),
            session["min_messages_each"],
            timedelta(minutes=session["late_minutes"]),
        ),
        by_system=session["ended_by"] == "system",
    )
    measured = session["together_seconds"]
    lasted = None if measured is None else timedelta(microseconds=int(measured * 1_000_000))
    stands = (*(session[name] for name in ("status", "end_reason", "started_at", "absent")), lasted)
    demanded = (expected.status, expected.reason, expected.started_at, expected.absent, expected.together)
    if stands != demanded or (together is not None and session["ended_at"] != expected.ended_at):
        yield f"ended as {stands} at {session['ended_at']}, its evidence demands {demanded} at {expected.ended_at}"
