"""The rows of a moved session: its audit trail in the order in which they would have been written."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from autodoctor.domain.ending import Limits
from autodoctor.domain.lifecycle import SessionStatus
from autodoctor.legacy.old import UNKNOWN, Old
from autodoctor.legacy.target_state import ACTIVE, LEAD, TargetState, Terms

ACTOR: Final = "system:import-legacy"
NO_WAIVER: Final = "none-on-record"
"""The version that stands for a waiver that was not found."""


@dataclass(frozen=True, slots=True)
class Step:
    """One audit row.

    Attributes:
        of_assignment: a row of session_assignment_events, else of session_events.
    """

    of_assignment: bool
    at: datetime
    source: str | None
    target: str
    data: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """Everything that is written for one consultation.

    Attributes:
        assignment_id: of its one assignment.
        workshop_id: whose mechanics alone see it; None: everybody.
        fixed_pay_cents: what the mechanic gets from us, where they still hold it or will.
    """

    old: Old
    target: TargetState
    terms: Terms
    assignment_id: UUID
    workshop_id: UUID | None
    fixed_pay_cents: int

    @property
    def id(self) -> UUID:
        """The session's."""
        return self.old.id

    @property
    def assignment_status(self) -> str:
        """The state of its assignment."""
        if self.target.status not in ACTIVE:
            return str(self.target.status)
        if self.target.accepted_at is not None:
            return "accepted"
        return "pending_waiver" if self.target.queued_at is None else "queued"

    @property
    def waiver(self) -> tuple[str, str, datetime] | None:
        """Its waiver, or the placeholder if a mechanic accepted without one on record."""
        if self.old.waiver is not None:
            name, version, at = self.old.waiver
            return name, version, max(at, self.old.created_at)
        if self.target.queued_at is None:
            return None
        return UNKNOWN, NO_WAIVER, self.target.queued_at

    @property
    def available_at(self) -> datetime:
        """From when on the queue shows it."""
        if self.target.status is SessionStatus.SCHEDULED and self.old.scheduled_for is not None:
            return self.old.scheduled_for - LEAD
        return self.old.created_at

    @property
    def together_seconds(self) -> Decimal | None:
        """How long both were there."""
        together = self.target.together
        return None if together is None else Decimal(together // timedelta(microseconds=1)).scaleb(-6)

    @property
    def limits(self) -> tuple[int, int, int]:
        """What its outcome was measured by: seconds, messages of each, minutes of waiting."""
        limits = Limits(timedelta(seconds=self.terms.minimum_seconds), timedelta(minutes=self.terms.max_minutes))
        return self.terms.minimum_seconds, limits.messages_each, limits.late // timedelta(minutes=1)

    @property
    def scheduled_for(self) -> datetime | None:
        """When it was wanted."""
        return self.old.scheduled_for

    def present(self, role: str) -> bool:
        """Whether they are there."""
        return any(each.role == role and each.until is None for each in self.target.presence)

    def joined_at(self, role: str) -> datetime | None:
        """When they came first."""
        return min((each.since for each in self.target.presence if each.role == role), default=None)

    def steps(self) -> Iterator[Step]:
        """All of its audit rows."""
        old, target = self.old, self.target
        origin: dict[str, Any] = {"imported": True, "legacyTable": old.table, "legacyStatus": old.state}
        yield Step(False, old.created_at, None, str(target.born), data=origin)  # noqa: FBT003
        yield Step(True, old.created_at, None, "pending_waiver")  # noqa: FBT003
        state, held = str(target.born), "pending_waiver"
        queued_at = None if target.queued_at is None else max(min(target.queued_at, target.decided_at), old.created_at)
        if queued_at is not None:
            yield Step(True, queued_at, held, "queued")  # noqa: FBT003
            held = "queued"
        if target.released_at is not None:
            yield Step(False, target.released_at, state, "pending", data=origin)  # noqa: FBT003
            state = "pending"
        if target.accepted_at is not None:
            yield Step(False, target.accepted_at, state, "waiting")  # noqa: FBT003
            yield Step(True, target.accepted_at, held, "accepted")  # noqa: FBT003
            state, held = "waiting", "accepted"
        if target.started_at is not None:
            yield Step(False, target.started_at, state, "live")  # noqa: FBT003
            state = "live"
        if target.status not in ACTIVE:
            facts = {key: value for key, value in (("reason", str(target.reason)), ("absent", target.absent)) if value}
            yield Step(False, target.decided_at, state, str(target.status), data=origin | facts)  # noqa: FBT003
            yield Step(True, target.decided_at, held, str(target.status), data=origin)  # noqa: FBT003
