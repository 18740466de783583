"""The rows of a moved session: its audit trail and evidence in the order in which they would have been written."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from autodoctor.domain.lifecycle import SessionStatus
from autodoctor.legacy.old import UNKNOWN, Old
from autodoctor.legacy.target_state import ACTIVE, LEAD, TargetState, Terms

ACTOR: Final = "system:import-legacy"
NO_WAIVER: Final = "none-on-record"
"""The version that stands for a waiver that was not found."""


@dataclass(frozen=True, slots=True)
class Step:
    """One audit row or piece of evidence.

    Attributes:
        of_assignment: a row of session_assignment_events, else of session_events.
    """

    of_assignment: bool
    at: datetime
    type: str
    source: str | None = None
    target: str | None = None
    role: str | None = None
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
    def scheduled_for(self) -> datetime | None:
        """When it was wanted."""
        return self.old.scheduled_for

    def present(self, role: str) -> bool:
        """Whether they came and did not leave."""
        kinds = [each.kind for each in self.target.presence if each.role == role]
        return bool(kinds) and kinds[-1] == "joined"

    def joined_at(self, role: str) -> datetime | None:
        """When they came first."""
        return next((each.at for each in self.target.presence if each.role == role and each.kind == "joined"), None)

    def steps(self) -> Iterator[Step]:
        """All of its audit rows and evidence."""
        old, target = self.old, self.target
        origin: dict[str, Any] = {"imported": True, "legacyTable": old.table, "legacyStatus": old.state}
        yield Step(False, old.created_at, "transition", None, str(target.born), data=origin)  # noqa: FBT003
        yield Step(True, old.created_at, "transition", None, "pending_waiver")  # noqa: FBT003
        state, held = str(target.born), "pending_waiver"
        queued_at = None if target.queued_at is None else max(min(target.queued_at, target.decided_at), old.created_at)
        if queued_at is not None:
            yield Step(True, queued_at, "transition", held, "queued")  # noqa: FBT003
            held = "queued"
        if target.released_at is not None:
            yield Step(False, target.released_at, "transition", state, "pending", data=origin)  # noqa: FBT003
            state = "pending"
        waits = True
        for event in (*target.presence, None):
            if target.accepted_at is not None and waits and (event is None or event.at >= target.accepted_at):
                waits = False
                yield Step(False, target.accepted_at, "transition", state, "waiting")  # noqa: FBT003
                yield Step(True, target.accepted_at, "transition", held, "accepted")  # noqa: FBT003
                state, held = "waiting", "accepted"
            if event is None:
                break
            yield Step(False, event.at, event.kind, role=event.role)  # noqa: FBT003
            if (
                state == "waiting"
                and target.started_at is not None
                and event.at == target.started_at
                and self._met(event)
            ):
                yield Step(False, event.at, "transition", state, "live")  # noqa: FBT003
                state = "live"
        if target.status not in ACTIVE:
            facts = {key: value for key, value in (("reason", str(target.reason)), ("absent", target.absent)) if value}
            yield Step(False, target.decided_at, "transition", state, str(target.status), data=origin | facts)  # noqa: FBT003
            yield Step(True, target.decided_at, "transition", held, str(target.status), data=origin)  # noqa: FBT003

    def _met(self, event: object) -> bool:
        """Whether this event makes both present for the first time."""
        here: set[str] = set()
        for each in self.target.presence:
            (here.add if each.kind == "joined" else here.discard)(each.role)
            if each is event:
                break
        return len(here) == 2  # noqa: PLR2004 (customer and mechanic)
