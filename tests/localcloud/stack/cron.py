"""EventBridge's schedule expressions: `rate(5 minutes)`, `cron(0 12 * * ? *)`, `at(2026-01-31T12:00:00)`."""

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_LAST_YEAR = 2199
_FIELDS = 6

type Next = Callable[[datetime], datetime | None]


class BadExpression(Exception):
    """EventBridge would refuse this schedule expression."""

    def __init__(self, expression: str, why: str) -> None:
        super().__init__(f"{expression}: {why}")


def next_times(expression: str, timezone: str = "UTC") -> Next:
    """Return a function from an instant (UTC) to the first firing after it, or None if there is none.

    A rate counts from the given instant. Raises BadExpression.
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
        return _Cron.parse(inner, zone).after
    except (ValueError, KeyError) as error:
        raise BadExpression(expression, str(error)) from error


def _rate(inner: str) -> timedelta:
    number, unit = inner.split()
    count = int(number)
    if count < 1 or (count == 1) == unit.endswith("s"):
        raise ValueError("one unit is singular, several are plural")
    return count * _UNITS[unit.removesuffix("s")]


@dataclass(frozen=True)
class _Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    month_days: str
    months: frozenset[int]
    week_days: str
    years: frozenset[int]
    zone: ZoneInfo

    @classmethod
    def parse(cls, inner: str, zone: ZoneInfo) -> "_Cron":
        fields = inner.upper().split()
        if len(fields) != _FIELDS:
            raise ValueError("cron takes six fields: minute hour day month weekday year")
        minute, hour, month_day, month, week_day, year = fields
        if (month_day == "?") == (week_day == "?"):
            raise ValueError("one of day and weekday must be ?")
        cron = cls(
            minutes=_numbers(minute, 0, 59),
            hours=_numbers(hour, 0, 23),
            month_days=month_day,
            months=_numbers(month, 1, 12, _MONTHS),
            week_days=week_day,
            years=_numbers(year, 1970, _LAST_YEAR),
            zone=zone,
        )
        cron.days(2024, 1)  # raises now when the days are wrong
        return cron

    def after(self, instant: datetime) -> datetime | None:
        start = instant.astimezone(self.zone).replace(second=0, microsecond=0) + timedelta(minutes=1)
        for year in sorted(year for year in self.years if year >= start.year):
            for month in sorted(self.months):
                if (year, month) < (start.year, start.month):
                    continue
                for day in sorted(self.days(year, month)):
                    found = self._first_on(datetime(year, month, day, tzinfo=self.zone), start)
                    if found is not None:
                        return found.astimezone(UTC)
        return None

    def _first_on(self, day: datetime, start: datetime) -> datetime | None:
        if day.date() < start.date():
            return None
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                candidate = day.replace(hour=hour, minute=minute)
                if candidate >= start:
                    return candidate
        return None

    def days(self, year: int, month: int) -> frozenset[int]:
        last = calendar.monthrange(year, month)[1]
        if self.month_days != "?":
            return self._month_days(year, month, last)
        return frozenset(day for day in range(1, last + 1) if self._on_week_day(year, month, day, last))

    def _month_days(self, year: int, month: int, last: int) -> frozenset[int]:
        if self.month_days == "L":
            return frozenset({last})
        if self.month_days.endswith("W"):
            return frozenset({_nearest_weekday(year, month, int(self.month_days[:-1]), last)})
        return frozenset(day for day in _numbers(self.month_days, 1, 31) if day <= last)

    def _on_week_day(self, year: int, month: int, day: int, last: int) -> bool:
        number = _week_day(year, month, day)
        if "#" in self.week_days:
            name, nth = self.week_days.split("#")
            return number in _numbers(name, 1, 7, _DAYS) and (day - 1) // 7 + 1 == int(nth)
        if self.week_days.endswith("L"):
            name = self.week_days[:-1] or "SAT"
            return number in _numbers(name, 1, 7, _DAYS) and day + 7 > last
        return number in _numbers(self.week_days, 1, 7, _DAYS)


def _week_day(year: int, month: int, day: int) -> int:
    """EventBridge's weekday: Sunday is 1."""
    return (calendar.weekday(year, month, day) + 1) % 7 + 1


def _nearest_weekday(year: int, month: int, day: int, last: int) -> int:
    day = min(day, last)
    number = _week_day(year, month, day)
    if number == _DAYS["SAT"]:
        return day - 1 if day > 1 else day + 2
    if number == _DAYS["SUN"]:
        return day + 1 if day < last else day - 2
    return day


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (_number(end, names) for end in span.split("-"))
        else:
            first = _number(span, names)
            last = high if step else first
        if not low <= first <= high or not low <= last <= high:
            raise ValueError(f"{part} is outside {low}-{high}")
        found.update(range(first, last + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, names: dict[str, int] | None) -> int:
    return names[text] if names and text in names else int(text)
