"""Sessions and their assignments agree: invariants 2, 3 and 5, and 6 as far as the row itself says.

In words: SPEC.md#invariants.
"""

from collections.abc import Iterator
from typing import Final

from autodoctor.domain.lifecycle import ACTIVE_SESSION, OPEN_ASSIGNMENT
from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.record import Record, Session

_IN_SESSIONS = Section.SESSIONS
LONELY_ROWS: Final = Check("lonely_rows", _IN_SESSIONS, "rows of a session that does not exist", 2)
INTAKE_DIFFERS: Final = Check("intake_differs", _IN_SESSIONS, "a session without an intake of its customer")
STATUS_UNKNOWN: Final = Check("status_unknown", _IN_SESSIONS, "a status that does not exist", 4)
ASSIGNMENT_MISSING: Final = Check("assignment_missing", _IN_SESSIONS, "no current assignment, or not the last one", 2)
OPEN_ASSIGNMENTS: Final = Check("open_assignments", _IN_SESSIONS, "active with not exactly one open assignment", 2)
STUCK_ASSIGNMENT: Final = Check(
    "stuck_assignment", _IN_SESSIONS, "over, and an assignment is still open", 3, repairable=True
)
ENDED_DIFFERENTLY: Final = Check(
    "ended_differently", _IN_SESSIONS, "its last assignment ended as something else", 3, repairable=True
)
END_INCOMPLETE: Final = Check("end_incomplete", _IN_SESSIONS, "when, why or by which threshold it ended is missing", 3)
HELD_DIFFERENTLY: Final = Check("held_differently", _IN_SESSIONS, "session and assignment name different mechanics", 5)
OWN_SESSION: Final = Check("own_session", _IN_SESSIONS, "mechanic and customer are the same user", 5)
TOO_SHORT: Final = Check("billable_mismatch", Section.OUTCOMES, "completed and too short, or long enough and not", 6)
NEVER_STARTED: Final = Check("start_mismatch", Section.OUTCOMES, "a start that its status excludes, or none", 6)

CHECKS: Final = (
    LONELY_ROWS,
    INTAKE_DIFFERS,
    STATUS_UNKNOWN,
    ASSIGNMENT_MISSING,
    OPEN_ASSIGNMENTS,
    STUCK_ASSIGNMENT,
    ENDED_DIFFERENTLY,
    END_INCOMPLETE,
    HELD_DIFFERENTLY,
    OWN_SESSION,
    TOO_SHORT,
    NEVER_STARTED,
)

_ASSIGNMENT_OF: Final = {
    "scheduled": {"pending_waiver", "queued", "offered"},
    "pending": {"pending_waiver", "queued", "offered"},
    "waiting": {"accepted"},
    "live": {"accepted"},
    "completed": {"completed"},
    "cancelled": {"cancelled"},
    "expired": {"expired"},
}
_HELD: Final = frozenset({"waiting", "live", "completed"})
_NOT_HELD: Final = frozenset({"pending", "scheduled"})
_REASONS: Final = {
    "completed": {"billable"},
    "cancelled": {"too_short", "no_talk", "no_show", "withdrawn"},
    "expired": {"expired"},
}


def check(record: Record) -> Iterator[Finding]:
    """What is wrong with a session and its assignments."""
    session = record.session
    if session is None:
        if record.events or record.assignment_events or record.assignments or record.participants or record.waiver:
            yield LONELY_ROWS.of(record.id, "there is no such session")
        return
    if record.intake is None or record.intake.customer_id != session.customer_id:
        yield INTAKE_DIFFERS.of(session.id, "its intake is missing or another customer's")
    if session.status not in _ASSIGNMENT_OF:
        yield STATUS_UNKNOWN.of(session.id, f"its status is {session.status}")
        return
    yield from _assignments(record, session)
    yield from _held(record, session)
    yield from _ended(session)


def _assignments(record: Record, session: Session) -> Iterator[Finding]:
    current = record.current
    still_open = [each for each in record.assignments if each.status in OPEN_ASSIGNMENT or each.ended_at is None]
    if current is None or current is not record.assignments[-1] or current.attempt != len(record.assignments):
        yield ASSIGNMENT_MISSING.of(session.id, f"it has {len(record.assignments)}, none of them is current and last")
    if session.status in ACTIVE_SESSION:
        if [current] != still_open or current is None or current.status not in _ASSIGNMENT_OF[session.status]:
            says = ", ".join(each.status for each in still_open) or "none"
            yield OPEN_ASSIGNMENTS.of(session.id, f"it is {session.status}, its open assignments: {says}")
    elif still_open:
        yield STUCK_ASSIGNMENT.of(session.id, f"it is {session.status}, assignment {still_open[0].id} is open")
    elif current is not None and current.status != session.status:
        yield ENDED_DIFFERENTLY.of(session.id, f"it is {session.status}, its assignment {current.status}")


def _held(record: Record, session: Session) -> Iterator[Finding]:
    current, named = record.current, session.mechanic_id
    unnamed = named is None and session.status in _HELD
    too_early = named is not None and session.status in _NOT_HELD
    # who was offered a session that then ended is named by its assignment alone
    by_another = named is not None and current is not None and current.mechanic_id != named
    if unnamed or too_early or by_another:
        detail = f"it is {session.status} by {named}, its assignment by {current and current.mechanic_id}"
        yield HELD_DIFFERENTLY.of(session.id, detail)
    if named is not None and record.intake is not None and session.mechanic_user_id == record.intake.customer_user_id:
        yield OWN_SESSION.of(session.id, f"mechanic {named}")


def _ended(session: Session) -> Iterator[Finding]:
    over = session.status not in ACTIVE_SESSION
    stamped = (
        *(session.ended_at, session.end_reason, session.ended_by, session.min_billable_seconds),
        *(session.min_messages_each, session.late_minutes),
    )
    if (None not in stamped) is not over or (not over and any(each is not None for each in stamped)):
        yield END_INCOMPLETE.of(session.id, f"it is {session.status}, ended {session.ended_at}: {session.end_reason}")
        return
    if over and session.end_reason not in _REASONS[session.status]:
        yield END_INCOMPLETE.of(session.id, f"it is {session.status} because {session.end_reason}")
    started, together, minimum = session.started_at, session.together_seconds, session.min_billable_seconds
    if over and minimum is not None:
        long_enough = together is not None and together >= minimum
        if long_enough is not (session.status == "completed") or (together is None) is not (started is None):
            yield TOO_SHORT.of(session.id, f"it is {session.status}, together for {together} of {minimum} s")
    must, may = session.status in {"live", "completed"}, session.status in {"live", "completed", "cancelled"}
    if (must and started is None) or (not may and started is not None):
        yield NEVER_STARTED.of(session.id, f"it is {session.status} and started at {started}")
