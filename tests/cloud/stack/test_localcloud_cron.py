"""Schedule expressions fire when EventBridge would fire them."""

from datetime import UTC, datetime

import pytest

from localcloud.stack.cron import BadExpression, next_times


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("rate(1 minute)", "2026-01-31T12:00:30", "2026-01-31T12:01:30"),
        ("rate(5 minutes)", "2026-01-31T12:00:00", "2026-01-31T12:05:00"),
        ("rate(2 hours)", "2026-01-31T23:00:00", "2026-02-01T01:00:00"),
        ("rate(1 day)", "2026-01-31T12:00:00", "2026-02-01T12:00:00"),
        ("at(2026-01-31T12:00:05)", "2026-01-31T12:00:00", "2026-01-31T12:00:05"),
        ("cron(0 12 * * ? *)", "2026-01-31T12:00:00", "2026-02-01T12:00:00"),
        ("cron(0 12 * * ? *)", "2026-01-31T11:59:59", "2026-01-31T12:00:00"),
        ("cron(17 5 ? * * *)", "2026-12-31T05:17:00", "2027-01-01T05:17:00"),
    ],
)
def test_finds_the_next_firing(expression: str, after: str, due: str) -> None:
    assert next_times(expression)(at(after)) == at(due)


def test_counts_in_the_schedules_time_zone() -> None:
    assert next_times("cron(0 9 * * ? *)", "America/New_York")(at("2026-07-01T00:00:00")) == at("2026-07-01T13:00:00")


def test_ends_when_nothing_is_left() -> None:
    assert next_times("at(2020-01-01T00:00:00)")(at("2026-01-31T12:00:00")) is None


@pytest.mark.parametrize(
    "inner",
    ["0/15 * * * ? *", "5,35 14 * * ? *", "0 8-17 ? * MON-FRI *", "0 0 1 1 ? 2030", "0 0 L * ? *", "0 0 1W * ? *"],
)
def test_refuses_what_no_template_of_ours_uses(inner: str) -> None:
    with pytest.raises(BadExpression, match="only a time of every day"):
        next_times(f"cron({inner})")


@pytest.mark.parametrize(
    "expression",
    [
        "every minute",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(2 minute)",
        "rate(1 week)",
        "rate(minute)",
        "cron(* * * * *)",
        "cron(0 12 * * * *)",
        "cron(0 12 ? * ? *)",
        "cron(60 12 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 12 ? * XYZ *)",
        "at(tomorrow)",
    ],
)
def test_refuses_what_eventbridge_refuses(expression: str) -> None:
    with pytest.raises(BadExpression):
        next_times(expression)
