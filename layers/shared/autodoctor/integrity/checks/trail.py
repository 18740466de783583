"""The audit trail explains the status of every row without a gap (SPEC.md#invariants, 4 and 7)."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID  # noqa: TC003 - annotates local variables

from autodoctor.domain.lifecycle import ASSIGNMENT_MOVES, SESSION_MOVES, TERMINAL
from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.record import Assignment, AssignmentEventRow, Event, Record

_IN_TRANSITIONS = Section.TRANSITIONS
MOVE: Final = Check("impossible_move", _IN_TRANSITIONS, "a session moved as none may", 4)
ASSIGNMENT_MOVE: Final = Check("impossible_assignment_move", _IN_TRANSITIONS, "an assignment moved as none may", 4)
GAP: Final = Check(
    "missing_audit", _IN_TRANSITIONS, "the audit trail does not lead to the session's status", 7, repairable=True
)
ASSIGNMENT_GAP: Final = Check(
    "missing_assignment_audit",
    _IN_TRANSITIONS,
    "the trail does not lead to the assignment's status",
    7,
    repairable=True,
)
ACTOR: Final = Check("actor_unknown", _IN_TRANSITIONS, "an audit row does not say who did it", 7)
NOT_FOLLOWED: Final = Check("not_followed", _IN_TRANSITIONS, "no assignment moved with its session", 7)

CHECKS: Final = (MOVE, ASSIGNMENT_MOVE, GAP, ASSIGNMENT_GAP, ACTOR, NOT_FOLLOWED)

_MOVES: Final = {(str(a), str(b)) for a, moves in SESSION_MOVES.items() for b in moves}
_MOVES_OF_ASSIGNMENTS: Final = {(str(a), str(b)) for a, moves in ASSIGNMENT_MOVES.items() for b in moves}
_MOVES_OF_ASSIGNMENTS.add(("queued", "queued"))  # a workshop's request became everybody's
_BORN: Final = frozenset({"pending", "scheduled"})
_ASSIGNMENT_BORN: Final = frozenset({"pending_waiver", "queued", "offered"})
_FOLLOWS: Final = {
    ("pending", "waiting"): "accepted",
    ("waiting", "pending"): "expired",
    **{(source, target): target for source, target in _MOVES if target in TERMINAL},
}
_USERS: Final = frozenset({"customer", "mechanic", "admin"})
_OTHERS: Final = ("system:", "operator:", "db:")
_AT_ONCE: Final = timedelta(seconds=10)


def check(record: Record) -> Iterator[Finding]:
    """What is wrong with the audit trail of a session and its assignments."""
    transitions = record.transitions
    if record.session is not None and _broken(transitions, record.session.status):
        yield GAP.of(record.id, f"it is {record.session.status}, its trail: {_listed(transitions)}")
    followers = _Followers(record.assignment_events)
    for event in transitions:
        move = (event.from_status, event.to_status)
        if not event.repaired and (move not in _MOVES if event.from_status else event.to_status not in _BORN):
            yield MOVE.of(record.id, f"event {event.id}: from {event.from_status} to {event.to_status}")
        if move in _FOLLOWS and not event.repaired and not followers.has(event, _FOLLOWS[move]):
            yield NOT_FOLLOWED.of(record.id, f"event {event.id}: no assignment became {_FOLLOWS[move]} with it")
    yield from _assignments(record)
    for each in record.everything:
        if (each.actor_id is None) if each.actor in _USERS else _is_nobody(each):
            yield ACTOR.of(record.id, f"event {each.id}: {each.actor.split(':')[0]!r}")


def _assignments(record: Record) -> Iterator[Finding]:
    by_assignment: dict[UUID, list[AssignmentEventRow]] = defaultdict(list)
    for event in record.assignment_events:
        by_assignment[event.assignment_id].append(event)
        if event.repaired:
            continue
        move = (event.from_status, event.to_status)
        if move not in _MOVES_OF_ASSIGNMENTS if event.from_status else event.to_status not in _ASSIGNMENT_BORN:
            yield ASSIGNMENT_MOVE.of(record.id, f"event {event.id}: from {event.from_status} to {event.to_status}")
    rows: dict[UUID, Assignment] = {each.id: each for each in record.assignments}
    for assignment_id in rows.keys() | by_assignment.keys():
        trail, row = by_assignment.get(assignment_id, []), rows.get(assignment_id)
        if record.session is not None and (row is None or _broken(trail, row.status)):
            detail = f"assignment {assignment_id} is {row and row.status}, its trail: {_listed(trail)}"
            yield ASSIGNMENT_GAP.of(record.id, detail)


def _broken(trail: Sequence[Event] | Sequence[AssignmentEventRow], status: str) -> bool:
    """Whether some row does not begin where the one before ended, or the last one does not end at `status`."""
    before: str | None = None
    for event in trail:
        if event.from_status != before:
            return True
        before = event.to_status
    return before != status


def _listed(trail: Sequence[Event] | Sequence[AssignmentEventRow]) -> str:
    return ", ".join(f"{each.from_status or 'nothing'}>{each.to_status}" for each in trail) or "nothing"


class _Followers:
    """What assignments became, by whom and when: a long trail is not searched for each of its moves."""

    def __init__(self, events: Sequence[AssignmentEventRow]) -> None:
        self._repaired = {each.to_status for each in events if each.repaired}
        self._times: dict[tuple[str, str, UUID | None], list[datetime]] = defaultdict(list)
        for each in events:
            self._times[each.to_status, each.actor, each.actor_id].append(each.occurred_at)
        for times in self._times.values():
            times.sort()

    def has(self, cause: Event, status: str) -> bool:
        """Whether an assignment moved to `status` by the same hand at the same time (or was put right later)."""
        if status in self._repaired:
            return True
        times = self._times.get((status, cause.actor, cause.actor_id), [])
        first = bisect_left(times, cause.occurred_at - _AT_ONCE)
        return first < len(times) and times[first] <= cause.occurred_at + _AT_ONCE


def _is_nobody(event: Event | AssignmentEventRow) -> bool:
    """Whether the actor is not a named job, operator or database role, or names an impossible user."""
    kind, _, name = event.actor.partition(":")
    return event.actor_id is not None or f"{kind}:" not in _OTHERS or not name
