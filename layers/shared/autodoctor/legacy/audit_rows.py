"""The rows of a moved session: its audit trail and evidence in the order in which they would have been written."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from autodoctor.domain.lifecycle import SessionStatus
from autodoctor.legacy.old import UNKNOWN, Old
from autodoctor.legacy.target_state import ACTIVE, LEAD, Fate, Terms

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
    fate: Fate
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
        if self.fate.status not in ACTIVE:
            return str(self.fate.status)
        if self.fate.accepted_at is not None:
            return "accepted"
        return "pending_waiver" if self.fate.queued_at is None else "queued"

    @property
    def waiver(self) -> tuple[str, str, datetime] | None:
        """Its waiver, or the placeholder if a mechanic accepted without one on record."""
        if self.old.waiver is not None:
            name, version, at = self.old.waiver
            return name, version, max(at, self.old.created_at)
        if self.fate.queued_at is None:
            return None
        return UNKNOWN, NO_WAIVER, self.fate.queued_at

    @property
    def available_at(self) -> datetime:
        """From when on the queue shows it."""
        if self.fate.status is SessionStatus.SCHEDULED and self.old.scheduled_for is not None:
            return self.old.scheduled_for - LEAD
        return self.old.created_at

    @property
    def scheduled_for(self) -> datetime | None:
        """When it was wanted."""
        return self.old.scheduled_for

    def present(self, role: str) -> bool:
        """Whether they came and did not leave."""
        kinds = [each.kind for each in self.fate.presence if each.role == role]
        return bool(kinds) and kinds[-1] == "joined"

    def joined_at(self, role: str) -> datetime | None:
        """When they came first."""
        return next((each.at for each in self.fate.presence if each.role == role and each.kind == "joined"), None)

    def steps(self) -> Iterator[Step]:
        """All of its audit rows and evidence."""
        old, fate = self.old, self.fate
        told: dict[str, Any] = {"imported": True, "legacyTable": old.table, "legacyStatus": old.state}
        yield Step(False, old.created_at, "transition", None, str(fate.born), data=told)  # noqa: FBT003
        yield Step(True, old.created_at, "transition", None, "pending_waiver")  # noqa: FBT003
        state, held = str(fate.born), "pending_waiver"
        queued_at = None if fate.queued_at is None else max(min(fate.queued_at, fate.decided_at), old.created_at)
        if queued_at is not None:
            yield Step(True, queued_at, "transition", held, "queued")  # noqa: FBT003
            held = "queued"
        if fate.released_at is not None:
            yield Step(False, fate.released_at, "transition", state, "pending", data=told)  # noqa: FBT003
            state = "pending"
        waits = True
        for event in (*fate.presence, None):
            if fate.accepted_at is not None and waits and (event is None or event.at >= fate.accepted_at):
                waits = False
                yield Step(False, fate.accepted_at, "transition", state, "waiting")  # noqa: FBT003
                yield Step(True, fate.accepted_at, "transition", held, "accepted")  # noqa: FBT003
                state, held = "waiting", "accepted"
            if event is None:
                break
            yield Step(False, event.at, event.kind, role=event.role)  # noqa: FBT003
            if state == "waiting" and fate.started_at is not None and event.at == fate.started_at and self._met(event):
                yield Step(False, event.at, "transition", state, "live")  # noqa: FBT003
                state = "live"
        if fate.status not in ACTIVE:
            facts = {key: value for key, value in (("reason", str(fate.reason)), ("absent", fate.absent)) if value}
            yield Step(False, fate.decided_at, "transition", state, str(fate.status), data=told | facts)  # noqa: FBT003
            yield Step(True, fate.decided_at, "transition", held, str(fate.status), data=told)  # noqa: FBT003

    def _met(self, event: object) -> bool:
        """Whether this event makes both present for the first time."""
        here: set[str] = set()
        for each in self.fate.presence:
            (here.add if each.kind == "joined" else here.discard)(each.role)
            if each is event:
                break
        return len(here) == 2  # noqa: PLR2004 (customer and mechanic)
