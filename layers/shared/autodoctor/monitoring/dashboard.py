"""GET /api/admin/session-health: the operators' dashboard; each number has the route that lists its sessions."""

from datetime import timedelta
from typing import Final, Literal, LiteralString

from pydantic import Field

from autodoctor.db import Database, Row
from autodoctor.monitoring.alerts import Alerts, alerts
from autodoctor.monitoring.runs import ScheduleRun, schedules
from autodoctor.monitoring.score import Hour, Score, score
from autodoctor.monitoring.snapshot import MoneyStuck, Snapshot, money_stuck, snapshot
from autodoctor.monitoring.window import Window, counted, window
from autodoctor.web.schemas import ResponseModel, Utc

LONGEST: Final = timedelta(days=31)
DEFAULT: Final = timedelta(hours=24)

_REVENUE: Final[LiteralString] = "SELECT * FROM revenue_impact(%(since)s, %(until)s) ORDER BY end_reason"


class Tile(ResponseModel):
    """One number.

    Attributes:
        status: ok, low or high against `limit`; none when there is no limit.
        list: the route that lists the sessions counted.
    """

    name: str
    value: float | None
    unit: Literal["sessions", "percent", "seconds"]
    limit: int | None = None
    status: Literal["ok", "low", "high", "none"] = "none"
    list: str | None = None


class _Impact(ResponseModel):
    """Money that was not earned in the end, in cents of usd.

    Attributes:
        card_cents: the prices of those paid by card.
        platform_cents: the platform's share of these prices.
        credits: credits returned to customers.
        refunded_cents: the amount refunded; the next two are refunds still due, and refunds that failed.
    """

    sessions: int
    card_cents: int
    platform_cents: int
    credits: int
    refunded_cents: int
    refunds_waiting_cents: int
    refunds_failed_cents: int


class Lost(_Impact):
    """The cost of sessions that ended for one reason without being completed, in cents of usd."""

    end_reason: str
    list: str


class Revenue(_Impact):
    """The revenue impact of cancelled, expired and refunded sessions: in all and by reason."""

    by_reason: list[Lost]


class Count(ResponseModel):
    """The number of sessions by status: active ones now, the others if they ended in the period."""

    status: str
    count: int
    list: str


class SessionHealth(ResponseModel):
    """The dashboard; times are UTC, and sessions count from `from` on and before `to`."""

    as_of: Utc
    since: Utc = Field(serialization_alias="from")
    until: Utc = Field(serialization_alias="to")
    score: Score
    now: Snapshot
    money_stuck: list[MoneyStuck]
    alerts: Alerts
    metrics: list[Tile]
    revenue_impact: Revenue
    status_distribution: list[Count]
    hourly: list[Hour]
    schedules: list[ScheduleRun]


def session_health(database: Database, since: str | None = None, until: str | None = None) -> SessionHealth:
    """Assemble the dashboard.

    Args:
        since: `from` of the query; 24 hours before the end where absent.
        until: `to` of the query; now where absent.

    Raises:
        Unprocessable: not a time, or longer than 31 days.
    """
    asked = window(since, until, longest=LONGEST, default=DEFAULT)
    counts, present = score(database, asked), snapshot(database)
    return SessionHealth(
        as_of=counts["as_of"],
        since=asked.since,
        until=asked.until,
        score=Score(**{**counts, "value": counts["score"], "sessions_with_alert": counts["alerts"]}),
        now=present,
        money_stuck=money_stuck(database),
        alerts=alerts(database),
        metrics=_tiles(counts, asked),
        revenue_impact=_revenue(database, asked),
        status_distribution=_distribution(counts, present, asked),
        hourly=[Hour(**hour) for hour in counts["hours"]],
        schedules=schedules(database),
    )


def _between(asked: Window) -> str:
    return f"from={_wire(asked.since)}&to={_wire(asked.until)}"


def _wire(at: Utc) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _tiles(counts: Row, asked: Window) -> list[Tile]:
    ended, limits = f"/api/admin/sessions?{_between(asked)}", counts["limits"]

    def tile(name: str, unit: Literal["sessions", "seconds"], query: str) -> Tile:
        return Tile(name=name, value=counts[name], unit=unit, list=ended + query)

    completion, lowest = counts["completion_percent"], limits.get("completion_percent_min")
    missed, highest = counts["no_show_percent"], limits.get("no_show_percent_max")
    return [
        Tile(
            name="completion_percent",
            value=completion,
            unit="percent",
            limit=lowest,
            status=_judged(completion, lowest, "low"),
            list=f"{ended}&status=completed",
        ),
        Tile(
            name="no_show_percent",
            value=missed,
            unit="percent",
            limit=highest,
            status=_judged(missed, highest, "high"),
            list=f"{ended}&reason=no_show",
        ),
        tile("created", "sessions", ""),
        tile("ended", "sessions", "&status=ended"),
        tile("completed", "sessions", "&status=completed"),
        tile("cancelled", "sessions", "&status=cancelled"),
        tile("expired", "sessions", "&status=expired"),
        tile("no_shows", "sessions", "&reason=no_show"),
        tile("average_seconds", "seconds", "&status=completed"),
    ]


def _judged(
    value: float | None, limit: int | None, beyond: Literal["low", "high"]
) -> Literal["ok", "low", "high", "none"]:
    if value is None or limit is None:
        return "none"
    return beyond if (value < limit if beyond == "low" else value > limit) else "ok"


def _revenue(database: Database, asked: Window) -> Revenue:
    rows = counted(database, _REVENUE, {"since": asked.since, "until": asked.until})
    totals = [name for name in Revenue.model_fields if name != "by_reason"]
    return Revenue(
        **{name: sum(row[name] for row in rows) for name in totals},
        by_reason=[
            Lost(**row, list=f"/api/admin/sessions?{_between(asked)}&reason={row['end_reason']}") for row in rows
        ],
    )


def _distribution(counts: Row, present: Snapshot, asked: Window) -> list[Count]:
    active = {
        "scheduled": present.scheduled,
        "pending": present.pending,
        "waiting": present.accepted,
        "live": present.live,
    }
    ended = {name: counts[name] for name in ("completed", "cancelled", "expired")}
    return [
        *(Count(status=name, count=n, list=f"/api/admin/sessions?status={name}") for name, n in active.items()),
        *(
            Count(status=name, count=n, list=f"/api/admin/sessions?{_between(asked)}&status={name}")
            for name, n in ended.items()
        ),
    ]
