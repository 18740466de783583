"""Stores the results of comparisons for admins, and logs one line per kind of difference."""

from typing import Final, LiteralString

from psycopg.types.json import Jsonb

from autodoctor.db import Database
from autodoctor.observability import logger
from autodoctor.payments.reconcile.report import Report, StoredRun
from autodoctor.web.paging import fitting, page_size
from autodoctor.web.schemas import ResponseModel

KEPT_DIFFERENCES: Final = 500
SHOWN_SUBJECTS: Final = 5

_KEEP: Final[LiteralString] = """
INSERT INTO reconcile_runs (started_at, since, finished, found, report)
VALUES (%(started_at)s, %(since)s, %(finished)s, %(found)s, %(report)s)
"""
_NEWEST: Final[LiteralString] = """
SELECT id AS run_id, started_at, finished_at, since, finished, found, report
  FROM reconcile_runs ORDER BY id DESC LIMIT %(limit)s
"""


class Runs(ResponseModel):
    """The latest comparisons of the ledger with Stripe, newest first."""

    runs: list[StoredRun]


def keep(database: Database, report: Report) -> None:
    """Store the result of a comparison, with the first 500 of its differences."""
    kept = report.model_copy(update={"differences": report.differences[:KEPT_DIFFERENCES]})
    values = {
        "started_at": report.as_of,
        "since": report.since,
        "finished": report.finished,
        "found": len(report.differences),
        "report": Jsonb({**kept.model_dump(mode="json", by_alias=True), "counts": report.counts()}),
    }
    database.execute(_KEEP, values)


def log(report: Report) -> None:
    """Log one line per kind of difference, with ids and counts."""
    for kind, count in report.counts().items():
        found = [each for each in report.differences if each.kind == kind]
        level = logger.error if found[0].serious else logger.warning
        level(
            "books differ",
            extra={"kind": kind, "count": count, "subjects": [each.subject for each in found[:SHOWN_SUBJECTS]]},
        )


def newest_runs(database: Database, limit: str | None = None) -> Runs:
    """The results of the latest comparisons.

    Args:
        limit: how many at most, 1 to 100; 20 where absent. Fewer where they found so much that they would not fit.

    Raises:
        Unprocessable: limit is not in that range.
    """
    rows = database.all(_NEWEST, {"limit": page_size(limit)})
    return Runs(runs=fitting(StoredRun(**row) for row in rows))
