"""GET /api/admin/analytics: the course of sessions over a period, by hour, day, week or month (UTC)."""

from datetime import timedelta
from typing import Final, Literal, LiteralString
from uuid import UUID

from pydantic import Field

from autodoctor.db import Database, Row
from autodoctor.errors import Unprocessable
from autodoctor.monitoring import analytics_sql
from autodoctor.monitoring.window import counted, window
from autodoctor.web.paging import MOST_BYTES, fitting
from autodoctor.web.schemas import ResponseModel, Utc, now

type Bucket = Literal["hour", "day", "week", "month"]

RANGES: Final[dict[Bucket, tuple[timedelta, timedelta]]] = {
    "hour": (timedelta(days=14), timedelta(days=1)),
    "day": (timedelta(days=92), timedelta(days=30)),
    "week": (timedelta(days=184), timedelta(days=84)),
    "month": (timedelta(days=366), timedelta(days=180)),
}
"""The longest and the default window of each bucket."""
JAMS: Final = 3


class Created(ResponseModel):
    """Sessions that began in a period, of one funding, plan and type."""

    period_start: Utc
    funding: str
    plan: str
    session_type: str
    sessions: int


class Duration(ResponseModel):
    """Seconds, of the sessions that began in a period, or in all periods where it is None.

    Attributes:
        measure: time_to_waiver from creation, time_to_accept from the queue until the mechanic accepted who held it
            last, time_to_join from there until both were present, handle_time from there to the end.
    """

    period_start: Utc | None
    measure: Literal["time_to_waiver", "time_to_accept", "time_to_join", "handle_time"]
    sessions: int
    p50: int
    p90: int
    p99: int


class Answers(ResponseModel):
    """What a mechanic, or all of a workshop, did with requests; a request that its customer took back is none.

    Attributes:
        acceptance_percent: of the offers that were accepted, declined or lapsed; None: there was none.
        taken_from_queue: accepted without an offer.
    """

    mechanic_id: UUID | None
    mechanic_name: str | None
    workshop_id: UUID | None
    workshop_name: str | None
    offers_accepted: int
    offers_declined: int
    offers_lapsed: int
    acceptance_percent: float | None
    decline_percent: float | None
    taken_from_queue: int
    completed: int


class QueuePeriod(ResponseModel):
    """The queue in one period: its depth over time, and who entered it, was accepted or gave up."""

    period_start: Utc
    average_depth: float | None
    max_depth: int
    entered: int
    accepted: int
    lost: int


class QueueHour(ResponseModel):
    """The queue in one hour of the day (0 to 23, UTC), over all days of the window."""

    hour: int
    average_depth: float | None
    max_depth: int
    entered: int
    accepted: int
    lost: int


class Stage(ResponseModel):
    """How long sessions stood before one step, and how many ended there; where most time goes comes first."""

    stage: Literal["waiver", "queue", "join"]
    sessions: int
    total_seconds: int
    average_seconds: int
    lost: int


class Funnel(ResponseModel):
    """How far the intakes of the window came, of one funding or of all (None)."""

    funding: str | None
    intakes: int
    sessions: int
    signed: int
    accepted: int
    started: int
    completed: int
    conversion_percent: float | None


class Analytics(ResponseModel):
    """The course of the sessions that began from `from` on and before `to`.

    Attributes:
        jams: the hours of the day in which the queue is deepest, deepest first.
        stages: where the time goes.
    """

    as_of: Utc
    since: Utc = Field(serialization_alias="from")
    until: Utc = Field(serialization_alias="to")
    bucket: Bucket
    created: list[Created]
    durations: list[Duration]
    mechanics: list[Answers]
    workshops: list[Answers]
    queue: list[QueuePeriod]
    queue_by_hour: list[QueueHour]
    jams: list[QueueHour]
    stages: list[Stage]
    funnel: list[Funnel]


def analytics(
    database: Database, since: str | None = None, until: str | None = None, bucket: str | None = None
) -> Analytics:
    """Report the course of sessions.

    Args:
        since: `from` of the query; where absent, the bucket's default before the end.
        until: `to` of the query; now where absent.
        bucket: hour, day, week or month; day where absent.

    Raises:
        Unprocessable: not a bucket or a time, longer than the bucket allows, or more than can be counted in time.
    """
    chosen = _bucket(bucket)
    longest, default = RANGES[chosen]
    asked = window(since, until, longest=longest, default=default)
    parameters = {"since": asked.since, "until": asked.until, "bucket": chosen}

    def rows(query: LiteralString) -> list[Row]:
        return counted(database, query, parameters)

    answers, depth = rows(analytics_sql.ANSWERS), rows(analytics_sql.DEPTH)
    by_hour = [QueueHour(**row) for row in depth if row["hour"] is not None]
    return Analytics(
        as_of=now(),
        since=asked.since,
        until=asked.until,
        bucket=chosen,
        created=[Created(**row) for row in rows(analytics_sql.CREATED)],
        durations=[_duration(row) for row in rows(analytics_sql.DURATIONS)],
        mechanics=fitting((Answers(**row) for row in answers if not row["of_workshop"]), MOST_BYTES // 3),
        workshops=fitting((Answers(**row) for row in answers if row["of_workshop"]), MOST_BYTES // 3),
        queue=[QueuePeriod(**row) for row in depth if row["hour"] is None],
        queue_by_hour=by_hour,
        jams=sorted((each for each in by_hour if each.max_depth), key=lambda each: -(each.average_depth or 0))[:JAMS],
        stages=[Stage(**row) for row in rows(analytics_sql.STAGES)],
        funnel=[Funnel(**row) for row in rows(analytics_sql.FUNNEL)],
    )


def _bucket(bucket: str | None) -> Bucket:
    wanted = "day" if bucket is None else bucket
    for known in RANGES:
        if wanted == known:
            return known
    raise Unprocessable(("/bucket", f"must be one of {', '.join(RANGES)}"))


def _duration(row: Row) -> Duration:
    p50, p90, p99 = row["percentiles"]
    return Duration(**row, p50=p50, p90=p90, p99=p99)
