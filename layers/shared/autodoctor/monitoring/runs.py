"""The last and the next run of each schedule; every scheduled function records its own runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, LiteralString

import psycopg

from autodoctor.db import Database
from autodoctor.observability import log_failure
from autodoctor.web.schemas import ResponseModel, Utc

EVERY_SECONDS: Final = {
    "checkout-unfinished": 60,
    "expire-orphans": 60,
    "monitor": 60,
    "payouts": 60,
    "reconcile": 86_400,
    "relay": 60,
    "settle-missed": 60,
    "sweep-files": 60,
    "sweep-meetings": 60,
    "verify": 3_600,
}
"""The schedules of template.yaml, by the name without the stack's; a test holds them equal."""

DAILY_AT: Final = {"reconcile": "05:17"}
"""When those run that have a time of day (UTC), likewise."""

_BEGIN: Final[LiteralString] = """
INSERT INTO schedule_runs AS r (name, started_at) VALUES (%(name)s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET started_at = excluded.started_at, finished_at = NULL, failed = false
"""

_END: Final[LiteralString] = """
UPDATE schedule_runs SET finished_at = clock_timestamp(), failed = %(failed)s WHERE name = %(name)s
"""

_ALL: Final[LiteralString] = """
SELECT n.name, n.seconds AS every_seconds, r.started_at AS last_run, r.finished_at AS last_finished,
       CASE WHEN r.started_at IS NULL THEN 'never'
            WHEN r.started_at < now() - (3 * n.seconds + 60) * interval '1 second' THEN 'overdue'
            WHEN r.failed THEN 'failed' WHEN r.finished_at IS NULL THEN 'running' ELSE 'ok' END AS state,
       CASE WHEN n.at IS NULL THEN coalesce(r.started_at, now()) + n.seconds * interval '1 second'
            ELSE (today.midnight + n.at + CASE WHEN today.midnight + n.at > today.present THEN interval '0'
                                               ELSE interval '1 day' END) AT TIME ZONE 'UTC' END AS next_run
  FROM unnest(%(names)s::text[], %(seconds)s::integer[], %(at)s::time[]) AS n (name, seconds, at)
 CROSS JOIN LATERAL (SELECT now() AT TIME ZONE 'UTC' AS present,
                            date_trunc('day', now() AT TIME ZONE 'UTC') AS midnight) AS today
  LEFT JOIN schedule_runs r USING (name) ORDER BY n.name
"""


class ScheduleRun(ResponseModel):
    """One schedule.

    Attributes:
        state: overdue after three intervals and a minute without a run; running also of one that was cut short.
        next_run: at its time of day, or an interval after the last one began; of one that never ran, an interval from
            now at the latest.
    """

    name: str
    every_seconds: int
    last_run: Utc | None
    last_finished: Utc | None
    next_run: Utc
    state: str


class ScheduleFailed(Exception):
    """The database refused something, or some of the work failed, of which the rest was done.

    PostgreSQL's messages are left out: they may quote a row, and errors are logged.
    """

    def __init__(self, name: str, failure: psycopg.Error | ExceptionGroup) -> None:
        if isinstance(failure, ExceptionGroup):
            codes = ", ".join(sorted({_code(each) for each in failure.exceptions}))
            super().__init__(f"{name}: {failure.message}: {codes}")
        else:
            super().__init__(f"{name}: {_code(failure)}")


def _code(failure: Exception) -> str:
    return f"{type(failure).__name__} {getattr(failure, 'sqlstate', None) or ''}".rstrip()


@contextmanager
def recorded_run(database: Database, name: str) -> Iterator[None]:
    """Record that the schedule of this name runs, and how it ended; also as a decorator.

    Raises:
        ScheduleFailed: the database refused something, or a group of exceptions says what failed.
    """
    database.execute(_BEGIN, {"name": name})
    failed = True
    try:
        yield
        failed = False
    except (psycopg.Error, ExceptionGroup) as failure:
        log_failure(f"schedule {name}", failure)
        raise ScheduleFailed(name, failure) from None
    finally:
        database.execute(_END, {"name": name, "failed": failed})


def schedules(database: Database) -> list[ScheduleRun]:
    """Every schedule with its last and its next run."""
    parameters = {
        "names": list(EVERY_SECONDS),
        "seconds": list(EVERY_SECONDS.values()),
        "at": [DAILY_AT.get(name) for name in EVERY_SECONDS],
    }
    return [ScheduleRun(**row) for row in database.all(_ALL, parameters)]
