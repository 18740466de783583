"""When schedules ran and run next: the list is that of the template, and each handler notes its own run."""

import re
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from autodoctor.monitoring.runs import DAILY_AT, EVERY_SECONDS, ScheduleFailed, noted, schedules
from integration.actors import Stage
from localcloud.stack.template import read_stack

ROOT = Path(__file__).parents[2]
UNITS = {"minute": 60, "hour": 3600, "day": 86_400}


def seconds(expression: str) -> int:
    """How often a rate fires, or a cron line that names a minute and an hour of every day."""
    rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
    if rate:
        return int(rate[1]) * UNITS[rate[2]]
    assert re.fullmatch(r"cron\(\d+ \d+ \* \* \? \*\)", expression), expression
    return UNITS["day"]


def test_every_schedule_of_the_template_is_known_with_its_interval() -> None:
    stack = read_stack(ROOT / "template.yaml", {})
    found = {item.name.removeprefix("autodoctor-local-"): seconds(item.expression) for item in stack.schedules}
    assert found == EVERY_SECONDS


@pytest.mark.parametrize("name", EVERY_SECONDS)
def test_a_handler_notes_its_run(name: str) -> None:
    noting = [file for file in (ROOT / "functions").glob("*/app.py") if f'@noted(db, "{name}")' in file.read_text()]
    assert len(noting) == 1


def states(stage: Stage) -> dict[str, str]:
    return {each.name: each.state for each in schedules(stage.app)}


def test_a_run_is_running_ok_failed_or_overdue(stage: Stage) -> None:
    assert set(states(stage).values()) == {"never"}
    with noted(stage.app, "relay"):
        assert states(stage)["relay"] == "running"
    assert states(stage)["relay"] == "ok"

    @noted(stage.app, "relay")
    def fails() -> None:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fails()
    assert states(stage)["relay"] == "failed"
    stage.owner.execute("UPDATE schedule_runs SET started_at = now() - interval '241 seconds'")
    assert states(stage)["relay"] == "overdue"


def test_the_next_run_is_an_interval_after_the_last(stage: Stage) -> None:
    with noted(stage.app, "settle-missed"):
        pass
    (run,) = (each for each in schedules(stage.app) if each.last_run)
    assert run.last_run
    assert (run.next_run - run.last_run).total_seconds() == run.every_seconds == 300


def test_what_never_ran_and_what_has_a_time_of_day_say_when_they_run(stage: Stage) -> None:
    now = datetime.now(UTC)
    found = {each.name: each for each in schedules(stage.app)}
    assert timedelta(seconds=50) < found["relay"].next_run - now < timedelta(seconds=70)
    daily = found["reconcile"].next_run
    assert f"{daily:%H:%M}" == DAILY_AT["reconcile"]
    assert timedelta(0) < daily - now <= timedelta(days=1)


def test_every_time_of_day_is_the_templates() -> None:
    stack = read_stack(ROOT / "template.yaml", {})
    times = {}
    for each in stack.schedules:
        if found := re.fullmatch(r"cron\((\d+) (\d+) .*\)", each.expression):
            times[each.name.removeprefix("autodoctor-local-")] = f"{int(found[2]):02}:{int(found[1]):02}"
    assert times == DAILY_AT


def test_what_the_database_refuses_is_told_without_its_words(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ScheduleFailed) as told, noted(stage.app, "relay"):
        stage.app.one("SELECT %s::integer", ["Cora Castillo"])  # PostgreSQL repeats what it could not read
    assert str(told.value) == "relay: InvalidTextRepresentation 22P02"
    assert "Cora" not in "".join(traceback.format_exception(told.value)) + capsys.readouterr().out
    assert states(stage)["relay"] == "failed"
