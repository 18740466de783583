"""Plans the repairs that have one right answer, from a session's own record; pure functions, nothing is changed here.

- A missing audit row, if exactly one move leads from the row before to the row after (or to the current status) and
  another row gives its instant (gaps.py). Two missing moves in a row could have happened in more than one way.
- A session whose evidence demands another outcome, start or end, if no sound row contradicts that (outcome.py).
- A finished session's assignment that is still open, or ended differently: it takes the session's end, if the session's
  own trail confirms that end.

A row that verify reports as unsound confirms nothing; if sound rows contradict each other, a person decides.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from autodoctor.domain.lifecycle import ACTIVE_SESSION, OPEN_ASSIGNMENT
from autodoctor.integrity.checks import session as checks_session
from autodoctor.integrity.checks import trail as checks_trail
from autodoctor.integrity.checks.base import Check
from autodoctor.integrity.checks.outcome import WRONG_TIMES, WRONGLY_MARKED, Judged, judge
from autodoctor.integrity.checks.record import Assignment, Record, Session
from autodoctor.integrity.repair.gaps import MOVES_OF_ASSIGNMENTS, MissingRow, missing_rows, place_of, trail_of
from autodoctor.integrity.repair.outcome import money_agrees, outcome_to_write, stands


@dataclass(frozen=True, slots=True)
class Change:
    """One repair.

    Attributes:
        check: the check that found the problem.
        subject: the id of the session or assignment.
        previous: the value before.
        now: the value after.
        reason: why that is the one right answer.
        row: an audit row to write.
        outcome: the session's new outcome, written with its guards disabled.
        is_audited: whether the session's trail has it already.
        assignment: the assignment whose status follows the session's, written with its guards disabled.
        ended_at: when its trail says it ended so; None if the trail said otherwise and the correction is audited.
    """

    check: Check
    subject: str
    previous: dict[str, Any]
    now: dict[str, Any]
    reason: str
    row: MissingRow | None = None
    outcome: Judged | None = None
    is_audited: bool = field(default=False)
    assignment: Assignment | None = None
    ended_at: datetime | None = None

    @property
    def past_guards(self) -> bool:
        """Whether the guards of finished sessions have to be disabled for it."""
        return self.outcome is not None or self.assignment is not None


def plan(record: Record, now: datetime, moved: Collection[str] = ()) -> Iterator[Change]:
    """The repairs of one session, in the order in which they have to be done.

    Args:
        record: everything that belongs to it.
        now: by the database's clock; nothing later is written or believed.
        moved: what its money did: pay, refund, return.
    """
    session = record.session
    if session is None or record.intake is None:
        return
    missing = [row for row in missing_rows(record, session, now) if place_of(row, record) is not None]
    yield from (_written(session, row) for row in missing)
    demanded = outcome_to_write(record, now, moved)
    if demanded is not None:
        yield _outcome(record, session, demanded)
    yield from _assignment(record, session, demanded, missing, now, moved)


def _written(session: Session, row: MissingRow) -> Change:
    of_session = row.assignment is None
    return Change(
        checks_trail.GAP if of_session else checks_trail.ASSIGNMENT_GAP,
        str(session.id if row.assignment is None else row.assignment.id),
        {"auditRow": None},
        {"from": row.source, "to": row.target, "at": row.at.isoformat()},
        f"no other move leads from {row.source or 'nothing'} to {row.target}, and other rows say when",
        row=row,
    )


def _outcome(record: Record, session: Session, demanded: Judged) -> Change:
    as_it_is = stands(session, demanded)
    is_marked = (as_it_is.status, as_it_is.reason, as_it_is.absent) == (
        demanded.status,
        demanded.reason,
        demanded.absent,
    )
    trail = record.transitions
    return Change(
        WRONG_TIMES if is_marked else WRONGLY_MARKED,
        str(session.id),
        _as_json(as_it_is),
        _as_json(demanded),
        "the verdict on its recorded evidence, with the threshold that was in force",
        outcome=demanded,
        is_audited=bool(trail) and trail[-1].to_status == demanded.status,
    )


def _as_json(outcome: Judged) -> dict[str, Any]:
    return {
        "status": outcome.status,
        "reason": outcome.reason,
        "absent": outcome.absent,
        "startedAt": outcome.started_at and outcome.started_at.isoformat(),
        "endedAt": outcome.ended_at.isoformat(),
        "togetherSeconds": None if outcome.together_seconds is None else str(outcome.together_seconds),
    }


# --- assignments ----------------------------------------------------------------------------------------------


def _assignment(  # noqa: PLR0913, PLR0917 - all that may contradict it
    record: Record,
    session: Session,
    demanded: Judged | None,
    missing: Sequence[MissingRow],
    now: datetime,
    moved: Collection[str],
) -> Iterator[Change]:
    current = record.current
    status = demanded.status if demanded else session.status
    if current is None or current is not record.assignments[-1] or status in {*ACTIVE_SESSION, current.status}:
        return
    if status == "completed" and current.mechanic_id is None:
        return  # who held it is not known
    ended_at = _ended_at(record, status, missing)
    trail = trail_of(record, current)
    is_known = demanded is not None or (ended_at is not None and not _is_disputed(record, session))
    if not trail or not is_known or not money_agrees(status, moved):
        return
    row: MissingRow | None = None
    last = trail[-1]
    if last.to_status == status:
        ended_at = last.occurred_at
    elif ended_at is None and demanded is not None and last.to_status == current.status:
        pass  # marked wrongly in its trail too: the correction is a row of its own
    elif last.to_status == current.status and (current.status, status) in MOVES_OF_ASSIGNMENTS and ended_at is not None:
        row = MissingRow(current, current.status, status, ended_at, last.id, None)
    else:
        return
    if ended_at is not None and ended_at > now:
        return
    yield Change(
        checks_session.STUCK_ASSIGNMENT if current.status in OPEN_ASSIGNMENT else checks_session.ENDED_DIFFERENTLY,
        str(current.id),
        {"status": current.status},
        {"status": status},
        "a finished session's last assignment ended as the session did",
        row=row,
        assignment=current,
        ended_at=ended_at,
    )


def _ended_at(record: Record, status: str, missing: Sequence[MissingRow]) -> datetime | None:
    """When the session ended so, according to its own trail as it is or will be."""
    trail = record.transitions
    if trail and trail[-1].to_status == status:
        return trail[-1].occurred_at
    return next((row.at for row in missing if row.assignment is None and row.target == status), None)


def _is_disputed(record: Record, session: Session) -> bool:
    """Whether its evidence demands another status than the one that stands."""
    judged = judge(record)
    return judged is not None and judged.status != session.status
