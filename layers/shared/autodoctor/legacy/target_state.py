"""What a consultation of the old system becomes: which state, when and why, by the rules of SPEC.md#verdict.

| the old row says | and | it becomes |
|---|---|---|
| anything | both met for the billable minimum, and it is over | completed, billable |
| anything | both met for less, and it is over | cancelled, too_short |
| completed or cancelled | a mechanic held it, nobody met | cancelled, no_show |
| completed or cancelled | no mechanic | cancelled, withdrawn |
| expired | nobody met | expired |
| live, waiting, pending | both are there, or parted less than 10 minutes ago | live |
| waiting, live | accepted less than 10 minutes ago, or the mechanic is there | waiting |
| pending, waiting, live | younger than 2 hours | pending: queued with its old place, or unsigned |
| pending, waiting, live | older than 2 hours | expired, 2 hours after it was asked for |
| scheduled | more than 15 minutes ahead | scheduled |
| scheduled | due, or less than 2 hours past | pending, since now |
| scheduled | longer past | expired |
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from autodoctor.domain.ending import Evidence, Limits, Stretch, verdict
from autodoctor.domain.lifecycle import EndReason, SessionStatus
from autodoctor.legacy.evidence import Meeting, meeting
from autodoctor.legacy.names import OVER, Meaning
from autodoctor.legacy.old import Old

ORPHANED: Final = timedelta(hours=2)
DESERTED: Final = timedelta(minutes=10)
LEAD: Final = timedelta(minutes=15)
ACTIVE: Final = frozenset({
    SessionStatus.SCHEDULED,
    SessionStatus.PENDING,
    SessionStatus.WAITING,
    SessionStatus.LIVE,
})  # fmt: skip


class Notice(StrEnum):
    """Something about an old row that a reader of the report should know; it moved all the same."""

    NO_ASSIGNMENT = "no_assignment"
    STUCK_ASSIGNMENT = "stuck_assignment"
    OVERDUE = "overdue"
    OUTCOME_CONTRADICTED = "outcome_contradicted"
    COMPLETED_UNPROVEN = "completed_unproven"
    NO_WAIVER = "no_waiver"
    MECHANIC_UNKNOWN = "mechanic_unknown"
    MECHANIC_BY_USER = "mechanic_by_user"
    PLAN_UNKNOWN = "plan_unknown"
    TYPE_UNKNOWN = "type_unknown"
    ID_CHANGED = "id_changed"
    CUSTOMER_TWICE = "customer_twice"
    MECHANIC_TWICE = "mechanic_twice"
    PAID_AND_OPEN = "paid_and_open"


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a moved session.

    Attributes:
        minimum_seconds: to be billable.
        max_minutes: the plan's longest duration.
    """

    plan: str
    session_type: str
    minimum_seconds: int
    max_minutes: int
    mechanic_share_bp: int


@dataclass(frozen=True, slots=True)
class TargetState:
    """The target state of a consultation; times are the session's columns of the same name.

    Attributes:
        notices: what a reader should know.
        decided_at: when its last transition happened.
        born: the state it began in.
    """

    status: SessionStatus
    born: SessionStatus
    mechanic_id: UUID | None
    presence: tuple[Stretch, ...]
    accepted_at: datetime | None
    started_at: datetime | None
    together: timedelta | None
    parted_at: datetime | None
    released_at: datetime | None
    decided_at: datetime
    ended_at: datetime | None
    reason: EndReason | None
    absent: str | None
    queued_at: datetime | None
    notices: frozenset[Notice]


def target_state_of(old: Old, mechanic_id: UUID | None, terms: Terms, now: datetime) -> TargetState:
    """Decide the target state of an old consultation.

    Args:
        old: what is known of it.
        mechanic_id: who held it, in our table.
        terms: what it is held under.
        now: by the new database's clock.
    """
    met = meeting(old, has_mechanic=mechanic_id is not None)
    status = _still(old, met, terms, now)
    if status is None:
        return _over(old, met, mechanic_id, terms, now)
    return _active(old, met, mechanic_id, status, now)


def closed(old: Old, mechanic_id: UUID | None, terms: Terms, now: datetime, notice: Notice) -> TargetState:
    """The end of an active session that must give way to another: the verdict if it had begun, else expired."""
    met = meeting(old, has_mechanic=mechanic_id is not None)
    begun = met.since is not None
    met = met._replace(presence=_left(met.presence, now))
    return _ended(old, met, mechanic_id, terms, now, begun, frozenset({notice}))


def requeued(old: Old, now: datetime, notice: Notice) -> TargetState:
    """A waiting session whose mechanic is busy elsewhere is queued again with its old place."""
    met = meeting(old, has_mechanic=False)
    target = _active(old, met, None, SessionStatus.PENDING, now)
    return replace(target, notices=target.notices | {notice})


def _still(old: Old, met: Meeting, terms: Terms, now: datetime) -> SessionStatus | None:
    """The active state it goes on in; None where it is over."""
    if old.meaning in OVER:
        return None
    if met.since is not None:
        parted_long_ago = met.parted is not None and now - met.parted >= DESERTED
        too_long = now - met.since >= timedelta(minutes=terms.max_minutes)
        return None if parted_long_ago or too_long else SessionStatus.LIVE
    if old.meaning is Meaning.SCHEDULED and old.scheduled_for is not None:
        if old.scheduled_for > now + LEAD:
            return SessionStatus.SCHEDULED
        return SessionStatus.PENDING if now - old.scheduled_for < ORPHANED else None
    if now - old.created_at >= ORPHANED:
        return None
    return SessionStatus.WAITING if _held(old, met, now) else SessionStatus.PENDING


def _held(old: Old, met: Meeting, now: datetime) -> bool:
    """Whether a mechanic took it who is there, or may still come."""
    if met.accepted_at is None or old.meaning not in {Meaning.WAITING, Meaning.LIVE}:
        return False
    return any(each.role == "mechanic" for each in met.presence) or now - met.accepted_at < DESERTED


def _active(old: Old, met: Meeting, mechanic_id: UUID | None, status: SessionStatus, now: datetime) -> TargetState:
    held = status in {SessionStatus.WAITING, SessionStatus.LIVE}
    due = status is SessionStatus.PENDING and old.meaning is Meaning.SCHEDULED and old.scheduled_for is not None
    born = SessionStatus.SCHEDULED if due or status is SessionStatus.SCHEDULED else SessionStatus.PENDING
    accepted_at = met.accepted_at if held else None
    # who does not hold it any more has to come again, and so has who waits for them
    presence = met.presence if held else ()
    last = max([old.created_at, *_instants(presence), *([accepted_at] if accepted_at else [])])
    return TargetState(
        status=status,
        born=born,
        mechanic_id=mechanic_id if held else None,
        presence=presence,
        accepted_at=accepted_at,
        started_at=met.since if status is SessionStatus.LIVE else None,
        together=None,
        parted_at=met.parted if status is SessionStatus.LIVE else None,
        released_at=now if due else None,
        decided_at=now if due else last,
        ended_at=None,
        reason=None,
        absent=None,
        queued_at=_queued(old, accepted_at, None, status),
        notices=_noticed(old, mechanic_id if held else None),
    )


def _over(old: Old, met: Meeting, mechanic_id: UUID | None, terms: Terms, now: datetime) -> TargetState:
    if old.meaning in OVER:
        said = old.ended_at or old.updated_at or old.created_at
        return _ended(old, met, mechanic_id, terms, min(said, now), met.since is not None, frozenset())
    if met.since is not None:
        at = met.parted or min(met.since + timedelta(minutes=terms.max_minutes), now)
        met = met._replace(presence=_left(met.presence, at))
        return _ended(old, met, mechanic_id, terms, at, True, frozenset({Notice.OVERDUE}))  # noqa: FBT003 (begun)
    asked_for = old.created_at
    if old.meaning is Meaning.SCHEDULED and old.scheduled_for is not None:
        asked_for = max(asked_for, old.scheduled_for)
    at = min(asked_for + ORPHANED, now)
    return _ended(old, met, mechanic_id, terms, at, False, frozenset({Notice.OVERDUE}), gave_up=True)  # noqa: FBT003


def _ended(  # noqa: PLR0913, PLR0917 - what an end follows from
    old: Old,
    met: Meeting,
    mechanic_id: UUID | None,
    terms: Terms,
    said: datetime,
    begun: bool,  # noqa: FBT001
    notices: frozenset[Notice],
    *,
    gave_up: bool = False,
) -> TargetState:
    lapsed = not begun and (gave_up or old.meaning is Meaning.EXPIRED or bool(notices & {Notice.CUSTOMER_TWICE}))
    latest = max(said, old.created_at)
    presence = met.presence if begun else _until(met.presence, latest)
    accepted = [met.accepted_at] if met.accepted_at else []
    decided_at = max([latest, *_instants(presence), *accepted])
    presence = _until(presence, decided_at)
    judged = verdict(
        Evidence(
            (met.accepted_at or old.created_at) if mechanic_id else None,
            None,
            presence,
            kind="claimed",
            wanted_at=old.scheduled_for,
        ),
        decided_at,
        Limits(timedelta(seconds=terms.minimum_seconds), timedelta(minutes=terms.max_minutes)),
        by_system=True,
    )
    status = SessionStatus.EXPIRED if lapsed else judged.status
    reason = EndReason.EXPIRED if lapsed else judged.reason
    if old.meaning is Meaning.COMPLETED and status is not SessionStatus.COMPLETED:
        notices |= {Notice.COMPLETED_UNPROVEN if not begun else Notice.OUTCOME_CONTRADICTED}
    elif old.meaning in OVER and status is SessionStatus.COMPLETED and old.meaning is not Meaning.COMPLETED:
        notices |= {Notice.OUTCOME_CONTRADICTED}
    return TargetState(
        status=status,
        born=SessionStatus.PENDING,
        mechanic_id=mechanic_id,
        presence=presence,
        accepted_at=met.accepted_at,
        together=judged.together,
        started_at=judged.started_at,
        parted_at=met.parted if judged.started_at else None,
        released_at=None,
        decided_at=decided_at,
        ended_at=judged.ended_at,
        reason=reason,
        absent=None if lapsed or judged.absent is None else str(judged.absent),
        queued_at=_queued(old, met.accepted_at, decided_at, status),
        notices=notices | _noticed(old, mechanic_id),
    )


def _queued(
    old: Old, accepted_at: datetime | None, ended_at: datetime | None, status: SessionStatus
) -> datetime | None:
    """Since when the customer waited: the signature, where there was one; None where nobody ever saw the request."""
    if old.waiver is None and accepted_at is None:
        return None
    signed_at = old.waiver[2] if old.waiver else old.created_at
    earliest = old.created_at
    if status is SessionStatus.SCHEDULED and old.scheduled_for is not None:
        return max(signed_at, old.scheduled_for - LEAD)
    latest = accepted_at or ended_at
    signed_at = max(signed_at, earliest)
    return signed_at if latest is None else min(signed_at, latest)


def _instants(presence: tuple[Stretch, ...]) -> list[datetime]:
    return [instant for each in presence for instant in (each.since, each.until) if instant is not None]


def _left(presence: tuple[Stretch, ...], at: datetime) -> tuple[Stretch, ...]:
    """Who is still there leaves then, or when the last thing happened."""
    latest = max([at, *_instants(presence)])
    return tuple(replace(each, until=latest) if each.until is None else each for each in presence)


def _until(presence: tuple[Stretch, ...], at: datetime) -> tuple[Stretch, ...]:
    """What had happened by then; who was there had left by then."""
    return tuple(replace(each, until=min(each.until or at, at)) for each in presence if each.since <= at)


def _noticed(old: Old, mechanic_id: UUID | None) -> frozenset[Notice]:
    found = {
        Notice.NO_ASSIGNMENT: old.table == "sessions" and not old.has_assignment,
        Notice.STUCK_ASSIGNMENT: old.stuck,
        Notice.NO_WAIVER: old.waiver is None and mechanic_id is not None,
    }
    return frozenset(notice for notice, is_so in found.items() if is_so)
