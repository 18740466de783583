"""Timestamps: none in the future, all in the order in which things must have happened, and equal to their audit rows.

Tables outside a session's record (money, quotes, the ledger) are checked in windows of their own: the instant of an
event lies in the past, by whatever clock. Deadlines and next attempts may lie ahead.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from autodoctor.domain.lifecycle import OPEN_ASSIGNMENT, AssignmentStatus
from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.now import Query
from autodoctor.integrity.checks.record import Assignment, Record, Session

_IN_TIMESTAMPS = Section.TIMESTAMPS
FUTURE: Final = Check("in_the_future", _IN_TIMESTAMPS, "something happened in the future")
DISORDER: Final = Check("out_of_order", _IN_TIMESTAMPS, "its instants are not in the order of what happened")
TRAIL_DISORDER: Final = Check(
    "trail_out_of_order", _IN_TIMESTAMPS, "audit rows are not in the order of their instants", 7
)
UNLIKE_TRAIL: Final = Check("unlike_its_trail", _IN_TIMESTAMPS, "an instant is not that of its audit row", 7)

CHECKS: Final = (FUTURE, DISORDER, TRAIL_DISORDER, UNLIKE_TRAIL)

_SLACK: Final = timedelta(seconds=10)
"""Between two clock readings of one transaction; also a replica's or restored server's clock against the primary's."""
_CLOSED: Final = frozenset(AssignmentStatus) - OPEN_ASSIGNMENT
_SHOWN: Final = frozenset({"queued", "offered"})
_IMPORTED: Final = "system:import-legacy"

OF_SESSIONS: Final[tuple[Query, ...]] = (
    (
        FUTURE,
        """
SELECT id, format('%%s, %%s', what, at) FROM (
  SELECT session_id AS id, 'settled' AS what, decided_at AS at FROM settlements
   WHERE session_id > %(after)s AND session_id <= %(upto)s
  UNION ALL
  SELECT session_id, 'payout', greatest(created_at, keyed_at, asked_at, sent_at) FROM payouts
   WHERE session_id > %(after)s AND session_id <= %(upto)s
  UNION ALL
  SELECT p.session_id, 'reversal', greatest(r.created_at, r.keyed_at, r.asked_at, r.done_at)
    FROM payouts p JOIN payout_reversals r ON r.payout_id = p.id
   WHERE p.session_id > %(after)s AND p.session_id <= %(upto)s
  UNION ALL
  SELECT intake_id, 'refund', greatest(created_at, keyed_at, asked_at, sent_at) FROM refunds
   WHERE intake_id > %(after)s AND intake_id <= %(upto)s
  UNION ALL
  SELECT q.session_id, 'quote', greatest(q.requested_at, q.given_at, q.decided_at, e.occurred_at)
    FROM quotes q LEFT JOIN quote_events e ON e.quote_id = q.id
   WHERE q.session_id > %(after)s AND q.session_id <= %(upto)s
) AS happened WHERE at > clock_timestamp() + interval '10 seconds'
""",
    ),
    (
        DISORDER,
        """
SELECT s.id, format('settled at %%s, ended at %%s', st.decided_at, s.ended_at)
  FROM settlements st JOIN sessions s ON s.id = st.session_id
 WHERE st.session_id > %(after)s AND st.session_id <= %(upto)s AND st.decided_at < s.ended_at - interval '10 seconds'
""",
    ),
)
OF_CHECKOUTS: Final[Query] = (
    FUTURE,
    """
SELECT c.id, format('%%s, %%s', what, at)
  FROM checkouts c CROSS JOIN LATERAL (
    SELECT 'checkout' AS what, greatest(c.created_at, c.checked_at, c.fee_booked_at) AS at
    UNION ALL
    SELECT 'refund', created_at FROM stripe_refunds WHERE payment_intent_id = c.stripe_payment_intent_id
    UNION ALL
    SELECT 'dispute', greatest(created_at, updated_at) FROM stripe_disputes
     WHERE payment_intent_id = c.stripe_payment_intent_id
  ) AS happened
 WHERE c.id > %(after)s AND c.id <= %(upto)s AND at > clock_timestamp() + interval '10 seconds'
""",
)
OF_LEDGER: Final[Query] = (
    FUTURE,
    """
SELECT id, format('%%s, %%s', kind, created_at) FROM ledger_transfer
 WHERE id > %(after)s AND id <= %(upto)s AND created_at > clock_timestamp() + interval '10 seconds'
""",
)
OF_MECHANICS: Final[Query] = (
    FUTURE,
    """
SELECT m.id, format('%%s', greatest(m.created_at, a.keyed_at, a.updated_at))
  FROM mechanics m LEFT JOIN mechanic_accounts a ON a.mechanic_id = m.id
 WHERE m.id > %(after)s AND m.id <= %(upto)s
   AND greatest(m.created_at, a.keyed_at, a.updated_at) > clock_timestamp() + interval '10 seconds'
""",
)


def check(record: Record, now: datetime) -> Iterator[Finding]:
    """What is wrong with the instants of a session, or of an intake that became none.

    Args:
        record: of the session.
        now: by the database's clock.
    """
    if latest := max((each for each in _instants(record) if each > now + _SLACK), default=None):
        yield FUTURE.of(record.id, f"{latest}")
    session = record.session
    if session is None:
        return
    yield from _in_order(record, session)
    for trail in (
        [each.occurred_at for each in record.events],
        [each.occurred_at for each in record.assignment_events],
    ):
        if any(later < earlier for earlier, later in pairwise(trail)):
            yield TRAIL_DISORDER.of(session.id, "a later row tells of an earlier instant")
    yield from _session_like_trail(record, session)
    yield from _assignments_like_trail(record)
    yield from _participants_like_trail(record)


def _instants(record: Record) -> Iterator[datetime]:
    """Every instant at which something happened; a scheduled session enters the queue at its lead time."""
    found: list[datetime | None] = [each.occurred_at for each in record.everything]
    if (session := record.session) is not None:
        found += [session.created_at, session.released_at, session.accepted_at, session.started_at, session.ended_at]
        found += [session.customer_joined_at, session.mechanic_joined_at, session.parted_at]
    for stretch in record.presence:
        found += [stretch.since, stretch.until, stretch.recorded_at, stretch.closed_at]
    if record.intake is not None:
        found.append(record.intake.created_at)
    if record.waiver is not None:
        found.append(record.waiver.signed_at)
    for participant in record.participants:
        found += [participant.since, participant.until]
    for assignment in record.assignments:
        found.append(assignment.ended_at)
        if session is None or session.scheduled_for is None:
            found += [assignment.available_at, assignment.queued_at]
    yield from (each for each in found if each is not None)


def _in_order(record: Record, session: Session) -> Iterator[Finding]:
    steps = [session.created_at, session.accepted_at, session.started_at, session.ended_at]
    happened = [each for each in steps if each is not None]
    if record.intake is not None:
        happened.insert(0, record.intake.created_at)
    if any(later < earlier - _SLACK for earlier, later in pairwise(happened)):
        yield DISORDER.of(session.id, " > ".join(map(str, happened)))
    if (
        record.waiver is not None
        and record.intake is not None
        and record.waiver.signed_at < record.intake.created_at - _SLACK
    ):
        yield DISORDER.of(session.id, f"signed at {record.waiver.signed_at}, asked at {record.intake.created_at}")
    for assignment in record.assignments:
        if session.scheduled_for is not None and assignment.available_at > session.scheduled_for + _SLACK:
            detail = f"in the queue from {assignment.available_at}, scheduled for {session.scheduled_for}"
            yield DISORDER.of(session.id, f"assignment {assignment.id}: {detail}")


def _session_like_trail(record: Record, session: Session) -> Iterator[Finding]:
    audited = [each for each in record.transitions if not each.repaired]
    for what, says, trail in (
        ("created", session.created_at, [each.occurred_at for each in audited if each.from_status is None]),
        ("released", session.released_at, [each.occurred_at for each in audited if each.from_status == "scheduled"]),
        ("accepted", session.accepted_at, [each.occurred_at for each in audited if each.to_status == "waiting"]),
    ):
        if says is not None and trail and _differ(says, trail[-1]):
            yield UNLIKE_TRAIL.of(session.id, f"{what} at {says}, its audit row says {trail[-1]}")


def _assignments_like_trail(record: Record) -> Iterator[Finding]:
    shown = next((each for each in record.assignment_events if each.to_status in _SHOWN), None)
    for assignment in record.assignments:
        ended = [
            each.occurred_at
            for each in record.assignment_events
            if each.assignment_id == assignment.id and each.to_status in _CLOSED and not each.repaired
        ]
        if assignment.ended_at is not None and ended and _differ(assignment.ended_at, ended[-1]):
            detail = f"assignment {assignment.id} ended at {assignment.ended_at}, its audit row says {ended[-1]}"
            yield UNLIKE_TRAIL.of(record.id, detail)
        # who came in from the old system waits since they signed, whenever its last row was written
        if shown is not None and not shown.repaired and shown.actor != _IMPORTED:
            yield from _queued(record, assignment, shown.occurred_at)


def _queued(record: Record, assignment: Assignment, shown_at: datetime) -> Iterator[Finding]:
    """The queue position counts from the first queueing, or from the lead time; later attempts keep it."""
    since = max(shown_at, assignment.available_at)
    if assignment.queued_at is not None and _differ(assignment.queued_at, since):
        yield UNLIKE_TRAIL.of(
            record.id, f"assignment {assignment.id} queued at {assignment.queued_at}, its audit row says {since}"
        )


def _participants_like_trail(record: Record) -> Iterator[Finding]:
    """A mechanic takes part from the accept until the release or the removal."""
    mechanics = [each for each in record.participants if each.role == "mechanic"]
    accepted = [each for each in record.assignment_events if each.to_status == "accepted"]
    given_back = [each for each in record.transitions if (each.from_status, each.to_status) == ("waiting", "pending")]
    born = [each.occurred_at for each in record.transitions if each.from_status is None and not each.repaired]
    customers = [each.since for each in record.participants if each.role == "customer"]
    if born and any(_differ(since, born[0]) for since in customers):
        yield UNLIKE_TRAIL.of(record.id, f"its customer takes part since {customers[0]}, it was created at {born[0]}")
    for what, says, events in (
        ("came", sorted(each.since for each in mechanics), accepted),
        ("went", sorted(each.until for each in mechanics if each.until is not None), given_back),
    ):
        trail = sorted(each.occurred_at for each in events)
        if any(each.repaired for each in events) or (what == "came" and len(says) != len(trail)):
            continue  # how often somebody accepted is counted with the evidence
        if len(says) != len(trail) or any(map(_differ, says, trail)):
            detail = f"mechanics {what} at {_listed(says)}, its audit rows say {_listed(trail)}"
            yield UNLIKE_TRAIL.of(record.id, detail)


def _differ(says: datetime, trail: datetime) -> bool:
    return abs(says - trail) > _SLACK


def _listed(instants: list[datetime]) -> str:
    return ", ".join(map(str, instants)) or "no time"
