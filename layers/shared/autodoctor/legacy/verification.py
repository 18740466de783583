"""Runs verify's own checks on a session before it is written; one with a finding is not moved."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

from autodoctor.integrity.checks import record as rec
from autodoctor.integrity.verify import check_record
from autodoctor.legacy.audit_rows import ACTOR, Moved
from autodoctor.legacy.old import Unmovable
from autodoctor.legacy.target_state import ACTIVE

NOBODY: Final = UUID(int=0)


def check_moved(moved: Moved, mechanic_user_id: UUID | None, now: datetime) -> None:
    """Check what is about to be written.

    Args:
        moved: the session and its rows.
        mechanic_user_id: whom its mechanic signs in as.
        now: by the new database's clock.

    Raises:
        Unmovable: verify would find something.
    """
    findings = list(check_record(_record(moved, mechanic_user_id), now))
    if findings:
        raise Unmovable("would_not_verify", "; ".join(f"{each.check.slug}: {each.detail}" for each in findings)[:500])


def _record(moved: Moved, mechanic_user_id: UUID | None) -> rec.Record:
    record = rec.Record(moved.id)
    record.intake = _intake(moved)
    record.session = _session(moved, mechanic_user_id)
    record.waiver = rec.Waiver(moved.id, moved.waiver[2]) if moved.waiver else None
    record.assignments = [_assignment(moved)]
    record.participants = list(_participants(moved))
    record.presence = [
        rec.PresenceRow(
            *(moved.id, number, each.role, moved.target.mechanic_id if each.role == "mechanic" else None, each.source),
            *(each.since, each.until, each.since, each.until),
        )
        for number, each in enumerate(moved.target.presence)
    ]
    for number, step in enumerate(moved.steps(), start=1):
        if step.of_assignment:
            record.assignment_events.append(
                rec.AssignmentEventRow(
                    *(moved.id, number, step.at, moved.assignment_id, None, ACTOR, step.source, str(step.target)),
                    False,  # noqa: FBT003
                )
            )
        else:
            record.events.append(
                rec.Event(*(moved.id, number, step.at, None, ACTOR, step.source, step.target), False)  # noqa: FBT003
            )
    return record


def _intake(moved: Moved) -> rec.Intake:
    return rec.Intake(
        id=moved.id,
        customer_id=NOBODY,
        funding="free",
        session_type=moved.terms.session_type,
        price_cents=0,
        currency="usd",
        credits=0,
        mechanic_share_bp=0,
        mechanic_fixed_pay_cents=moved.fixed_pay_cents,
        max_minutes=moved.terms.max_minutes,
        evidence="claimed",
        urgent=moved.old.urgent,
        scheduled_for=moved.scheduled_for,
        created_at=moved.old.created_at,
        customer_user_id=moved.old.user_id,
        plan_allows_type=True,
        is_described=True,
    )


def _session(moved: Moved, mechanic_user_id: UUID | None) -> rec.Session:
    target = moved.target
    over = target.status not in ACTIVE
    minimum, messages_each, late = moved.limits
    return rec.Session(
        id=moved.id,
        customer_id=NOBODY,
        current_assignment_id=moved.assignment_id,
        created_at=moved.old.created_at,
        scheduled_for=moved.scheduled_for,
        released_at=target.released_at,
        customer_present=moved.present("customer"),
        mechanic_present=moved.present("mechanic"),
        status=str(target.status),
        mechanic_id=target.mechanic_id,
        accepted_at=target.accepted_at,
        customer_joined_at=moved.joined_at("customer"),
        mechanic_joined_at=moved.joined_at("mechanic"),
        started_at=target.started_at,
        parted_at=target.parted_at,
        ended_at=target.ended_at,
        end_reason=None if target.reason is None else str(target.reason),
        absent=target.absent,
        ended_by="system" if over else None,
        together_seconds=moved.together_seconds,
        min_billable_seconds=minimum if over else None,
        min_messages_each=messages_each if over else None,
        late_minutes=late if over else None,
        settled_at=None,
        is_held=False,
        customer_words=0,
        mechanic_words=0,
        mechanic_user_id=mechanic_user_id if target.mechanic_id else None,
    )


def _assignment(moved: Moved) -> rec.Assignment:
    return rec.Assignment(
        id=moved.assignment_id,
        session_id=moved.id,
        attempt=1,
        urgent=moved.old.urgent,
        status=moved.assignment_status,
        mechanic_id=moved.target.mechanic_id,
        available_at=moved.available_at,
        queued_at=moved.target.queued_at,
        ended_at=moved.target.decided_at if moved.target.status not in ACTIVE else None,
    )


def _participants(moved: Moved) -> Iterator[rec.ParticipantRow]:
    yield rec.ParticipantRow(moved.id, "customer", moved.old.created_at, None, NOBODY, None)
    if moved.target.mechanic_id is not None and moved.target.accepted_at is not None:
        yield rec.ParticipantRow(moved.id, "mechanic", moved.target.accepted_at, None, None, moved.target.mechanic_id)
