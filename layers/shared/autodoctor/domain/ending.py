"""The verdict on an ended session, from recorded evidence alone, as the schema's `judge()` gives it (SPEC.md#verdict).

Sessions are ended by the schema; this says the same of plain values, for whoever checks or reconstructs an outcome:
verify, repair, the import of the old system, and the tests, which compare the two.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from autodoctor.domain.lifecycle import EndReason, SessionStatus


class Absent(StrEnum):
    """The party that never came to a session that a mechanic had accepted."""

    CUSTOMER = "customer"
    MECHANIC = "mechanic"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Presence:
    """One recorded join or leave.

    Attributes:
        role: the party.
        kind: joined or left.
        at: when, by the database's clock.
    """

    role: Literal["customer", "mechanic"]
    kind: Literal["joined", "left"]
    at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence about a session that has not ended yet.

    Attributes:
        accepted: whether a mechanic holds it.
        started_at: the recorded start, if there is one.
        presence: joins and leaves, oldest first.
    """

    accepted: bool
    started_at: datetime | None
    presence: tuple[Presence, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a session.

    Attributes:
        status: completed or cancelled.
        reason: why.
        started_at: recorded or derived start; None if it never started.
        ended_at: the end that counts for duration and money.
        absent: the party that never came, if the reason is no_show.
    """

    status: SessionStatus
    reason: EndReason
    started_at: datetime | None
    ended_at: datetime
    absent: Absent | None = None


def verdict(evidence: Evidence, now: datetime, minimum: timedelta, maximum: timedelta) -> Verdict:
    """Judge a session that somebody asks to end.

    Args:
        evidence: the recorded evidence.
        now: the database's clock, after the session was locked.
        minimum: how long it must have lasted to be completed; exactly that long is enough.
        maximum: the plan's longest duration; the end is never later than start + maximum.

    Returns:
        completed, if it started and lasted long enough; otherwise cancelled with the reason.
    """
    first_together, last_together = _together(evidence.presence, now)
    started_at = evidence.started_at or first_together
    if not evidence.accepted:
        return Verdict(SessionStatus.CANCELLED, EndReason.WITHDRAWN, None, now)
    if started_at is None:
        return Verdict(SessionStatus.CANCELLED, EndReason.NO_SHOW, None, now, _absent(evidence.presence))
    ended_at = min(max(last_together or started_at, started_at), started_at + maximum)
    if ended_at - started_at >= minimum:
        return Verdict(SessionStatus.COMPLETED, EndReason.BILLABLE, started_at, ended_at)
    return Verdict(SessionStatus.CANCELLED, EndReason.TOO_SHORT, started_at, ended_at)


def _together(presence: tuple[Presence, ...], now: datetime) -> tuple[datetime | None, datetime | None]:
    """The first and the last instant at which both were present; the last is now while both still are."""
    here: set[str] = set()
    both = {"customer", "mechanic"}
    first: datetime | None = None
    last: datetime | None = None
    for event in presence:
        if here == both and event.kind == "left":
            last = event.at
        if event.kind == "joined":
            here.add(event.role)
        else:
            here.discard(event.role)
        if first is None and here == both:
            first = event.at
    if first is not None and here == both:
        last = now
    return first, last


def _absent(presence: tuple[Presence, ...]) -> Absent:
    """The party that never joined; both, if each joined but they never met."""
    came = {event.role for event in presence if event.kind == "joined"}
    if came == {"customer"}:
        return Absent.MECHANIC
    if came == {"mechanic"}:
        return Absent.CUSTOMER
    return Absent.BOTH
