"""States of sessions and assignments, and the moves between them.

The database holds the same lists in its constraints and in `session_may_move()` and
`assignment_may_move()`; a test compares them.
"""

from enum import StrEnum


class SessionStatus(StrEnum):
    """The state of a session."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    WAITING = "waiting"
    LIVE = "live"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class AssignmentStatus(StrEnum):
    """The state of one attempt to give a session to a mechanic."""

    PENDING_WAIVER = "pending_waiver"
    QUEUED = "queued"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class EndReason(StrEnum):
    """Why a session ended as it did."""

    BILLABLE = "billable"
    TOO_SHORT = "too_short"
    NO_TALK = "no_talk"
    NO_SHOW = "no_show"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


_S = SessionStatus
SESSION_MOVES: dict[SessionStatus, frozenset[SessionStatus]] = {
    _S.SCHEDULED: frozenset({_S.PENDING, _S.CANCELLED, _S.EXPIRED}),
    _S.PENDING: frozenset({_S.WAITING, _S.CANCELLED, _S.EXPIRED}),
    _S.WAITING: frozenset({_S.LIVE, _S.PENDING, _S.CANCELLED, _S.EXPIRED}),
    _S.LIVE: frozenset({_S.COMPLETED, _S.CANCELLED}),
    _S.COMPLETED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.EXPIRED: frozenset(),
}
ACTIVE_SESSION = frozenset(status for status, moves in SESSION_MOVES.items() if moves)
TERMINAL = frozenset(SESSION_MOVES) - ACTIVE_SESSION

_A = AssignmentStatus
ASSIGNMENT_MOVES: dict[AssignmentStatus, frozenset[AssignmentStatus]] = {
    _A.PENDING_WAIVER: frozenset({_A.QUEUED, _A.OFFERED, _A.CANCELLED, _A.EXPIRED}),
    _A.QUEUED: frozenset({_A.OFFERED, _A.ACCEPTED, _A.CANCELLED, _A.EXPIRED}),
    _A.OFFERED: frozenset({_A.ACCEPTED, _A.DECLINED, _A.CANCELLED, _A.EXPIRED}),
    _A.ACCEPTED: frozenset({_A.COMPLETED, _A.CANCELLED, _A.EXPIRED}),
    _A.DECLINED: frozenset(),
    _A.COMPLETED: frozenset(),
    _A.CANCELLED: frozenset(),
    _A.EXPIRED: frozenset(),
}
OPEN_ASSIGNMENT = frozenset(status for status, moves in ASSIGNMENT_MOVES.items() if moves)
