"""The report of an import, done or planned: rows by kind, what becomes of them, and what cannot be moved and why."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from autodoctor.legacy.target_state import Notice

SAMPLES: Final = 5

SAYS: Final[dict[str, str]] = {
    Notice.NO_ASSIGNMENT: "had no assignment: it gets one",
    Notice.STUCK_ASSIGNMENT: "was over, its assignment still accepted: that ends with it",
    Notice.OVERDUE: "was active in name only, too old for it: ended as a sweep would have",
    Notice.OUTCOME_CONTRADICTED: "its outcome contradicts its evidence, which counts",
    Notice.COMPLETED_UNPROVEN: "called completed without a sign that both were there: cancelled",
    Notice.NO_WAIVER: "was accepted without a waiver on record: the waiver moved says so",
    Notice.MECHANIC_UNKNOWN: "names a mechanic whom no table knows: a suspended placeholder",
    Notice.MECHANIC_BY_USER: "names its mechanic by the user's id: the mechanic's now",
    Notice.PLAN_UNKNOWN: "a plan that we do not have, or not for this type: another one that we have",
    Notice.TYPE_UNKNOWN: "a type that we do not have: held as chat, or as diagnostic where it was one",
    Notice.ID_CHANGED: "its id is no UUID, or another customer's consultation has it: a new one",
    Notice.CUSTOMER_TWICE: "a second active session of one customer: ended; a live one stays, else the newest",
    Notice.MECHANIC_TWICE: "a second session of one mechanic: back to the queue, or ended if it had begun",
    Notice.PAID_AND_OPEN: "paid to the old system and still going: refund it there if it does not complete",
    "linked_part": "belongs to a session that moved, which is the same consultation",
    "paid_twice": "the old system paid its mechanic twice: recorded there, not moved",
    "orphan_row": "belongs to no consultation that is there: archived only",
    "unknown_status": "a state without a meaning; say it with --map-status old=new",
    "customer_missing": "nobody knows whose it was",
    "customer_erased": "its customer's data was erased on request",
    "no_time": "it says nowhere when it was",
    "own_session": "mechanic and customer are the same user",
    "id_taken": "a session of ours has its id",
    "no_plan": "no plan of ours allows its type",
    "would_not_verify": "verify would find something wrong with it",
    "refused_by_database": "a constraint refused it",
}


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class TableReport(_Wire):
    """Rows of an old table.

    Attributes:
        rows: how many there are.
        before: dealt with by an earlier run.
        moved: became sessions or people.
        part: belongs to a session that moved.
        kept: only archived.
        refused: cannot be moved.
    """

    table: str
    rows: int
    before: int
    moved: int
    part: int
    kept: int
    refused: int


class Remark(_Wire):
    """A remark about some of the rows, with the first few ids."""

    kind: str
    says: str
    count: int
    samples: list[str]


class Became(_Wire):
    """The number of rows of a table and old state, by what they became."""

    table: str
    old_status: str
    became: str
    count: int


class ImportReport(_Wire):
    """The whole report."""

    source: str
    applied: bool
    tables: list[TableReport]
    became: list[Became]
    noticed: list[Remark]
    refused: list[Remark]


@dataclass(slots=True)
class ImportCounts:
    """Counts while an import goes on."""

    tables: dict[str, Counter[str]] = field(default_factory=dict)
    became: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    noticed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    _samples: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, table: str, what: str, rows: int = 1) -> None:
        """Count rows of a table by what became of them."""
        self.tables.setdefault(table, Counter())[what] += rows

    def notice(self, kind: str, subject: str) -> None:
        """Add a remark about a row that moved."""
        self.noticed[kind] += 1
        self._sample("noticed", kind, subject)

    def refuse(self, kind: str, subject: str) -> None:
        """A row that cannot be moved."""
        self.refused[kind] += 1
        self._sample("refused", kind, subject)

    def _sample(self, section: str, kind: str, subject: str) -> None:
        samples = self._samples.setdefault((section, kind), [])
        if len(samples) < SAMPLES:
            samples.append(subject)

    def report(self, source: str, *, applied: bool) -> ImportReport:
        """Make the report of the counts."""
        tables = [
            TableReport(
                table=table,
                rows=counts["rows"],
                before=counts["before"],
                moved=counts["moved"],
                part=counts["part"],
                kept=counts["kept"],
                refused=counts["refused"],
            )
            for table, counts in self.tables.items()
        ]
        became = [
            Became(table=table, old_status=old, became=new, count=count)
            for (table, old, new), count in sorted(self.became.items())
        ]
        return ImportReport(
            source=source,
            applied=applied,
            tables=tables,
            became=became,
            noticed=self._remarks("noticed", self.noticed),
            refused=self._remarks("refused", self.refused),
        )

    def _remarks(self, section: str, counts: Counter[str]) -> list[Remark]:
        return [
            Remark(kind=kind, says=SAYS[kind], count=count, samples=self._samples[section, kind])
            for kind, count in sorted(counts.items())
        ]
