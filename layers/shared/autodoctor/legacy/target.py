"""The new database: what it holds already, and the few lookups that an import makes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - annotates an attribute
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from autodoctor.legacy.names import FREE
from autodoctor.legacy.old import Unmovable

_NOW: Final[LiteralString] = """
SELECT clock_timestamp() AS now, min_billable_seconds() AS minimum
"""
_PLANS: Final[LiteralString] = "SELECT code, session_types, max_minutes, mechanic_share_bp FROM plans"
_ARCHIVED: Final[LiteralString] = """
SELECT row_key, became, note FROM legacy_rows WHERE table_name = %(table)s AND row_key = ANY (%(keys)s)
"""
_TAKEN: Final[LiteralString] = """
SELECT i.id FROM intakes i WHERE i.id = ANY (%(ids)s)
UNION SELECT a.id FROM session_assignments a WHERE a.id = ANY (%(ids)s)
"""
_ERASED: Final[LiteralString] = """
SELECT user_id FROM customers WHERE user_id = ANY (%(users)s) AND erased_at IS NOT NULL
UNION SELECT user_id FROM erasures WHERE user_id = ANY (%(users)s) AND role = 'customer'
"""
_BUSY: Final[LiteralString] = """
SELECT c.user_id, s.mechanic_id FROM sessions s JOIN customers c ON c.id = s.customer_id WHERE s.ended_at IS NULL
"""
_MECHANICS: Final[LiteralString] = "SELECT id, user_id, workshop_id, status FROM mechanics"
_WORKSHOPS: Final[LiteralString] = "SELECT id FROM workshops"


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """The columns of a plan that an import needs."""

    code: str
    session_types: list[str]
    max_minutes: int
    mechanic_share_bp: int


class Target:
    """The new database as it was when the import began, and what it says of single rows.

    Attributes:
        now: by its clock.
        minimum_seconds: to be billable.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        about = self._asked(_NOW)[0]
        self.now: datetime = about["now"]
        self.minimum_seconds: int = about["minimum"]
        self.plans = {row["code"]: TargetPlan(**row) for row in self._asked(_PLANS)}

    def look_again(self) -> None:
        """Read the clock again, after a long walk."""
        self.now = self._asked(_NOW)[0]["now"]

    def plan_for(self, code: str | None, session_type: str) -> TargetPlan:
        """The plan of that code if it allows the type, else the free one, else any that does.

        Raises:
            Unmovable: none allows it.
        """
        wanted = [self.plans[name] for name in (code, FREE) if name in self.plans]
        for plan in (*wanted, *self.plans.values()):
            if session_type in plan.session_types:
                return plan
        raise Unmovable("no_plan", f"no plan allows {session_type}")

    def archived(self, table: str, keys: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """The outcome of rows that an earlier run archived, with its note."""
        rows = self._asked(_ARCHIVED, {"table": table, "keys": list(keys)})
        return {row["row_key"]: (row["became"], row["note"]) for row in rows}

    def taken(self, ids: Iterable[UUID]) -> set[UUID]:
        """Which of these ids sessions or assignments have already."""
        return {row["id"] for row in self._asked(_TAKEN, {"ids": list(ids)})}

    def erased(self, users: Iterable[UUID]) -> set[UUID]:
        """Which of these users had their data erased."""
        return {row["user_id"] for row in self._asked(_ERASED, {"users": list(users)})}

    def busy(self) -> tuple[set[UUID], set[UUID]]:
        """Users who have an active session, and mechanics who hold one."""
        rows = self._asked(_BUSY)
        return {row["user_id"] for row in rows}, {row["mechanic_id"] for row in rows if row["mechanic_id"]}

    def mechanics(self) -> list[dict[str, Any]]:
        """All mechanics: id, user, workshop, status."""
        return self._asked(_MECHANICS)

    def workshops(self) -> set[UUID]:
        """All workshops."""
        return {row["id"] for row in self._asked(_WORKSHOPS)}

    def _asked(self, query: LiteralString, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, parameters).fetchall()
