"""Finds missing audit rows, and their instants from the other rows of the session; pure functions.

A row is restored only if exactly one move leads from the row before to the row after (or to the current status), and
another row confirms that move: for an acceptance the assignment, the participant or the session, for an end the other
trail. A row is not accepted as confirmation if its time is in the future or outside its neighbours' in the trail. If
confirmations contradict each other or are missing, or the trail itself is unsound, a person has to decide.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from autodoctor.domain.ending import first_together
from autodoctor.domain.lifecycle import ACTIVE_SESSION, ASSIGNMENT_MOVES, OPEN_ASSIGNMENT, SESSION_MOVES
from autodoctor.integrity.checks.outcome import FOR_EVER, presence_of
from autodoctor.integrity.checks.record import Assignment, AssignmentEventRow, Event, Record, Session

MOVES: Final = {(str(a), str(b)) for a, moves in SESSION_MOVES.items() for b in moves} | {
    (None, "pending"),
    (None, "scheduled"),
}
# Nothing of ours offers what is queued already: a row that says so is more likely to be wrong than right.
MOVES_OF_ASSIGNMENTS: Final = {(str(a), str(b)) for a, moves in ASSIGNMENT_MOVES.items() for b in moves} - {
    ("queued", "offered")
} | {
    (None, "pending_waiver"),
    (None, "queued"),
    (None, "offered"),
    ("queued", "queued"),  # a workshop's request became everybody's
}
SLACK: Final = timedelta(seconds=10)
"""Between two clock readings of one transaction, as verify allows it."""

type Trail = Sequence[Event] | Sequence[AssignmentEventRow]


@dataclass(frozen=True, slots=True)
class MissingRow:
    """An audit row to be written.

    Attributes:
        assignment: of which assignment; None: of the session.
        source: the status before; None for the creation.
        target: the status after.
        at: when it happened, as the other rows say.
        after: the row before it; 0: it is the first.
        before: the row that follows it; None: it is the last.
    """

    assignment: Assignment | None
    source: str | None
    target: str
    at: datetime
    after: int
    before: int | None


def missing_rows(record: Record, session: Session, now: datetime) -> Iterator[MissingRow]:
    """The rows missing in the trails of a session and its assignments; of each trail all or none.

    Args:
        record: of the session.
        session: its row.
        now: by the database's clock; nothing later is written or believed.
    """
    trail = record.transitions
    gaps = _gaps(trail, session.status, MOVES, now) if _is_sound(trail, MOVES, now) else []
    moves = [(each.from_status, each.to_status) for each in trail]
    if _is_borne_out(record, session, [*moves, *((row.source, row.target) for row in gaps)]):
        yield from _all_or_none(
            [_dated(row, trail, _of_session(record, session, row), session.created_at, now) for row in gaps]
        )
    for assignment in record.assignments:
        own = trail_of(record, assignment)
        sound = _is_sound(own, MOVES_OF_ASSIGNMENTS, now)
        gaps = [
            replace(row, assignment=assignment)
            for row in (_gaps(own, assignment.status, MOVES_OF_ASSIGNMENTS, now) if sound else [])
        ]
        accepted = _instants(record.assignment_events, None, "accepted")
        if len(accepted) + sum(row.target == "accepted" for row in gaps) > len(_taken(record)):
            continue  # it tells of an acceptance by nobody
        if record.waiver is None and any(each.to_status in {"queued", "offered"} for each in own):
            continue  # it was shown to mechanics, and nobody signed
        yield from _all_or_none(
            [
                _dated(row, own, _of_assignment(record, session, assignment, row), session.created_at, now)
                for row in gaps
            ]
        )


def trail_of(record: Record, assignment: Assignment) -> list[AssignmentEventRow]:
    """The audit trail of one assignment, oldest first."""
    return [each for each in record.assignment_events if each.assignment_id == assignment.id]


def place_of(row: MissingRow, record: Record) -> tuple[int | None, datetime] | None:
    """A free id for a missing row and its instant, in the order of both; None when there is no room for it.

    The id is None for a row that comes last.
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
            at = max([no_later, *(each.occurred_at for each in trail if each.id < wanted)])
            return (wanted, at) if abs(at - row.at) <= SLACK else None
    return None


def _is_sound(trail: Trail, moves: Collection[tuple[str | None, str]], now: datetime) -> bool:
    instants = [each.occurred_at for each in trail]
    in_order = all(earlier <= later for earlier, later in pairwise(instants))
    possible = all(each.repaired or (each.from_status, each.to_status) in moves for each in trail)
    return in_order and possible and all(each <= now for each in instants)


def _is_borne_out(record: Record, session: Session, moves: Sequence[tuple[str | None, str | None]]) -> bool:
    """Whether as many mechanics took part, and gave it back, as the trail says, and the two met if it says so."""
    met = first_together(presence_of(record, session), FOR_EVER) is not None
    statuses = [status for _, status in moves]
    given_back = [each for each in record.participants if each.role == "mechanic" and each.until is not None]
    return (
        statuses.count("waiting") == len(_taken(record))
        and moves.count(("waiting", "pending")) == len(given_back)
        and ("live" in statuses) is met
    )


def _gaps(trail: Trail, status: str, moves: Collection[tuple[str | None, str]], now: datetime) -> list[MissingRow]:
    """The missing rows, not yet dated, if each is the only possible one; else none."""
    missing: list[MissingRow] = []
    before: str | None = None
    last = 0
    for event in trail:
        if event.from_status != before:
            if event.from_status in {None, event.to_status} or (before, event.from_status) not in moves:
                return []
            missing.append(MissingRow(None, before, event.from_status, event.occurred_at, last, event.id))
        before, last = event.to_status, event.id
    if before != status:
        if (before, status) not in moves:
            return []
        missing.append(MissingRow(None, before, status, now, last, None))
    return missing


def _all_or_none(rows: list[MissingRow | None]) -> list[MissingRow]:
    found = [row for row in rows if row is not None]
    return found if len(found) == len(rows) else []


def _dated(
    row: MissingRow, trail: Trail, witnesses: Iterable[datetime | None], born_at: datetime, now: datetime
) -> MissingRow | None:
    """The row with the instant on which its confirmations agree, between its neighbours; None when they differ."""
    low = max((each.occurred_at for each in trail if each.id <= row.after), default=born_at)
    high = min((each.occurred_at for each in trail if row.before is not None and each.id >= row.before), default=now)
    sound = [each for each in witnesses if each is not None and each <= now]
    inside = [each for each in sound if low <= each <= high]
    inside = inside or [each for each in sound if low - SLACK <= each <= high + SLACK]
    if not inside or max(inside) - min(inside) > SLACK:
        return None
    return replace(row, at=min(max(inside[0], low), high))


# --- witnesses, the most exact first ---------------------------------------------------------------------------


def _of_session(record: Record, session: Session, row: MissingRow) -> list[datetime | None]:
    match row.source, row.target:
        case None, target:
            as_scheduled = (target == "scheduled") is (session.scheduled_for is not None)
            return _of_creation(record, session) if as_scheduled and record.assignments else []
        case "scheduled", "pending":
            return [session.released_at]
        case _, "pending":
            given_back = [each.until for each in record.participants if each.role == "mechanic"]
            return [*_instants(record.assignment_events, "accepted", "expired"), *given_back]
        case _, "waiting":
            return [session.accepted_at, *_taken(record), *_instants(record.assignment_events, None, "accepted")]
        case _, "live":
            met = first_together(presence_of(record, session), FOR_EVER)
            return [session.started_at, met] if met is not None else []
        case _, target:
            return _of_end(record, session, target)


def _of_end(record: Record, session: Session, target: str) -> list[datetime | None]:
    current = record.current
    if current is None or session.ended_at is None or session.end_reason is None:
        return []
    ends = [*_instants(trail_of(record, current), None, target)]
    ends += [current.ended_at] if current.status == target and current.ended_at is not None else []
    return [*ends] if all(session.ended_at <= each + SLACK for each in ends) else []


def _of_assignment(record: Record, session: Session, assignment: Assignment, row: MissingRow) -> list[datetime | None]:
    signed_at = record.waiver.signed_at if record.waiver else None
    match row.source, row.target:
        case None, target:
            unsigned = signed_at is None or (assignment.attempt == 1 and signed_at > session.created_at)
            fits = unsigned if target == "pending_waiver" else signed_at is not None
            return _of_birth(record, session, assignment) if fits else []
        case "pending_waiver", "queued" | "offered":
            shown_at = assignment.queued_at if session.scheduled_for is None else None  # else its lead time
            return [signed_at, shown_at] if signed_at else []
        case _, "accepted":
            own = [each.since for each in record.participants if each.mechanic_id == assignment.mechanic_id]
            last = session.accepted_at if assignment is record.current else None
            return [*_instants(record.transitions, None, "waiting"), last, *own] if assignment.mechanic_id else []
        case source, target if target not in OPEN_ASSIGNMENT:
            others = [*_of_closing(record, session, assignment, source, target)]
            return [assignment.ended_at, *others] if others and assignment.ended_at is not None else []
    return []


def _of_creation(record: Record, session: Session) -> list[datetime | None]:
    """The session, its customer's participation and its first assignment begin in one transaction."""
    births = [each.occurred_at for each in record.transitions if each.from_status is None]
    first = [each for each in record.assignments if each.attempt == 1]
    births += [trail[0].occurred_at for each in first if (trail := trail_of(record, each)) and not trail[0].from_status]
    return [session.created_at, *births, *(each.since for each in record.participants if each.role == "customer")]


def _of_birth(record: Record, session: Session, assignment: Assignment) -> list[datetime | None]:
    if assignment.attempt == 1:
        return _of_creation(record, session)
    previous = [each for each in record.assignments if each.attempt == assignment.attempt - 1]
    if any(each.status in OPEN_ASSIGNMENT for each in previous):
        return []
    closed = [trail[-1].occurred_at for each in previous if (trail := trail_of(record, each))]
    return [*closed, *(each.ended_at for each in previous)]


def _of_closing(
    record: Record, session: Session, assignment: Assignment, source: str | None, target: str
) -> Iterator[datetime]:
    """Other rows that confirm its end: the session, if it ended or was released with it, or the next assignment."""
    if assignment is record.current and session.status not in ACTIVE_SESSION:
        yield from _instants(record.transitions, None, target)
        return
    following = [each for each in record.assignments if each.attempt == assignment.attempt + 1]
    births = [trail[0] for each in following if (trail := trail_of(record, each)) and trail[0].from_status is None]
    if births:
        yield from (each.occurred_at for each in births)
    elif source == "accepted" and following:
        yield from _instants(record.transitions, "waiting", "pending")


def _taken(record: Record) -> list[datetime]:
    return [each.since for each in record.participants if each.role == "mechanic"]


def _instants(trail: Trail, source: str | None, target: str) -> list[datetime]:
    """The instants at which the trail moved to a status; any source when `source` is None."""
    return [each.occurred_at for each in trail if each.to_status == target and source in {None, each.from_status}]
