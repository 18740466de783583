"""Importing an old system, and the state afterwards."""

from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.integrity.checks.base import Section
from autodoctor.integrity.verify import reader, verify
from autodoctor.legacy.report import ImportReport, Remark
from autodoctor.legacy.run import import_legacy
from support.invariants.sessions import violations
from support.legacy.old_system import OldSystem
from support.world import World

EVERYTHING: Final[LiteralString] = """
SELECT (SELECT array_agg(x::text ORDER BY x::text) FROM intakes x) AS intakes,
       (SELECT array_agg(x::text ORDER BY x::text) FROM sessions x) AS sessions,
       (SELECT array_agg(x::text ORDER BY x::text) FROM session_assignments x) AS assignments,
       (SELECT array_agg(x::text ORDER BY x::text) FROM session_events x) AS events,
       (SELECT array_agg(x::text ORDER BY x::text) FROM session_assignment_events x) AS assignment_events,
       (SELECT array_agg(x::text ORDER BY x::text) FROM session_participants x) AS participants,
       (SELECT array_agg(x::text ORDER BY x::text) FROM customers x) AS customers,
       (SELECT array_agg(x::text ORDER BY x::text) FROM mechanics x) AS mechanics,
       (SELECT array_agg(x::text ORDER BY x::text) FROM workshops x) AS workshops,
       (SELECT array_agg(x::text ORDER BY x::text) FROM waivers x) AS waivers,
       (SELECT array_agg(x::text ORDER BY x::text) FROM legacy_rows x) AS archive
"""


@dataclass
class ImportEnv:
    """Somebody who moves one old system into one new database."""

    world: World
    old: OldSystem

    def run(self, *, apply: bool = True, batch: int = 7, **options: Any) -> ImportReport:  # noqa: ANN401
        """One run; small batches, so that there are many."""
        url = self.world.urls.owner_url
        with reader(url, "import-legacy") as reading, psycopg.connect(url, autocommit=True) as writing:
            return import_legacy(
                reading, writing, schema=self.old.schema, label="the old one", actor="operator:test", apply=apply,
                batch=batch, **options,
            )  # fmt: skip

    def everything(self) -> dict[str, Any]:
        """Every row that an import could have written."""
        row: dict[str, Any] | None = self.world.owner.execute(EVERYTHING).fetchone()
        assert row is not None
        return row

    def is_sound(self) -> None:
        """Verify finds nothing, nor do the invariants of the tests; nothing waits to be told, paid or refunded."""
        self.verifies()
        assert violations(self.world.owner) == []
        for table in (
            "outbox",
            "outbox_poison",
            "settlements",
            "settlements_due",
            "payouts",
            "refunds",
            "ledger_transfer",
        ):
            assert self.world.owner.execute(f"SELECT 1 FROM {table}").fetchall() == [], table

    def verifies(self) -> None:
        """Verify finds nothing; what the schema is, is its own tests' business."""
        with reader(self.world.urls.owner_url, "verify") as connection:
            outcome = verify(connection)
        found = [tally.samples for tally in outcome.tallies.values() if tally.check.section is not Section.SCHEMA]
        assert not found, found

    def session(self, name: str) -> dict[str, Any]:
        """The session that a named old row became."""
        row = self.world.owner.execute("SELECT * FROM sessions WHERE id = %s", [self.old.ids[name]]).fetchone()
        assert row is not None, name
        return row

    def outcome(self, name: str) -> tuple[str, str | None]:
        """Its status and reason."""
        row = self.session(name)
        return row["status"], row["end_reason"]

    def archived(self, key: UUID | str) -> dict[str, Any]:
        """The archived row with this key."""
        row = self.world.owner.execute("SELECT * FROM legacy_rows WHERE row_key = %s", [str(key)]).fetchone()
        assert row is not None
        return row


def counts(remarks: list[Remark]) -> dict[str, int]:
    """The count of each kind."""
    return {remark.kind: remark.count for remark in remarks}
