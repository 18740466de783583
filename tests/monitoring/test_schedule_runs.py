"""The last and next runs of schedules: the list is that of the template, and each handler records its own run."""

import json
import re
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from autodoctor.deadline import SecondsLeft
from autodoctor.monitoring.runs import DAILY_AT, EVERY_SECONDS, ScheduleFailed, recorded_run, schedules
from autodoctor.monitoring.scheduled import scheduled
from autodoctor.observability import MetricUnit, metrics
from localcloud.stack.template import read_stack
from support.http.lambda_event import Context
from support.world import World

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
def test_a_handler_records_its_run(name: str) -> None:
    decorator = f'@scheduled(db, "{name}")'
    assert [decorator in file.read_text() for file in (ROOT / "functions").glob("*/app.py")].count(True) == 1


def states(world: World) -> dict[str, str]:
    return {each.name: each.state for each in schedules(world.app)}


def test_a_run_is_running_ok_failed_or_overdue(world: World) -> None:
    assert set(states(world).values()) == {"never"}
    with recorded_run(world.app, "relay"):
        assert states(world)["relay"] == "running"
    assert states(world)["relay"] == "ok"

    @recorded_run(world.app, "relay")
    def fails() -> None:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fails()
    assert states(world)["relay"] == "failed"
    world.owner.execute("UPDATE schedule_runs SET started_at = now() - interval '241 seconds'")
    assert states(world)["relay"] == "overdue"


def test_a_scheduled_function_is_told_its_time_and_logs_what_it_did(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    context = Context(seconds=9.5)

    @scheduled(world.app, "relay")
    def handler(seconds_left: SecondsLeft) -> dict[str, Any]:
        metrics.add_metric(name="Relayed", unit=MetricUnit.Count, value=3)
        return {"seconds": seconds_left(), "meanwhile": states(world)["relay"]}

    result = {"seconds": 9.5, "meanwhile": "running"}
    assert handler({}, context) == result
    assert states(world)["relay"] == "ok"
    (line,) = (vars(record) for record in caplog.records)
    assert (line["message"], line["schedule"], line["result"]) == ("schedule done", "relay", result)
    assert json.loads(capsys.readouterr().out)["Relayed"] == [3.0]


def test_the_next_run_is_an_interval_after_the_last(world: World) -> None:
    with recorded_run(world.app, "settle-missed"):
        pass
    (run,) = (each for each in schedules(world.app) if each.last_run)
    assert run.last_run
    assert (run.next_run - run.last_run).total_seconds() == run.every_seconds == 60


def test_what_never_ran_and_what_has_a_time_of_day_say_when_they_run(world: World) -> None:
    now = datetime.now(UTC)
    found = {each.name: each for each in schedules(world.app)}
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


def test_what_the_database_refuses_is_told_without_its_words(world: World, caplog: pytest.LogCaptureFixture) -> None:
    personal = ["Cora Castillo"]  # in a frame's source line stands the name of the variable
    with pytest.raises(ScheduleFailed) as told, recorded_run(world.app, "relay"):
        world.app.one("SELECT %s::integer", personal)  # PostgreSQL repeats what it could not read
    assert str(told.value) == "relay: InvalidTextRepresentation 22P02"
    (logged,) = (vars(record) for record in caplog.records)
    assert logged["sqlstate"] == "22P02"
    assert "Cora" not in "".join(traceback.format_exception(told.value)) + str(logged)
    assert states(world)["relay"] == "failed"


def test_of_what_failed_among_others_the_causes_are_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    name = "Cora Castillo"  # in a frame's source line stands the name of the variable
    with pytest.raises(psycopg.Error) as refused:
        world.app.one("SELECT %s::integer", [name])
    with pytest.raises(ScheduleFailed) as told, recorded_run(world.app, "settle-missed"):
        raise ExceptionGroup("2 sessions could not be settled", [refused.value, ValueError(name)])
    assert str(told.value) == (
        "settle-missed: 2 sessions could not be settled: InvalidTextRepresentation 22P02, ValueError"
    )
    (logged,) = (vars(record) for record in caplog.records)
    causes = [(each["error"], each["sqlstate"]) for each in logged["causes"]]
    assert causes == [("InvalidTextRepresentation", "22P02"), ("ValueError", None)]
    assert "Cora" not in "".join(traceback.format_exception(told.value)) + str(logged)
    assert states(world)["settle-missed"] == "failed"
