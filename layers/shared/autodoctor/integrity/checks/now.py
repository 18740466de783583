"""The present: the queue, the sweeps' work, the outbox, the inbox, and people with more than one session.

Each check is one statement that reads by the partial index of what is open, never the history; of a long backlog of
events it counts the first thousand.
"""

from collections.abc import Iterator
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import tuple_row

from autodoctor.integrity.checks.base import Check, Finding, Section

type Query = tuple[Check, LiteralString]
"""A check and the statement that finds what is wrong: rows of subject and detail."""

TWO_SESSIONS: Final = Check("two_active_sessions", Section.SESSIONS, "a customer has more than one active session", 1)
MECHANIC_TWICE: Final = Check(
    "mechanic_twice", Section.SESSIONS, "a mechanic has more than one waiting or live session", 8
)
ORPHAN: Final = Check("orphan_left", Section.ACTIVITY, "pending or waiting for more than 2 hours: no sweep took it")
LIVE_TOO_LONG: Final = Check(
    "live_too_long", Section.ACTIVITY, "live past its minutes or its plan's maximum, or 10 minutes after they parted"
)
OFFER_LAPSED: Final = Check("offer_lapsed", Section.ACTIVITY, "an offer past its deadline: no sweep took it")
OVERDUE: Final = Check("scheduled_overdue", Section.ACTIVITY, "still scheduled after it came due")
NEVER_CAME: Final = Check(
    "mechanic_never_came", Section.ACTIVITY, "waiting for a mechanic who has not been there for 10 minutes"
)
SUMMARY_WAITS: Final = Check("summary_waits", Section.ACTIVITY, "a summary is overdue: no sweep took it")
QUEUED_OVER: Final = Check("queued_and_over", Section.QUEUE, "in the queue, and its session is not to be accepted")
QUEUED_WRONGLY: Final = Check(
    "queued_wrongly", Section.QUEUE, "in the queue without a place, or offered without a mechanic and a deadline"
)
OFFERED_IN_VAIN: Final = Check(
    "offered_in_vain", Section.QUEUE, "offered to a mechanic who is suspended or declined it"
)
UNREACHABLE: Final = Check("unreachable", Section.QUEUE, "for a workshop none of whose mechanics can take it")
LAG: Final = Check("outbox_lag", Section.OUTBOX, "an event that the bus does not have after 5 minutes", 12)
POISON: Final = Check("outbox_poison", Section.OUTBOX, "an event that was set aside", 12)
EMPTY_EVENT: Final = Check("outbox_of_nothing", Section.OUTBOX, "an event whose audit row does not exist", 12)
GIVEN_UP: Final = Check(
    "money_given_up", Section.MONEY, "a payout or refund that was given up, or came back, for a person to decide", 9
)
UNDECIDED: Final = Check(
    "settlement_held", Section.MONEY, "late evidence demands another outcome, for a person to decide", 9
)
STRANDED: Final = Check(
    "money_stranded", Section.MONEY, "money to be sent that nobody has attempted to send for an hour", 9
)
HOLD_OVERLOOKED: Final = Check(
    "hold_overlooked", Section.MONEY, "a payout that may be sent despite a hold, or waits for a release without one", 9
)
CONTEST_UNHELD: Final = Check(
    "contest_unheld", Section.MONEY, "a contested session's money that may be sent before the contest is decided", 9
)
CONTEST_WAITS: Final = Check(
    "contest_waits", Section.MONEY, "a contest that nobody has decided for 7 days, for a person to decide"
)
LOSS_BEHIND: Final = Check(
    "loss_unbooked", Section.MONEY, "a refund by hand or lost dispute that the ledger does not have", 10
)
DISPUTED_REST: Final = Check(
    "disputed_remains", Section.MONEY, "money is booked as disputed whose dispute is over, or not all of it", 10
)
UNNAMED_CHANGE: Final = Check(
    "change_by_nobody",
    Section.METADATA,
    "a mechanic, workshop, plan, pack or hold of a payout was changed by a statement that names no admin",
)
ROLE_SETTING: Final = Check(
    "role_setting", Section.METADATA, "the application's role has a setting that no migration gave it, or lacks one"
)
LARGE_OBJECT: Final = Check(
    "large_object", Section.METADATA, "a large object of the application's role: nothing of ours makes any"
)
UNHANDLED: Final = Check("event_unhandled", Section.INBOX, "a Stripe event was stored without its effect", 11)

# The sweeps run every minute: a row still there ten minutes after its time was missed.
_QUERIES: Final[tuple[Query, ...]] = (
    (
        TWO_SESSIONS,
        """
SELECT customer_id, format('%s active sessions', count(*)) FROM sessions
 WHERE ended_at IS NULL AND status IN ('scheduled', 'pending', 'waiting', 'live')
 GROUP BY customer_id HAVING count(*) > 1
""",
    ),
    (
        MECHANIC_TWICE,
        """
SELECT mechanic_id, format('%s sessions', count(*)) FROM sessions WHERE ended_at IS NULL
 AND status IN ('waiting', 'live') AND mechanic_id IS NOT NULL GROUP BY mechanic_id HAVING count(*) > 1
""",
    ),
    (
        ORPHAN,
        """
SELECT s.id, format('%s since %s', s.status, orphaned_since(s)) FROM sessions s
 WHERE s.ended_at IS NULL AND orphaned_since(s) < now() - orphan_age() - interval '10 minutes'
""",
    ),
    (
        LIVE_TOO_LONG,
        """
SELECT s.id, format('live since %s, parted %s', s.started_at, s.parted_at)
  FROM sessions s JOIN intakes i ON i.id = s.id
 WHERE s.ended_at IS NULL AND s.status = 'live' AND (s.parted_at < now() - parting_limit() - interval '10 minutes'
   OR (session_minutes(s)).grace_ends_at < now() - interval '10 minutes'
   OR s.started_at < now() - make_interval(mins => i.max_minutes + 10))
""",
    ),
    (
        OFFER_LAPSED,
        """
SELECT session_id, format('offered until %s', offer_expires_at) FROM session_assignments
 WHERE status = 'offered' AND offer_expires_at < now() - interval '10 minutes'
""",
    ),
    (
        OVERDUE,
        """
SELECT id, format('scheduled for %s', scheduled_for) FROM sessions
 WHERE ended_at IS NULL AND status = 'scheduled' AND scheduled_for < now() + lead_time() - interval '10 minutes'
""",
    ),
    (
        NEVER_CAME,
        """
SELECT s.id, format('without its mechanic since %s', deserted_since(s)) FROM sessions s
 WHERE s.ended_at IS NULL AND s.status = 'waiting'
   AND deserted_since(s) < now() - absence_limit() - interval '10 minutes'
""",
    ),
    (
        SUMMARY_WAITS,
        """
SELECT session_id, format('due at %s', due_at) FROM session_summaries
 WHERE told_at IS NULL AND due_at < now() - interval '10 minutes'
""",
    ),
    (
        QUEUED_OVER,
        """
SELECT a.session_id, format('assignment %s is %s, its session %s', a.id, a.status, s.status)
  FROM session_assignments a LEFT JOIN sessions s ON s.id = a.session_id
 WHERE a.status IN ('queued', 'offered') AND (s.status IN ('pending', 'scheduled')) IS NOT TRUE
""",
    ),
    (
        QUEUED_WRONGLY,
        """
SELECT a.session_id, format('assignment %s: queued at %s, mechanic %s, until %s',
                            a.id, a.queued_at, a.mechanic_id, a.offer_expires_at)
  FROM session_assignments a
 WHERE a.status IN ('queued', 'offered') AND (a.queued_at IS NULL
    OR (a.status = 'offered') <> (a.mechanic_id IS NOT NULL AND a.offer_expires_at IS NOT NULL)
    OR a.status = 'queued' AND num_nonnulls(a.mechanic_id, a.offer_expires_at) > 0)
""",
    ),
    (
        OFFERED_IN_VAIN,
        """
SELECT a.session_id, format('assignment %s, mechanic %s', a.id, a.mechanic_id)
  FROM session_assignments a LEFT JOIN mechanics m ON m.id = a.mechanic_id
 WHERE a.status = 'offered' AND ((m.status = 'active') IS NOT TRUE OR a.mechanic_id = ANY (a.declined_by))
""",
    ),
    (
        UNREACHABLE,
        """
SELECT session_id, format('workshop %s', workshop_id) FROM session_assignments
 WHERE status = 'queued' AND workshop_id IS NOT NULL AND queued_at < now() - interval '10 minutes'
   AND reachable_workshop(workshop_id, declined_by, session_id) IS NULL
""",
    ),
    (
        LAG,
        """
SELECT subject_id, format('event %s of %s, %s attempts', id, occurred_at, coalesce(attempts, 0))
  FROM outbox_events WHERE occurred_at < now() - interval '5 minutes' LIMIT 1000
""",
    ),
    (
        POISON,
        """
SELECT subject_id, format('event %s, set aside at %s', id, set_aside_at) FROM outbox_poison ORDER BY id
""",
    ),
    (
        EMPTY_EVENT,
        """
SELECT o.subject_id, format('event %s', o.id) FROM outbox o
 WHERE o.type IS NULL
   AND NOT EXISTS (SELECT FROM session_events e WHERE e.session_id = o.subject_id AND e.id = o.id)
   AND NOT EXISTS (SELECT FROM session_assignment_events e WHERE e.session_id = o.subject_id AND e.id = o.id)
""",
    ),
    (
        GIVEN_UP,
        """
SELECT session_id, format('payout %s of %s cents: %s', id, amount_cents, last_error) FROM payouts WHERE state = 'failed'
UNION ALL
SELECT session_id, format('payout %s was taken back, and is theirs: return_reversed() has it sent again', id)
  FROM payouts WHERE state = 'reversed' AND withheld_cents + netted_cents + sent_cents < amount_cents + reversed_cents
UNION ALL
SELECT intake_id, format('refund %s of %s cents: %s', id, amount_cents, last_error) FROM refunds WHERE state = 'failed'
""",
    ),
    (
        UNDECIDED,
        """
SELECT session_id, format('%s, demanded: %s', facts ->> 'status', demanded) FROM settlement_holds WHERE outcome IS NULL
""",
    ),
    (
        STRANDED,
        """
SELECT session_id, format('payout %s is %s, since %s', id, state, next_attempt_at) FROM payouts
 WHERE state IN ('due', 'held', 'sending') AND (next_attempt_at < now() - interval '1 hour') IS NOT FALSE
   AND waits_for IS DISTINCT FROM 'release'
UNION ALL
SELECT intake_id, format('refund %s is %s, since %s', id, state, next_attempt_at) FROM refunds
 WHERE state IN ('due', 'held', 'sending') AND (next_attempt_at < now() - interval '1 hour') IS NOT FALSE
UNION ALL
SELECT p.session_id, format('reversal %s is %s, since %s', r.id, r.state, r.next_attempt_at)
  FROM payout_reversals r JOIN payouts p ON p.id = r.payout_id
 WHERE r.state IN ('due', 'sending') AND (r.next_attempt_at < now() - interval '1 hour') IS NOT FALSE
""",
    ),
    (
        HOLD_OVERLOOKED,
        """
SELECT p.session_id, format('payout %s is %s, waits for %s', p.id, p.state, p.waits_for)
  FROM payouts p JOIN mechanics m ON m.id = p.mechanic_id
 WHERE p.state IN ('due', 'held') AND (
   is_held(p.id) <> (p.waits_for IS NOT DISTINCT FROM 'release' AND p.next_attempt_at IS NULL AND p.state = 'held')
   OR m.status = 'suspended'
      AND NOT EXISTS (SELECT FROM payout_holds h WHERE h.payout_id = p.id AND h.reason = 'suspended')
   OR p.kind = 'escalation'
      AND NOT EXISTS (SELECT FROM payout_holds h WHERE h.payout_id = p.id AND h.reason = 'escalation')
      AND (EXISTS (SELECT FROM contests c WHERE c.session_id = p.session_id AND c.outcome IN ('part', 'all'))
           OR EXISTS (SELECT FROM settlements s WHERE s.session_id = p.session_id AND s.outcome IN ('refund', 'return'))
           OR EXISTS (SELECT FROM checkouts k JOIN losses l ON l.payment_intent_id = k.stripe_payment_intent_id
                       WHERE k.intake_id = p.session_id AND l.effective)))
""",
    ),
    (
        CONTEST_UNHELD,
        """
SELECT c.session_id, format('payout %s is %s', p.id, p.state)
  FROM contests c JOIN payouts p ON p.session_id = c.session_id
 WHERE c.outcome IS NULL AND p.state IN ('due', 'held', 'failed') AND NOT EXISTS (
   SELECT FROM payout_holds h WHERE h.payout_id = p.id AND h.reason = 'contest' AND h.released_at IS NULL)
""",
    ),
    (
        CONTEST_WAITS,
        """
SELECT session_id, format('since %s', contested_at) FROM contests
 WHERE outcome IS NULL AND contested_at < now() - interval '7 days'
""",
    ),
    (
        LOSS_BEHIND,
        """
SELECT l.id, format('%s of %s cents, booked: %s', l.kind, l.cents, l.booked)
  FROM (SELECT id, payment_intent_id FROM stripe_refunds
         WHERE (NOT failed AND booked = 'nothing') OR (failed AND booked IN ('held', 'split'))
        UNION ALL
        SELECT id, payment_intent_id FROM stripe_disputes
         WHERE dispute_is_behind(status, withdrawn_cents, reinstated_cents, booked, lost_cents)
       ) AS behind
  JOIN losses l ON l.id = behind.id
  JOIN checkouts c ON c.stripe_payment_intent_id = l.payment_intent_id AND (c.status = 'paid'
    OR EXISTS (SELECT FROM ledger_transfer t WHERE t.key = 'session:' || c.intake_id || ':charge'))
 WHERE l.created_at < now() - interval '1 hour' AND l.behind
""",
    ),
    (
        DISPUTED_REST,
        """
SELECT d.id, format('it is %s, %s cents are booked as disputed', d.status, rest.cents)
  FROM stripe_disputes d
  JOIN (SELECT statement_subject(t.key) AS subject,
               sum(CASE WHEN t.debit_account = 'disputed' THEN t.amount ELSE -t.amount END) AS cents
          FROM ledger_transfer t WHERE t.debit_account = 'disputed' OR t.credit_account = 'disputed' GROUP BY 1) AS rest
    ON rest.subject = 'dispute:' || d.id
 WHERE rest.cents <> 0 AND d.updated_at < now() - interval '1 hour'
   AND d.status NOT IN ('needs_response', 'under_review') AND d.status NOT LIKE 'warning%'
""",
    ),
    (
        UNNAMED_CHANGE,
        """
SELECT c.subject, format('%s (%s) by %s at %s', c.kind, array_to_string(c.changed, ', '), c.actor, c.at)
  FROM admin_changes c WHERE c.actor IS NOT NULL AND c.kind <> 'mechanic.destination_changed' ORDER BY c.id LIMIT 1000
""",
    ),
    (
        ROLE_SETTING,
        """
WITH wanted (item) AS (
  VALUES ('statement_timeout=5s'), ('lock_timeout=2s'), ('idle_in_transaction_session_timeout=10s')
), stored AS (
  SELECT c.item, r.setdatabase FROM pg_db_role_setting r CROSS JOIN unnest(r.setconfig) AS c (item)
    LEFT JOIN pg_settings p ON p.name = split_part(c.item, '=', 1)
   WHERE r.setrole = to_regrole('autodoctor_app')
     AND r.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
     AND coalesce(p.context, 'user') = 'user' -- what the role can set itself; a superuser sets the rest
)
SELECT 'autodoctor_app', 'it has ' || split_part(s.item, '=', 1) FROM stored s
 WHERE s.setdatabase <> 0 OR s.item NOT IN (SELECT w.item FROM wanted w)
UNION ALL
SELECT 'autodoctor_app', 'it lacks ' || w.item FROM wanted w
 WHERE w.item NOT IN (SELECT s.item FROM stored s WHERE s.setdatabase = 0) AND to_regrole('autodoctor_app') IS NOT NULL
""",
    ),
    (
        LARGE_OBJECT,
        """
SELECT o.oid, 'it holds space and locks' FROM pg_largeobject_metadata o
 WHERE o.lomowner = to_regrole('autodoctor_app') LIMIT 1000
""",
    ),
    (
        UNHANDLED,
        """
SELECT id, format('%s, received at %s', type, received_at) FROM stripe_events WHERE handled_at IS NULL
""",
    ),
)
CHECKS: Final = tuple(check for check, _ in _QUERIES)


def check(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """Check the present state.

    Args:
        connection: in a transaction with one snapshot.
    """
    yield from findings_of(connection, _QUERIES)


def findings_of(
    connection: psycopg.Connection[Any], queries: tuple[Query, ...], **parameters: object
) -> Iterator[Finding]:
    """The rows that the statements find, as findings of their checks."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        for kind, query in queries:
            for subject, detail in cursor.execute(query, parameters or None):
                yield kind.of(subject, detail)
