"""Wrong outcomes: every outcome is judged again from its evidence, with the verdict that judged it first.

A change typed by hand (actor `db:`) is believed where there is no evidence: the start, and the reason for the end of a
session in which the parties never met.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, cast

from autodoctor.domain.ending import Evidence, Presence, Verdict, verdict
from autodoctor.domain.lifecycle import TERMINAL
from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.record import Event, Record, Session

WRONGLY_MARKED: Final = Check(
    "wrongly_marked", Section.OUTCOMES, "its evidence demands another outcome", 6, repairable=True
)
WRONG_TIMES: Final = Check(
    "wrong_times", Section.OUTCOMES, "its evidence demands another start or end", 6, repairable=True
)
CHECKS: Final = (WRONGLY_MARKED, WRONG_TIMES)

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


def check(record: Record) -> Iterator[Finding]:
    """How outcome, start and end of a session differ from what its evidence demands."""
    session = record.session
    if session is None or record.intake is None:
        return
    if session.status == "live":
        first = first_together(presence_of(record, session))
        if session.started_at != first and not _by_hand(record):
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
    elif (session.started_at, session.ended_at) != (demanded.started_at, demanded.ended_at):
        detail = f"it is from {session.started_at} to {session.ended_at}, its evidence says"
        yield WRONG_TIMES.of(session.id, f"{detail} {demanded.started_at} to {demanded.ended_at}")


def judge(record: Record) -> Judged | None:
    """The outcome that the evidence of an ended session demands; None when it demands none.

    The threshold is the one stored with the session. Where the evidence leaves the instant of the end open (they never
    met, or both were still present), the stored instant counts, provided that its audit row agrees.
    """
    session, intake = record.session, record.intake
    if session is None or intake is None or session.status not in TERMINAL or session.ended_at is None:
        return None
    ended = next((each for each in reversed(record.transitions) if each.to_status in TERMINAL), None)
    presence = presence_of(record, session)
    together = first_together(presence)
    if session.min_billable_seconds is None or (together is None and _by_hand(record)):
        return None
    if session.status == "expired" and together is None:
        return Judged("expired", "expired", None, None, session.ended_at)
    asked_at = _asked_at(record, session, ended)
    demanded = verdict(
        Evidence(session.mechanic_id is not None, session.started_at if _by_hand(record) else None, presence),
        asked_at,
        timedelta(seconds=session.min_billable_seconds),
        timedelta(minutes=intake.max_minutes),
    )
    return _plain(demanded)


def presence_of(record: Record, session: Session) -> tuple[Presence, ...]:
    """Joins and leaves of the customer and of the present mechanic since they last took the session."""
    given_back = max(
        (each.id for each in record.events if (each.from_status, each.to_status) == ("waiting", "pending")), default=0
    )
    return tuple(
        Presence(
            cast("Literal['customer', 'mechanic']", each.role),
            cast("Literal['joined', 'left']", each.type),
            each.occurred_at,
        )
        for each in record.events
        if each.type != "transition"
        and (
            each.role == "customer"
            or (each.mechanic_id is not None and each.mechanic_id == session.mechanic_id and each.id > given_back)
        )
    )


def first_together(presence: tuple[Presence, ...]) -> datetime | None:
    """The first instant at which both were present."""
    here: set[str] = set()
    for event in presence:
        (here.add if event.kind == "joined" else here.discard)(event.role)
        if len(here) > 1:
            return event.at
    return None


def _asked_at(record: Record, session: Session, ended: Event | None) -> datetime:
    """When the verdict was given: the stored end, unless its audit row contradicts it."""
    stands = cast("datetime", session.ended_at)
    if ended is None or ended.repaired or timedelta() <= ended.occurred_at - stands < ROUND_TRIP:
        return stands
    first = next((each for each in record.transitions if each.to_status in TERMINAL), ended)
    return first.occurred_at


def _by_hand(record: Record) -> bool:
    return any(
        each.actor.startswith("db:") and (each.to_status in TERMINAL or each.to_status == "live")
        for each in record.transitions
    )


def _plain(demanded: Verdict) -> Judged:
    return Judged(
        str(demanded.status),
        str(demanded.reason),
        demanded.absent and str(demanded.absent),
        demanded.started_at,
        demanded.ended_at,
    )
