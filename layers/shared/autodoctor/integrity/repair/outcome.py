"""Corrects the outcome of an ended session whose evidence demands another one.

The verdict is written only if no sound row contradicts it: joins and leaves, first joins, presence, participants, start
and end in both audit trails, and where its money went. An outcome that both trails agree on is overruled only by
positive evidence: a completed session is never taken away because evidence is missing. A person decides the rest.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from autodoctor.domain.ending import first_together
from autodoctor.domain.lifecycle import ACTIVE_SESSION, OPEN_ASSIGNMENT
from autodoctor.integrity.checks import evidence, times, trail
from autodoctor.integrity.checks import session as checks_session
from autodoctor.integrity.checks.outcome import FOR_EVER, ROUND_TRIP, Judged, judge, late_evidence, presence_of
from autodoctor.integrity.checks.record import Assignment, Event, Record, Session
from autodoctor.integrity.repair.gaps import SLACK, trail_of

_UNSOUND: Final = frozenset(
    {
        *evidence.CHECKS,
        checks_session.ASSIGNMENT_MISSING,
        checks_session.INTAKE_DIFFERS,
        trail.MOVE,
        trail.ASSIGNMENT_MOVE,
        times.TRAIL_DISORDER,
    }
)
_PAID: Final = frozenset({"pay"})
_PAID_BACK: Final = frozenset({"refund", "return"})
_ENOUGH: Final = 2
_MINUTE: Final = timedelta(minutes=1)


def outcome_to_write(record: Record, now: datetime, moved: Collection[str]) -> Judged | None:
    """The outcome that the evidence of an ended session demands instead of the stored one.

    Args:
        record: of the session.
        now: by the database's clock; nothing later is written or believed.
        moved: what its money did: pay, refund, return.

    Returns:
        The outcome; None if the stored one is right or a person has to decide.
    """
    session, demanded = record.session, judge(record)
    if session is None or demanded is None or demanded == stands(session, demanded):
        return None
    agreed = (
        not late_evidence(record)
        and max(filter(None, (demanded.started_at, demanded.ended_at))) <= now
        and money_agrees(demanded.status, moved)
        and _is_whole(record, session, now)
        and _start_is_witnessed(record, session, demanded)
        and _end_is_witnessed(record, session, demanded)
        and _marks_allow(record, session, demanded)
    )
    return demanded if agreed else None


def stands(session: Session, demanded: Judged) -> Judged:
    """The stored outcome, for comparison."""
    return Judged(
        session.status,
        session.end_reason or "",
        session.absent,
        session.started_at,
        session.ended_at or demanded.ended_at,
        session.together_seconds,
    )


def money_agrees(status: str, moved: Collection[str]) -> bool:
    """Whether the money went where the outcome sends it."""
    return _PAID_BACK.isdisjoint(moved) if status == "completed" else _PAID.isdisjoint(moved)


def _is_whole(record: Record, session: Session, now: datetime) -> bool:
    """Whether all rows about joins, mechanics and the order of events are sound."""
    found = {
        finding.check for check in (evidence.check, checks_session.check, trail.check) for finding in check(record)
    } | {finding.check for finding in times.check(record, now)}
    current = record.current
    by_another = session.mechanic_id is not None and current is not None and current.mechanic_id != session.mechanic_id
    seen = [each.closed_at or each.recorded_at for each in record.presence]
    in_the_future = any(at > now for at in (*(each.occurred_at for each in record.everything), *seen))
    met = first_together(presence_of(record, session), FOR_EVER) is not None
    was_live = any("live" in {each.from_status, each.to_status} for each in record.transitions)
    return _UNSOUND.isdisjoint(found) and not by_another and not in_the_future and met is was_live


def _start_is_witnessed(record: Record, session: Session, demanded: Judged) -> bool:
    start = demanded.started_at
    if start in {None, session.started_at}:
        return True
    starts = [each.occurred_at for each in record.transitions if each.to_status == "live"]
    joined = (session.customer_joined_at, session.mechanic_joined_at)
    return start in joined or any(abs(each - start) <= SLACK for each in starts)


def _end_is_witnessed(record: Record, session: Session, demanded: Judged) -> bool:
    """Whether the session's row alone contradicts the demanded end, and other rows confirm it."""
    ended, request, current = session.ended_at, _end_request(record), record.current
    if ended is None or request is None or current is None or record.intake is None:
        return False
    if demanded.ended_at == ended:
        return True
    start = demanded.started_at or session.accepted_at or session.created_at
    if demanded.ended_at == request.occurred_at:
        if start < ended < request.occurred_at and not (ended - start) % _MINUTE:
            return False  # it stands at a longest duration, and another one may be what is wrong
        others = [current.ended_at, *_closing(record, current)]
        return sum(each is not None and abs(each - request.occurred_at) < ROUND_TRIP for each in others) >= _ENOUGH
    if demanded.ended_at == start + timedelta(minutes=record.intake.max_minutes):
        return not start <= ended <= request.occurred_at  # else the longest duration may be what is wrong
    return demanded.ended_at == session.parted_at


def _end_request(record: Record) -> Event | None:
    ends = [each for each in record.transitions if each.to_status not in ACTIVE_SESSION]
    return ends[0] if ends else None


def _closing(record: Record, current: Assignment) -> list[datetime]:
    return [each.occurred_at for each in trail_of(record, current) if each.to_status not in OPEN_ASSIGNMENT][-1:]


def _marks_allow(record: Record, session: Session, demanded: Judged) -> bool:
    """Whether both trails have the demanded outcome, or a stored one that is off by more than a round trip."""
    current = record.current
    own = trail_of(record, current) if current else []
    if not record.transitions or not own:
        return False
    recorded = {record.transitions[-1].to_status, own[-1].to_status}
    if recorded == {demanded.status}:
        return True
    return recorded == {session.status} and session.status != "completed" and _is_clear(session, demanded)


def _is_clear(session: Session, demanded: Judged) -> bool:
    """Whether the row obeys its own threshold, and the demanded duration is clear of it."""
    minimum = session.min_billable_seconds or 0
    together = session.together_seconds
    lasted = together is not None and together >= minimum
    if lasted is not (session.status == "completed"):
        return False
    return demanded.together_seconds is None or demanded.together_seconds >= minimum + ROUND_TRIP.seconds
