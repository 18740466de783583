"""Mechanics and workshops: few, so they are kept in memory; their ids are kept in the database."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from autodoctor.legacy import names
from autodoctor.legacy.old import UNKNOWN
from autodoctor.legacy.parsing import RowValues, identity, instant, text
from autodoctor.legacy.source import Source
from autodoctor.legacy.target import Target

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class WorkshopRow:
    """A row of workshops that is written."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class MechanicRow:
    """A row of mechanics that is written."""

    id: UUID
    user_id: UUID
    name: str
    workshop_id: UUID | None
    status: str
    created_at: datetime


@dataclass(slots=True)
class People:
    """The mechanics and workshops, found by whatever the old rows call them.

    Attributes:
        users: the user id of each mechanic, by the mechanic's id.
        new_workshops: workshops to write before the first session.
        new_mechanics: mechanics to write before the first session.
        former: placeholders for mechanics that the old system no longer has, by id.
    """

    now: datetime
    users: dict[UUID, UUID] = field(default_factory=dict)
    new_workshops: list[WorkshopRow] = field(default_factory=list)
    new_mechanics: list[MechanicRow] = field(default_factory=list)
    former: dict[UUID, MechanicRow] = field(default_factory=dict)
    _by_id: dict[UUID, UUID] = field(default_factory=dict)
    _by_user: dict[UUID, UUID] = field(default_factory=dict)
    _workshops: set[UUID] = field(default_factory=set)
    _at_work: dict[UUID, set[UUID]] = field(default_factory=dict)

    def find(self, reference: UUID) -> tuple[UUID, bool]:
        """The mechanic whom an old row names by id, or wrongly by user.

        Returns:
            Our mechanic's id, and whether the row named them by user id. An unknown id gets a suspended placeholder.
        """
        if reference in self._by_id:
            return self._by_id[reference], False
        if reference in self._by_user:
            return self._by_user[reference], True
        made = MechanicRow(reference, reference, "Former mechanic", None, "suspended", self.now)
        self.former[reference] = made
        self._know(made)
        return reference, False

    def is_former(self, mechanic_id: UUID) -> bool:
        """Whether it is a placeholder that this run made or an earlier one."""
        return mechanic_id in self.former or self.users.get(mechanic_id) == mechanic_id

    def workshop(self, reference: UUID | None) -> UUID | None:
        """The workshop, if there is one of that id."""
        return reference if reference in self._workshops else None

    def reachable(self, workshop_id: UUID | None, user_id: UUID) -> UUID | None:
        """The workshop, if one of its mechanics may take this customer's session; else None: everybody's."""
        if workshop_id is None or not self._at_work.get(workshop_id, set()) - {user_id}:
            return None
        return workshop_id

    def _know(self, mechanic: MechanicRow) -> None:
        self._by_id[mechanic.id] = mechanic.id
        self._by_user.setdefault(mechanic.user_id, mechanic.id)
        self.users[mechanic.id] = mechanic.user_id
        if mechanic.workshop_id is not None and mechanic.status == "active":
            self._at_work.setdefault(mechanic.workshop_id, set()).add(mechanic.user_id)

    def learn(self, source: Source, target: Target) -> None:
        """Read the mechanics and workshops that are here already, and those of the old system."""
        for row in target.mechanics():
            self._know(MechanicRow(row["id"], row["user_id"], "", row["workshop_id"], row["status"], self.now))
        self._workshops = target.workshops()
        for table, values in _rows(source, *names.WORKSHOPS):
            workshop_id = identity(values, ("id",))
            kind = text(values, ("organization_type", "type"))
            if (
                workshop_id is None
                or workshop_id in self._workshops
                or (table == "organizations" and kind not in {None, "workshop"})
            ):
                continue
            self._workshops.add(workshop_id)
            self.new_workshops.append(WorkshopRow(workshop_id, text(values, names.NAME, 200) or UNKNOWN))
        for _, values in _rows(source, names.MECHANICS):
            self._learn_mechanic(values)

    def _learn_mechanic(self, values: RowValues) -> None:
        mechanic_id = identity(values, ("id",))
        if mechanic_id is None or mechanic_id in self._by_id:
            return
        user_id = identity(values, ("user_id", "auth_user_id")) or mechanic_id
        if user_id in self._by_user:
            self._by_id[mechanic_id] = self._by_user[user_id]  # the same person, moved or added before
            return
        at_work = (text(values, ("status", "account_status")) or "approved").lower() in names.MECHANIC_AT_WORK
        made = MechanicRow(
            mechanic_id,
            user_id,
            text(values, names.NAME, 200) or UNKNOWN,
            self.workshop(identity(values, names.WORKSHOP)),
            "active" if at_work else "suspended",
            min(instant(values, names.CREATED) or self.now, self.now),
        )
        self.new_mechanics.append(made)
        self._know(made)


def _rows(source: Source, *tables: str) -> Iterator[tuple[str, RowValues]]:
    for table in tables:
        if table in source.tables:
            for chunk in source.chunks(table, _CHUNK):
                for row in chunk:
                    yield table, row.values
