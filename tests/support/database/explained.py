"""A `Database` that explains each statement before it runs it: how many pages its plan touches, and where."""

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from autodoctor.db import Database, Parameters, Row

_EXPLAIN: LiteralString = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF, FORMAT JSON) "


@dataclass(frozen=True)
class Explanation:
    """What one statement cost.

    Attributes:
        statement: its text on one line.
        pages: of tables and indexes, those that its functions touched included; found in memory or not.
        plan: as PostgreSQL explains it.
    """

    statement: str
    pages: int
    plan: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.pages:,} pages: {self.statement[:300]}\n" + "\n".join(_costly(self.plan, self.pages // 4))


class ExplainingDatabase(Database):
    """As Database, and keeps what each statement cost.

    Attributes:
        explanations: of every statement so far, in order; statements inside of `transaction` are not explained.
    """

    def __init__(self, url: str) -> None:
        super().__init__(lambda: url)
        self.explanations: list[Explanation] = []

    def one(self, query: LiteralString, parameters: Parameters) -> Row | None:
        self._explain(query, parameters)
        return super().one(query, parameters)

    def all(self, query: LiteralString, parameters: Parameters) -> list[Row]:
        self._explain(query, parameters)
        return super().all(query, parameters)

    def _explain(self, query: LiteralString, parameters: Parameters) -> None:
        def explained(connection: psycopg.Connection[Row]) -> Row | None:
            with connection.transaction(force_rollback=True):
                return connection.execute(_EXPLAIN + query, parameters).fetchone()

        row = self._run(explained)
        assert row is not None
        plan = row["QUERY PLAN"][0]["Plan"]
        pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        self.explanations.append(Explanation(" ".join(query.split()), pages, plan))


def _costly(plan: dict[str, Any], least: int, depth: int = 0) -> list[str]:
    """The nodes of a plan that touch so many pages, with what is below them."""
    pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    if pages < least:
        return []
    where = " ".join(
        str(plan[key]) for key in ("Relation Name", "Index Name", "Function Name", "CTE Name") if key in plan
    )
    times = f"{plan['Actual Rows']} rows x {plan['Actual Loops']}"
    line = f"{'  ' * depth}{plan['Node Type']} {where}: {pages:,} pages, {times}"
    return [line, *(found for below in plan.get("Plans", []) for found in _costly(below, least, depth + 1))]
