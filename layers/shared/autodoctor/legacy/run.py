"""Goes through the old system once: decides about every row, and writes or only reports the result."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.domain.lifecycle import SessionStatus
from autodoctor.domain.money import share_of
from autodoctor.ids import new_id
from autodoctor.legacy import names
from autodoctor.legacy.audit_rows import Moved
from autodoctor.legacy.grouping import Clash, PartOf, gather, orphans, siblings
from autodoctor.legacy.names import Meaning, known_states
from autodoctor.legacy.old import Old, RelatedRows, Unmovable, customer_of, read
from autodoctor.legacy.parsing import as_uuid, derived_id, identity
from autodoctor.legacy.people import People
from autodoctor.legacy.report import ImportCounts, ImportReport
from autodoctor.legacy.source import OldRow, Source
from autodoctor.legacy.target import Target
from autodoctor.legacy.target_state import ACTIVE, Notice, TargetState, Terms, closed, requeued, target_state_of
from autodoctor.legacy.verification import check_moved
from autodoctor.legacy.writer import Kept, Writer

BATCH: Final = 200
"""Nobody else writes sessions while one is committed: under half a second."""
_ONE_AT_A_TIME: Final[LiteralString] = "SELECT pg_try_advisory_lock(hashtext('autodoctor:import-legacy'))"

type Progress = Callable[[str, int, int | None], None]
"""Takes the table that is read, how many of its rows were, and of how many."""


class ImportGoingOn(Exception):
    """Another import writes into this database."""

    def __init__(self) -> None:
        super().__init__("another import is going on")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A consultation that may move, with its terms."""

    row: OldRow
    old: Old
    mechanic_id: UUID | None
    terms: Terms
    notices: frozenset[Notice]


@dataclass(slots=True)
class Import:
    """One run.

    Attributes:
        writer: None: nothing is written.
        active: those that go on, to be looked at when all are known.
    """

    source: Source
    target: Target
    people: People
    states: dict[str, Meaning]
    writer: Writer | None
    batch: int
    progress: Progress
    counts: ImportCounts = field(default_factory=ImportCounts)
    active: list[Candidate] = field(default_factory=list)

    def run(self) -> None:
        """All of it, table by table."""
        self.people.learn(self.source, self.target)
        if self.writer is not None:
            self.writer.people(self.people.new_workshops, self.people.new_mechanics)
        for table in names.CONSULTATIONS:
            if table in self.source.tables:
                self._consultations(table)
        self._active()
        for table in self.source.archived:
            if table not in names.CONSULTATIONS:
                self._others(table)
        for table in names.PAYOUTS:
            for column in ("session_id", "diagnostic_session_id"):
                if self.source.has(table, column):
                    for subject, _ in self.source.repeated(table, column):
                        self.counts.notice("paid_twice", subject)

    # --- consultations ----------------------------------------------------------------------------

    def _consultations(self, table: str) -> None:
        for fresh in self._fresh(table, ("moved", "part")):
            elsewhere = siblings(self.source, table, fresh)
            related_rows = gather(
                self.source, table, [row for row in fresh if not isinstance(elsewhere.get(row.key), PartOf)]
            )
            users = self._users(fresh, related_rows)
            erased = self.target.erased(users)
            taken = self.target.taken(found for row in fresh for found in self._ids(row, related_rows.get(row.key)))
            ready: list[tuple[Moved, Kept]] = []
            archive: list[Kept] = []
            for row in fresh:
                other = elsewhere.get(row.key)
                if isinstance(other, PartOf):
                    archive.append(self._part(table, row, other))
                    continue
                try:
                    candidate = self._candidate(table, row, related_rows[row.key], taken, erased, other)
                    target_state = target_state_of(
                        candidate.old, candidate.mechanic_id, candidate.terms, self.target.now
                    )
                    if target_state.status in ACTIVE:
                        self.active.append(candidate)
                    else:
                        ready.append(self._checked(candidate, target_state, taken))
                except Unmovable as unmovable:
                    archive.append(self._refused(table, row, unmovable, customer_of(row.values, related_rows[row.key])))
            self._write(ready, archive)

    def _candidate(  # noqa: PLR0913, PLR0917 - what a chunk knows
        self, table: str, row: OldRow, related: RelatedRows, taken: set[UUID], erased: set[UUID], clash: Clash | None
    ) -> Candidate:
        known = names.PROFILES in self.source.tables or self.source.has_users
        old = read(table, row, related, self.states, people_known=known)
        notices: set[Notice] = set()
        if clash:
            old = replace(old, id=derived_id(table, row.key))
        if clash or as_uuid(row.key) is None:
            notices.add(Notice.ID_CHANGED)
        if old.user_id in erased:
            raise Unmovable("customer_erased", f"user {old.user_id}")
        if old.id in taken:
            raise Unmovable("id_taken", f"{old.id}")
        session_type = old.session_type or ("diagnostic" if table == "diagnostic_sessions" else "chat")
        plan = self.target.plan_for(old.plan, session_type)
        if old.session_type is None and table != "diagnostic_sessions":
            notices.add(Notice.TYPE_UNKNOWN)
        if old.plan is not None and plan.code != old.plan:
            notices.add(Notice.PLAN_UNKNOWN)
        mechanic_id = None
        if old.mechanic is not None:
            mechanic_id, by_user = self.people.find(old.mechanic)
            notices |= {Notice.MECHANIC_BY_USER} if by_user else set()
            notices |= {Notice.MECHANIC_UNKNOWN} if self.people.is_former(mechanic_id) else set()
            if self.people.users[mechanic_id] == old.user_id:
                raise Unmovable("own_session", f"mechanic {mechanic_id}")
        terms = Terms(
            plan.code, session_type, self.target.minimum_seconds, plan.max_minutes, plan.mechanic_share_bp
        )  # fmt: skip
        return Candidate(row, old, mechanic_id, terms, frozenset(notices))

    def _checked(self, candidate: Candidate, target_state: TargetState, taken: set[UUID]) -> tuple[Moved, Kept]:
        old, terms = candidate.old, candidate.terms
        workshop_id = self.people.workshop(old.workshop)
        goes_on = target_state.status in ACTIVE
        pays = goes_on and old.paid and not old.paid_out
        assignment_id = old.assignment_id
        moved = Moved(
            old=old,
            target=target_state,
            terms=terms,
            assignment_id=new_id() if assignment_id is None or assignment_id in taken else assignment_id,
            workshop_id=self.people.reachable(workshop_id, old.user_id) if goes_on else workshop_id,
            fixed_pay_cents=share_of(old.price_cents, terms.mechanic_share_bp) if pays else 0,
        )
        mechanic_id = target_state.mechanic_id
        check_moved(moved, self.people.users.get(mechanic_id) if mechanic_id else None, self.target.now)
        notices = candidate.notices | target_state.notices | ({Notice.PAID_AND_OPEN} if goes_on and old.paid else set())
        became = f"{target_state.status}, {target_state.reason}" if target_state.reason else str(target_state.status)
        self.counts.add(old.table, "moved")
        self.counts.became[old.table, old.state, became] += 1
        for notice in sorted(notices):
            self.counts.notice(notice, str(old.id))
        note = ", ".join(sorted(notices)) or None
        kept = Kept(old.table, old.key, candidate.row.content, "moved", note, old.id, old.user_id)
        return moved, kept

    def _active(self) -> None:
        """Decide about active sessions once all are known: live ones stay, then waiting ones, then the newest."""
        self.target.look_again()
        users, mechanics = self.target.busy()
        taken = self.target.taken(each.old.assignment_id for each in self.active if each.old.assignment_id is not None)
        ranks = {SessionStatus.LIVE: 0, SessionStatus.WAITING: 1}
        now = self.target.now
        target_states = [target_state_of(each.old, each.mechanic_id, each.terms, now) for each in self.active]
        order = sorted(
            zip(self.active, target_states, strict=True),
            key=lambda pair: (ranks.get(pair[1].status, 2), -pair[0].old.created_at.timestamp()),
        )
        for start in range(0, len(order), self.batch):
            ready: list[tuple[Moved, Kept]] = []
            archive: list[Kept] = []
            for candidate, wanted in order[start : start + self.batch]:
                target_state = self._given_way(candidate, wanted, users, mechanics)
                try:
                    ready.append(self._checked(candidate, target_state, taken))
                except Unmovable as unmovable:
                    old = candidate.old
                    archive.append(self._refused(old.table, candidate.row, unmovable, old.user_id))
                    continue
                if target_state.status in ACTIVE:
                    users.add(candidate.old.user_id)
                    mechanics |= {target_state.mechanic_id} if target_state.mechanic_id else set()
            self._write(ready, archive)

    def _given_way(
        self, candidate: Candidate, target_state: TargetState, users: set[UUID], mechanics: set[UUID]
    ) -> TargetState:
        now = self.target.now
        if target_state.status not in ACTIVE:
            return target_state
        if candidate.old.user_id in users:
            return closed(candidate.old, candidate.mechanic_id, candidate.terms, now, Notice.CUSTOMER_TWICE)
        if target_state.mechanic_id in mechanics:
            if target_state.status is SessionStatus.LIVE:
                return closed(candidate.old, candidate.mechanic_id, candidate.terms, now, Notice.MECHANIC_TWICE)
            return requeued(candidate.old, now, Notice.MECHANIC_TWICE)
        return target_state

    # --- everything else --------------------------------------------------------------------------

    def _others(self, table: str) -> None:
        moved = {str(each.id) for each in self.people.new_workshops}
        moved |= {str(each.id) for each in self.people.new_mechanics}
        for fresh in self._fresh(table, ("moved", "part", "kept")):
            lost = orphans(self.source, fresh)
            archive = []
            for row in fresh:
                session_id = identity(row.values, names.SESSION)
                became = "kept"
                if row.key in lost:
                    self.counts.notice("orphan_row", f"{table} {row.key}")
                elif session_id is not None or table == names.INTAKES:
                    became = "part"
                elif row.key in moved:
                    became = "moved"
                self.counts.add(table, became)
                user_id = identity(row.values, ("id",) if table == names.PROFILES else names.CUSTOMER)
                note = "orphan_row" if row.key in lost else None
                archive.append(Kept(table, row.key, row.content, became, note, session_id, user_id))
            if self.writer is not None:
                self.writer.archive(archive)

    # --- what both need ---------------------------------------------------------------------------

    def _fresh(self, table: str, done: tuple[str, ...]) -> Iterator[list[OldRow]]:
        """The rows of a table that no earlier run has dealt with, a batch at a time."""
        total, seen = self.source.count(table), 0
        self.counts.add(table, "rows", total)
        for chunk in self.source.chunks(table, self.batch):
            before = self.target.archived(table, [row.key for row in chunk])
            fresh = [row for row in chunk if before.get(row.key, ("", None))[0] not in done]
            self.counts.add(table, "before", len(chunk) - len(fresh))
            if fresh:
                yield fresh
            seen += len(chunk)
            self.progress(table, seen, total)

    def _write(self, ready: Sequence[tuple[Moved, Kept]], archive: list[Kept]) -> None:
        if self.writer is None:
            return
        self.writer.people([], list(self.people.former.values()))
        self.people.former.clear()
        rows = {moved.id: kept for moved, kept in ready}
        for refusal in self.writer.sessions(ready):
            kept = rows[refusal.moved.id]
            self.counts.add(kept.table, "moved", -1)
            self.counts.add(kept.table, "refused")
            self.counts.refuse("refused_by_database", kept.key)
            note = f"refused_by_database: {refusal.why}"
            archive.append(Kept(kept.table, kept.key, kept.content, "refused", note, None, kept.user_id))
        self.writer.archive(archive)

    def _part(self, table: str, row: OldRow, other: PartOf) -> Kept:
        self.counts.add(table, "part")
        self.counts.notice("linked_part", f"{table} {row.key}")
        user_id = identity(row.values, names.CUSTOMER)
        return Kept(table, row.key, row.content, "part", None, other.session_id, user_id)

    def _refused(self, table: str, row: OldRow, unmovable: Unmovable, user_id: UUID | None) -> Kept:
        self.counts.add(table, "refused")
        self.counts.refuse(unmovable.reason, f"{table} {row.key}: {unmovable.detail}")
        return Kept(table, row.key, row.content, "refused", str(unmovable), None, user_id)

    @staticmethod
    def _users(rows: Sequence[OldRow], related_rows: dict[str, RelatedRows]) -> set[UUID]:
        values = [row.values for row in rows] + [related.intake for related in related_rows.values()]
        return {found for each in values if (found := identity(each, names.CUSTOMER)) is not None}

    @staticmethod
    def _ids(row: OldRow, related: RelatedRows | None) -> list[UUID]:
        assignments = related.assignments if related else []
        return [found for each in (row.values, *assignments) if (found := identity(each, ("id",))) is not None]


def import_legacy(  # noqa: PLR0913 - what a run is made of
    reading: psycopg.Connection[Any],
    writing: psycopg.Connection[Any],
    *,
    schema: str,
    label: str,
    actor: str,
    apply: bool,
    map_status: dict[str, str] | None = None,
    batch: int = BATCH,
    progress: Progress = lambda _table, _done, _total: None,
) -> ImportReport:
    """Import the old system, or report what that would do.

    It may be interrupted at any moment and started again: archived rows are skipped, refused ones are tried again.
    Missing columns in old tables are tolerated.

    Args:
        reading: of the old database, autocommit, whose transactions are read only with one snapshot (verify.reader).
        writing: of the new one, autocommit, as the owner of its tables.
        schema: where the old tables are.
        label: where they are, in words without a password.
        actor: operator: and the name.
        apply: whether to write.
        map_status: old states that we do not know -> the meaning of one that we do.
        batch: rows looked at, and sessions written, together.
        progress: called after every batch.

    Raises:
        NoOldSystem: there is nothing to move in that schema.
        ImportGoingOn: another one writes.
        Interrupted: others write without a pause.
        ValueError: a state is mapped to no meaning.
    """
    states = known_states(map_status or {})
    if apply:
        (free,) = writing.execute(_ONE_AT_A_TIME).fetchall()[0]
        if not free:
            raise ImportGoingOn
    with reading.transaction():
        source, target = Source(reading, schema), Target(writing)
        writer = Writer(writing, label, actor) if apply else None
        run = Import(source, target, People(target.now), states, writer, batch, progress)
        run.run()
        report = run.counts.report(label, applied=apply)
        if writer is not None:
            writer.finish(report.model_dump(by_alias=True, mode="json"))
    return report
