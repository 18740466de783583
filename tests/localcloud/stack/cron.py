"""Schedule expressions: `rate(5 minutes)`, `at(2026-01-31T12:00:00)`, and of cron a time of every day.

EventBridge's cron has more. What no template of ours uses is refused, so that nothing fires at another time here than
there.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}

type Next = Callable[[datetime], datetime | None]


class BadExpression(Exception):
    """The schedule expression is malformed or not supported here."""

    def __init__(self, expression: str, why: str) -> None:
        super().__init__(f"{expression}: {why}")


def next_times(expression: str, timezone: str = "UTC") -> Next:
    """Return a function from an instant (UTC) to the first firing after it, or None if there is none.

    A rate counts from the instant given. Raises BadExpression.
    """
    match = re.fullmatch(r"(rate|cron|at)\((.+)\)", expression.strip())
    if match is None:
        raise BadExpression(expression, "not rate(...), cron(...) or at(...)")
    kind, inner = match.groups()
    zone = ZoneInfo(timezone)
    try:
        if kind == "rate":
            interval = _rate(inner)
            return lambda after: after + interval
        if kind == "at":
            once = datetime.fromisoformat(inner).replace(tzinfo=zone).astimezone(UTC)
            return lambda after: once if once > after else None
        daily = _time_of_day(inner)
    except (ValueError, KeyError) as error:
        raise BadExpression(expression, str(error)) from error
    return lambda after: _next_day_at(daily, zone, after)


def _rate(inner: str) -> timedelta:
    number, unit = inner.split()
    count = int(number)
    if count < 1 or (count == 1) == unit.endswith("s"):
        raise ValueError("one unit is singular, several are plural")
    return count * _UNITS[unit.removesuffix("s")]


def _time_of_day(inner: str) -> time:
    match = re.fullmatch(r"(\d+) (\d+) (?:\* \* \?|\? \* \*) \*", inner)
    if match is None:
        raise ValueError("the local cloud knows only a time of every day, such as cron(17 5 * * ? *)")
    minute, hour = map(int, match.groups())
    return time(hour, minute)


def _next_day_at(daily: time, zone: ZoneInfo, after: datetime) -> datetime:
    today = after.astimezone(zone).date()
    days = (datetime.combine(today + timedelta(days=later), daily, zone).astimezone(UTC) for later in range(2))
    return next(each for each in days if each > after)
