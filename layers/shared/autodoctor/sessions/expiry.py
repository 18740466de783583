"""The sweep of sessions left behind: it expires, queues again, brings due or ends them, in bounded batches."""

from typing import Final, LiteralString

import psycopg

from autodoctor.db import Database, Refused
from autodoctor.deadline import SecondsLeft
from autodoctor.web.schemas import ResponseModel

BATCH: Final = 200
MARGIN_SECONDS: Final = 5.0

_ORPHANS: Final[LiteralString] = "SELECT expire_orphaned_sessions(%(batch)s) AS changed"
_LAPSED_OFFERS: Final[LiteralString] = "SELECT expire_lapsed_offers(%(batch)s) AS changed"
_UNREACHABLE: Final[LiteralString] = "SELECT open_unreachable_requests(%(batch)s) AS changed"
_DUE: Final[LiteralString] = "SELECT bring_due_sessions(%(batch)s) AS changed"
_MECHANIC_NEVER_CAME: Final[LiteralString] = "SELECT release_absent_mechanics(%(batch)s) AS changed"
_ABANDONED: Final[LiteralString] = "SELECT end_abandoned_sessions(%(batch)s) AS changed"
_LATE_REPLIES: Final[LiteralString] = "SELECT tell_late_replies(%(batch)s) AS changed"
_MINUTES: Final[LiteralString] = "SELECT tell_minutes(%(batch)s) AS changed"
_SUMMARIES: Final[LiteralString] = "SELECT tell_due_summaries(%(batch)s) AS changed"
_OLD_KEYS: Final[LiteralString] = "SELECT forget_idempotency_keys(%(batch)s) AS changed"
_FREE_LIMITS: Final[LiteralString] = "SELECT forget_limit_counters(%(batch)s) AS changed"


class Swept(ResponseModel):
    """How many sessions, or rows that are no longer needed, of each kind were dealt with."""

    orphans: int
    lapsed_offers: int
    opened_to_all: int
    came_due: int
    released: int
    ended: int
    late_replies: int
    last_minutes: int
    summaries: int
    forgotten_keys: int
    forgotten_counters: int


def sweep(database: Database, seconds_left: SecondsLeft) -> Swept:
    """Run every sweep until it changes nothing more or time runs short.

    Safe to run twice, and in parallel. The rest is left for the next run. A sweep that
    fails does not keep the others from running, nor does a row that cannot be changed keep those after it.

    Raises:
        ExceptionGroup: the failures, after all sweeps had their turn.
    """
    failures: list[Exception] = []

    def in_batches(statement: LiteralString) -> int:
        total = 0
        try:
            while seconds_left() > MARGIN_SECONDS:
                row = database.one(statement, {"batch": BATCH})
                changed: int = row["changed"] if row else 0
                total += changed
                if not changed:
                    break
        except (psycopg.Error, Refused) as failure:
            failures.append(failure)
        return total

    swept = Swept(
        orphans=in_batches(_ORPHANS),
        lapsed_offers=in_batches(_LAPSED_OFFERS),
        opened_to_all=in_batches(_UNREACHABLE),
        came_due=in_batches(_DUE),
        released=in_batches(_MECHANIC_NEVER_CAME),
        ended=in_batches(_ABANDONED),
        late_replies=in_batches(_LATE_REPLIES),
        last_minutes=in_batches(_MINUTES),
        summaries=in_batches(_SUMMARIES),
        forgotten_keys=in_batches(_OLD_KEYS),
        forgotten_counters=in_batches(_FREE_LIMITS),
    )
    if failures:
        raise ExceptionGroup(f"{len(failures)} sweeps failed", failures)
    return swept
