"""Wrong outcomes: every outcome is judged again from its evidence, with the verdict that judged it first.

A change typed by hand (actor `db:`) is believed where there is no evidence: the start, and the reason for the end of a
session in which the parties never met.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, cast

from autodoctor.domain.ending import Evidence, Limits, Stretch, Verdict, first_together, heard_only, verdict
from autodoctor.domain.lifecycle import TERMINAL
from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.record import Event, PresenceRow, Record, Session

WRONGLY_MARKED: Final = Check(
    "wrongly_marked", Section.OUTCOMES, "its evidence demands another outcome", 6, repairable=True
)
WRONG_TIMES: Final = Check(
    "wrong_times", Section.OUTCOMES, "its evidence demands another start or end", 6, repairable=True
)
IGNORED: Final = Check(
    "late_evidence_ignored", Section.OUTCOMES, "settled against evidence that had come by then, and not held", 9
)
CHECKS: Final = (WRONGLY_MARKED, WRONG_TIMES, IGNORED)

FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)
ROUND_TRIP: Final = timedelta(seconds=10)
"""Between the verdict's clock and the audit row's there is one round trip, which a paused machine may stretch."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the evidence demands of an ended session."""

    status: str
    reason: str
    absent: str | None
    started_at: datetime | None
    ended_at: datetime
    together_seconds: Decimal | None


def check(record: Record) -> Iterator[Finding]:
    """How outcome, start, end and time together of a session differ from what its evidence demands."""
    session = record.session
    if session is None or record.intake is None:
        return
    if session.status == "live":
        first = first_together(presence_of(record, session), FOR_EVER)
        if session.started_at != first and not _start_stands(record):
            yield WRONG_TIMES.of(session.id, f"it started at {session.started_at}, its evidence says {first}")
        return
    demanded = judge(record)
    if demanded is None:
        return
    stands = (session.status, session.end_reason, session.absent)
    if stands != (demanded.status, demanded.reason, demanded.absent):
        detail = f"it is {' '.join(filter(None, stands))}, its evidence says"
        yield WRONGLY_MARKED.of(
            session.id, f"{detail} {' '.join(filter(None, (demanded.status, demanded.reason, demanded.absent)))}"
        )
    elif (session.started_at, session.ended_at, session.together_seconds) != (
        demanded.started_at,
        demanded.ended_at,
        demanded.together_seconds,
    ):
        detail = f"it is from {session.started_at} to {session.ended_at}, together {session.together_seconds} s"
        says = f"{demanded.started_at} to {demanded.ended_at}, {demanded.together_seconds} s"
        yield WRONG_TIMES.of(session.id, f"{detail}, its evidence says {says}")

    if session.settled_at is not None and not session.is_held:
        yield from _ignored(record, session, session.settled_at, demanded)


def _ignored(record: Record, session: Session, settled_at: datetime, demanded: Judged) -> Iterator[Finding]:
    """Why a person should have decided what was settled."""
    late = judge(record, known=settled_at) if late_evidence(record) else None
    if late is not None and late.status != demanded.status:
        yield IGNORED.of(session.id, f"settled at {settled_at} as {session.status}, not as {late.status}")
    elif session.status == "completed":
        sure = judge(record, known=settled_at, sure=True)
        if sure is not None and sure.status != session.status:
            yield IGNORED.of(session.id, "settled as completed, although no page heard for long what the medium says")
    elif _silent_medium(record, settled_at):
        called = judge(record, known=settled_at, called=True)
        if called is not None and called.status != session.status:
            yield IGNORED.of(session.id, "settled as cancelled, although the medium says nothing of the call they made")


def _silent_medium(record: Record, at: datetime) -> bool:
    """Whether both parties were let into a meeting of which the medium had said nothing by then."""
    heard = {each.meeting for each in record.said if each.received_at <= at}
    return record.current is not None and any(
        each.attempt == record.current.attempt
        and each.meeting_id is not None
        and each.meeting_id not in heard
        and each.both_at is not None
        and each.both_at <= at
        for each in record.meetings
    )


def late_evidence(record: Record) -> list[PresenceRow]:
    """The stretches that were recorded after the verdict, or whose end before it became known after it."""
    at = decided_at(record)
    return [
        each
        for each in record.presence
        if at is not None
        and (
            (each.recorded_at > at and each.since < at)
            or (each.replaced_at is not None and each.replaced_at > at)
            or (each.closed_at is not None and each.closed_at > at and each.until is not None and each.until < at)
        )
    ]


def judge(record: Record, *, known: datetime | None = None, sure: bool = False, called: bool = False) -> Judged | None:
    """The outcome that the evidence of an ended session demands; None when it demands none.

    The limits are those stored with the session. Where the evidence leaves the instant of the end open (they never
    met, or both were still present), the stored instant counts, provided that its audit row agrees.

    Args:
        record: of the session.
        known: with what was known then; None: at the verdict.
        sure: of the medium only what a page has heard, where pages reported at all.
        called: as if they had been in a call whenever both were there.
    """
    session, intake = record.session, record.intake
    if session is None or intake is None or session.status not in TERMINAL or session.ended_at is None:
        return None
    ended = next((each for each in reversed(record.transitions) if each.to_status in TERMINAL), None)
    asked_at = _asked_at(record, session, ended)
    stretches = presence_of(record, session, known or decided_at(record) or asked_at)
    together = first_together(stretches, asked_at)
    if sure:
        stretches = heard_only(stretches, asked_at)
    if session.min_billable_seconds is None or (together is None and _by_hand(record)):
        return None
    if session.status == "expired" and together is None:
        return Judged("expired", "expired", None, None, session.ended_at, None)
    demanded = verdict(
        Evidence(
            (session.accepted_at or session.created_at) if session.mechanic_id is not None else None,
            session.started_at if _start_stands(record) else None,
            stretches,
            (session.customer_words, session.mechanic_words),
            "claimed" if called else intake.evidence,  # then any presence counts
            session.scheduled_for,
        ),
        asked_at,
        Limits(
            timedelta(seconds=session.min_billable_seconds),
            timedelta(minutes=intake.max_minutes),
            session.min_messages_each or 0,
            timedelta(minutes=session.late_minutes or 0),
        ),
        by_system=session.ended_by == "system",
    )
    return _plain(demanded)


def decided_at(record: Record) -> datetime | None:
    """When the verdict was given, by its audit row; None where that is missing or was restored."""
    ended = next((each for each in record.transitions if each.to_status in TERMINAL), None)
    return None if ended is None or ended.repaired else ended.occurred_at


def presence_of(record: Record, session: Session, known: datetime = FOR_EVER) -> tuple[Stretch, ...]:
    """The stretches of the customer, and of the present mechanic since they accepted, as far as they were known."""
    return tuple(
        Stretch(
            each.role,
            each.source,
            each.since,
            each.until if each.closed_at is not None and each.closed_at <= known else None,
        )
        for each in record.presence
        if each.is_known(known)
        and (
            each.role == "customer"
            or (
                each.mechanic_id is not None
                and each.mechanic_id == session.mechanic_id
                and (session.accepted_at is None or each.since >= session.accepted_at)
            )
        )
    )


def _asked_at(record: Record, session: Session, ended: Event | None) -> datetime:
    """When somebody asked for the end: as its audit row says, where it is sound; else the stored end."""
    stands = cast("datetime", session.ended_at)
    if ended is None or ended.repaired:
        return stands
    first = next((each for each in record.transitions if each.to_status in TERMINAL), ended)
    agrees = session.started_at is None and timedelta() <= first.occurred_at - stands < ROUND_TRIP
    return stands if agrees else first.occurred_at


def _by_hand(record: Record) -> bool:
    return any(
        each.actor.startswith("db:") and (each.to_status in TERMINAL or each.to_status == "live")
        for each in record.transitions
    )


def _start_stands(record: Record) -> bool:
    """Whether the recorded start counts, whatever the evidence says by now: typed, or the medium corrected itself."""
    return _by_hand(record) or any(each.replaced_at is not None for each in record.presence)


def _plain(demanded: Verdict) -> Judged:
    together = demanded.together
    return Judged(
        str(demanded.status),
        str(demanded.reason),
        demanded.absent and str(demanded.absent),
        demanded.started_at,
        demanded.ended_at,
        None if together is None else Decimal(together // timedelta(microseconds=1)).scaleb(-6),
    )
