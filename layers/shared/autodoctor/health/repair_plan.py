"""What has one right answer, worked out from a session's own record: pure functions, nothing is changed here.

- An audit row that is missing where exactly one move leads from the row before to the row after (or to the status that
  stands): that move. Two missing moves in a row have more than one story, and are left.
- A finished session's assignment that is still open, or ended as something else: as its session ended.
- A session whose evidence demands another outcome, start or end than the one that stands: what the verdict says, as
  long as the evidence does not contradict itself. What was settled stays settled: money that has moved has no one right
  answer, so verify reports the difference (`settled_otherwise`) until a person has decided.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from autodoctor.domain.lifecycle import ACTIVE_SESSION, ASSIGNMENT_MOVES, OPEN_ASSIGNMENT, SESSION_MOVES
from autodoctor.health import checks_evidence, checks_session, checks_trail
from autodoctor.health.checks import Check
from autodoctor.health.checks_outcome import WRONG_TIMES, WRONGLY_MARKED, Judged, judge
from autodoctor.health.checks_record import Assignment, AssignmentEvent, Event, Record, Session

_MOVES: Final = {(str(a), str(b)) for a, moves in SESSION_MOVES.items() for b in moves} | {
    (None, "pending"),
    (None, "scheduled"),
}
_ASSIGNMENT_MOVES: Final = {(str(a), str(b)) for a, moves in ASSIGNMENT_MOVES.items() for b in moves} | {
    (None, "pending_waiver"),
    (None, "queued"),
    (None, "offered"),
}
_CONTRADICTIONS: Final = frozenset(
    {checks_evidence.VISITS.slug, checks_evidence.STRANGER.slug, checks_evidence.MECHANIC_MISSING.slug}
)


@dataclass(frozen=True, slots=True)
class MissingRow:
    """An audit row to be written.

    Attributes:
        assignment: of which assignment; None: of the session.
        source: the status before; None for the creation.
        target: the status after.
        at: when it happened, as far as other rows say: no later than what followed.
        after: the row before it; 0: it is the first.
        before: the row that follows it; None: it is the last.
    """

    assignment: Assignment | None
    source: str | None
    target: str
    at: datetime
    after: int
    before: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to put right.

    Attributes:
        check: which check found it.
        subject: the id of the session or assignment.
        previous: what it is.
        now: what it becomes.
        reason: why that is the one right answer.
        row: an audit row to write.
        outcome: what the session becomes, past its guards.
        assignment: whose status follows that of the session.
        ended_at: when its trail says it ended so already; None: it ends now, and that is audited.
    """

    check: Check
    subject: str
    previous: dict[str, Any]
    now: dict[str, Any]
    reason: str
    row: MissingRow | None = None
    outcome: Judged | None = None
    assignment: Assignment | None = None
    past_guards: bool = field(default=False)
    ended_at: datetime | None = None


def plan(record: Record) -> Iterator[Change]:
    """What can be put right with one session, in the order in which it has to be done."""
    session = record.session
    if session is None or record.intake is None:
        return
    yield from _missing_rows(record, session)
    demanded = None if _is_contradictory(record) else judge(record)
    if demanded is not None:
        yield from _outcome(session, demanded)
    if session.status not in ACTIVE_SESSION:
        yield from _assignment(record, demanded.status if demanded else session.status)


def _is_contradictory(record: Record) -> bool:
    return any(finding.check.slug in _CONTRADICTIONS for finding in checks_evidence.check(record))


# --- audit rows -----------------------------------------------------------------------------------------------


def _missing_rows(record: Record, session: Session) -> Iterator[Change]:
    known = {"waiting": session.accepted_at, "live": session.started_at}
    for row in _gaps(record.transitions, session.status, session.created_at, session.ended_at, _MOVES):
        at = known.get(row.target)
        fits = at is not None and (row.before is None or at <= row.at)
        found = replace(row, at=at) if fits and at is not None else row
        yield _written(checks_trail.GAP, str(session.id), found)
    born_at = session.created_at
    for assignment in record.assignments:
        trail = [each for each in record.assignment_events if each.assignment_id == assignment.id]
        for row in _gaps(trail, assignment.status, born_at, assignment.ended_at, _ASSIGNMENT_MOVES):
            found = replace(row, assignment=assignment)
            yield _written(checks_trail.ASSIGNMENT_GAP, str(assignment.id), found)
        born_at = assignment.ended_at or born_at


def _written(check: Check, subject: str, row: MissingRow) -> Change:
    reason = f"no other move leads from {row.source or 'nothing'} to {row.target}"
    now = {"from": row.source, "to": row.target, "at": row.at.isoformat()}
    return Change(check, subject, {"auditRow": None}, now, reason, row=row)


def _gaps(
    trail: Sequence[Event] | Sequence[AssignmentEvent],
    status: str,
    born_at: datetime,
    ended_at: datetime | None,
    moves: Collection[tuple[str | None, str]],
) -> list[MissingRow]:
    """The rows that are missing, if each is the only one that can be; else none at all."""
    missing: list[MissingRow] = []
    before: str | None = None
    last_at, last_id = born_at, 0
    for event in trail:
        if event.from_status != before:
            if event.from_status is None or (before, event.from_status) not in moves:
                return []
            at = born_at if before is None else event.occurred_at
            moment = min(at, event.occurred_at)
            missing.append(MissingRow(None, before, event.from_status, moment, last_id, event.id))
        before, last_at, last_id = event.to_status, event.occurred_at, event.id
    if before != status:
        if (before, status) not in moves:
            return []
        missing.append(MissingRow(None, before, status, max(ended_at or last_at, last_at), last_id, None))
    return missing


def place_of(row: MissingRow, record: Record) -> tuple[int | None, datetime] | None:
    """A free id for a missing row and its instant, in the order of both; None where there is no place for it.

    The id is null for a row that is the last.
    """
    newest = max((each.id for each in record.everything), default=0)
    if row.before is None and all(each.occurred_at <= row.at for each in record.everything):
        return None, row.at
    end = row.before or newest + 1
    low, high = row.after, end
    for each in sorted(record.everything, key=lambda each: each.id):
        if low < each.id < high and each.occurred_at <= row.at:
            low = each.id
        elif low < each.id < high:
            high = each.id
    taken = {each.id for each in record.everything}
    for first, last in ((low, high), (row.after, end)):
        wanted = next((one for one in range(last - 1, first, -1) if one not in taken), None)
        if wanted is not None:
            trail = record.events if row.assignment is None else record.assignment_events
            no_later = min([row.at, *(each.occurred_at for each in trail if each.id > wanted)])
            return wanted, max([no_later, *(each.occurred_at for each in trail if each.id < wanted)])
    return None


# --- outcomes -------------------------------------------------------------------------------------------------


def _outcome(session: Session, demanded: Judged) -> Iterator[Change]:
    stands = Judged(
        session.status,
        session.end_reason or "",
        session.absent,
        session.started_at,
        session.ended_at or demanded.ended_at,
    )
    if stands == demanded:
        return
    is_marked = (stands.status, stands.reason, stands.absent) == (demanded.status, demanded.reason, demanded.absent)
    yield Change(
        WRONG_TIMES if is_marked else WRONGLY_MARKED,
        str(session.id),
        _told(stands),
        _told(demanded),
        "the verdict on its recorded evidence, with the threshold that was in force",
        outcome=demanded,
        past_guards=True,
    )


def _told(outcome: Judged) -> dict[str, Any]:
    return {
        "status": outcome.status,
        "reason": outcome.reason,
        "absent": outcome.absent,
        "startedAt": outcome.started_at and outcome.started_at.isoformat(),
        "endedAt": outcome.ended_at.isoformat(),
    }


def _assignment(record: Record, status: str) -> Iterator[Change]:
    current = record.current
    if current is None or current is not record.assignments[-1] or current.status == status:
        return
    if status == "completed" and current.mechanic_id is None:
        return  # who held it is not known
    is_open = current.status in OPEN_ASSIGNMENT
    by_guards = is_open and (current.status, status) in _ASSIGNMENT_MOVES and record.session is not None
    stands = record.session is not None and record.session.status == status
    trail = [each for each in record.assignment_events if each.assignment_id == current.id]
    told_at = trail[-1].occurred_at if trail and trail[-1].to_status == status else None
    yield Change(
        checks_session.STUCK_ASSIGNMENT if is_open else checks_session.ENDED_DIFFERENTLY,
        str(current.id),
        {"status": current.status},
        {"status": status},
        "a finished session's last assignment ended as the session did",
        assignment=current,
        past_guards=told_at is not None or not (by_guards and stands),
        ended_at=told_at,
    )
