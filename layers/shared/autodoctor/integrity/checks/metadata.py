"""The terms that a session copied from its intake: plan, price, funding, waiver, urgency, time."""

from collections.abc import Iterator
from typing import Final

from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.record import Intake, Record

_IN_METADATA = Section.METADATA
UNSIGNED: Final = Check("unsigned", _IN_METADATA, "it was queued without a signed waiver")
UNDESCRIBED: Final = Check("undescribed", _IN_METADATA, "vehicle, concern or name is missing")
PLAN_MISMATCH: Final = Check("plan_mismatch", _IN_METADATA, "its plan does not allow its type")
FUNDING_MISMATCH: Final = Check("funding_mismatch", _IN_METADATA, "funding and price contradict each other")
COPY_DIFFERS: Final = Check(
    "copy_differs", _IN_METADATA, "session or assignment differs from what the intake asked for"
)

CHECKS: Final = (UNSIGNED, UNDESCRIBED, PLAN_MISMATCH, FUNDING_MISMATCH, COPY_DIFFERS)


def check(record: Record) -> Iterator[Finding]:
    """Check the terms of a session against its intake."""
    session, intake = record.session, record.intake
    # an operator may queue a session by hand whose customer cannot sign
    by_hand = any(
        each.actor.startswith("db:") and each.to_status in {"queued", "offered"} for each in record.assignment_events
    )
    if record.waiver is None and not by_hand and any(each.queued_at is not None for each in record.assignments):
        yield UNSIGNED.of(record.id, "no waiver")
    if intake is None:
        return
    yield from _request(intake)
    if session is None:
        return
    urgent = {each.urgent for each in record.assignments} - {intake.urgent}
    if urgent or session.scheduled_for != intake.scheduled_for:
        yield COPY_DIFFERS.of(session.id, f"urgent {intake.urgent}, scheduled for {intake.scheduled_for}")


def _request(intake: Intake) -> Iterator[Finding]:
    if not intake.is_described:
        yield UNDESCRIBED.of(intake.id, "vehicle, concern or name")
    if not intake.plan_allows_type:
        yield PLAN_MISMATCH.of(intake.id, intake.session_type)
    fits = {
        "free": intake.price_cents == 0,
        "card": intake.price_cents > 0,
        "credit": intake.credits > 0,
    }.get(intake.funding, False)
    if not fits or intake.currency != "usd":
        yield FUNDING_MISMATCH.of(intake.id, f"{intake.funding}: {intake.price_cents} cents, {intake.credits} credits")
