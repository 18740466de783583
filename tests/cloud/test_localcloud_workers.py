"""A function's processes: one event at a time, more under load, killed when late, replaced when they die."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from localcloud.services.invocation import InvokeResult, UnknownFunction
from support.cloud.engine import ENGINE_TEMPLATE, Engine, wait_until_printed


def payload(result: InvokeResult) -> dict[str, Any]:
    assert result.error is None, result
    return cast("dict[str, Any]", result.payload)


def test_keeps_its_process_and_module_state_between_events(engine: Engine) -> None:
    first, second = (payload(engine.cloud.invoke("OwnerFunction", {"do": "nothing"})) for _ in range(2))
    assert first["pid"] == second["pid"]
    assert second["calls"] == first["calls"] + 1


def test_gives_one_process_one_event_at_a_time_and_starts_another_under_load(engine: Engine) -> None:
    event, answers = {"do": "sleep", "seconds": 0.3}, list[dict[str, Any]]()
    give_up_at = time.monotonic() + 30
    with ThreadPoolExecutor(4) as threads:
        while len({answer["pid"] for answer in answers}) < 2 and time.monotonic() < give_up_at:  # one takes a while
            answers += [payload(result) for result in threads.map(_invoke, [engine] * 4, [event] * 4)]
    assert len({answer["pid"] for answer in answers}) == 2
    assert min(answer["remaining"] for answer in answers) > 400, "a waiting event has not begun its time"


def _invoke(engine: Engine, event: dict[str, Any]) -> InvokeResult:
    return engine.cloud.invoke("ProbeFunction", event)


def test_kills_a_function_at_its_timeout_and_goes_on_with_a_fresh_process(engine: Engine) -> None:
    before = payload(engine.cloud.invoke("OwnerFunction", {"do": "nothing"}))
    began = time.monotonic()
    late = engine.cloud.invoke("OwnerFunction", {"do": "sleep", "seconds": 30})
    assert time.monotonic() - began < 25
    assert late.error == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in str(late.payload)
    after = payload(engine.cloud.invoke("OwnerFunction", {"do": "nothing"}))
    assert after["pid"] != before["pid"]
    assert after["calls"] == 1


def test_reports_a_crash_and_starts_again(engine: Engine) -> None:
    crash = engine.cloud.invoke("OwnerFunction", {"do": "exit", "code": 7})
    assert crash.error == "Runtime.ExitError"
    assert "exit status 7" in str(crash.payload)
    assert payload(engine.cloud.invoke("OwnerFunction", {"do": "nothing"}))["calls"] == 1


def test_reports_an_exception_and_keeps_the_process(engine: Engine) -> None:
    before = payload(engine.cloud.invoke("OwnerFunction", {"do": "nothing"}))
    failed = engine.cloud.invoke("OwnerFunction", {"do": "raise", "message": "no luck"})
    assert failed.error == "Unhandled"
    assert cast("dict[str, Any]", failed.payload)["errorType"] == "ValueError"
    assert any("no luck" in line for line in failed.log)
    assert payload(engine.cloud.invoke("OwnerFunction", {"do": "nothing"}))["pid"] == before["pid"]


def test_returns_what_the_event_printed_and_nothing_else(engine: Engine) -> None:
    assert engine.cloud.invoke("ProbeFunction", {"do": "print", "text": "one"}).log == ("one",)
    assert engine.cloud.invoke("ProbeFunction", {"do": "print", "text": "two\nlines"}).log == ("two", "lines")


@pytest.mark.parametrize(
    ("function", "kind", "said"),
    [
        ("BrokenFunction", "Unhandled", "no configuration"),
        ("VanishingFunction", "Runtime.ExitError", "exit status 3"),
        ("MissingFunction", "Runtime.InvalidEntrypoint", "functions/missing"),
    ],
)
def test_reports_a_function_that_cannot_start(engine: Engine, function: str, kind: str, said: str) -> None:
    result = engine.cloud.invoke(function, {})
    assert result.error == kind
    assert said in str(result.payload)


def test_logs_what_a_function_printed_before_it_failed_to_start(engine: Engine) -> None:
    engine.cloud.invoke("BrokenFunction", {})
    told = [line.text for line in engine.lines if "did not start" in line.text]
    assert any("about to fail" in text for text in told)


def test_refuses_more_than_the_reserved_concurrency(engine: Engine) -> None:
    with ThreadPoolExecutor(1) as thread:
        told = "the only process of SingleFunction is at work"
        at_work = {"do": "sleep", "seconds": 0.5, "text": told}
        running = thread.submit(engine.cloud.invoke, "SingleFunction", at_work)
        wait_until_printed(engine.lines, told)
        refused = engine.cloud.invoke("SingleFunction", {"do": "nothing"})
        assert (refused.status, refused.error) == (429, "TooManyRequestsException")
        assert running.result().error is None


def test_hands_in_the_environment_of_lambda_and_of_the_template(engine: Engine) -> None:
    environment = payload(engine.cloud.invoke("ProbeFunction", {"do": "look"}))["environment"]
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "ProbeFunction"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128"
    assert environment["REGION"] == environment["AWS_REGION"]
    assert environment["DATABASE_SECRET_ARN"] == "local-AppSecretArn"  # noqa: S105 - a name
    assert environment["TZ"] == ":UTC"


def test_lets_nothing_else_of_our_environment_through(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "leaked")
    seen = payload(engine.cloud.invoke("OwnerFunction", {"do": "look"}))
    assert "PGPASSWORD" not in seen["environment"]
    assert "VIRTUAL_ENV" not in seen["environment"]


def test_gives_the_owners_database_to_the_function_with_the_owners_secret(engine: Engine) -> None:
    urls = {
        name: payload(engine.cloud.invoke(name, {"do": "look"}))["environment"]["DATABASE_URL"]
        for name in ("ProbeFunction", "OwnerFunction")
    }
    assert urls == {"ProbeFunction": "postgresql://app", "OwnerFunction": "postgresql://owner"}


def test_shows_a_function_only_its_own_folder_its_layers_and_the_runtime(engine: Engine) -> None:
    path = [Path(entry) for entry in payload(engine.cloud.invoke("ProbeFunction", {"do": "look"}))["path"]]
    stack = ENGINE_TEMPLATE.parent
    assert path[:2] == [stack / "functions" / "probe", stack / "layers" / "common"]
    linked, runtime, *standard = path[2:]
    assert (linked / "pydantic_core").is_dir()
    assert not (linked / "pytest").exists()
    assert sorted(entry.name for entry in runtime.iterdir() if entry.is_dir() and "-" not in entry.name) == [
        "awslambdaric",
        "boto3",
        "botocore",
        "dateutil",
        "jmespath",
        "s3transfer",
        "simplejson",
        "urllib3",
    ]
    assert not any(entry.is_relative_to(sys.prefix) for entry in standard)


def test_knows_only_functions_of_the_template(engine: Engine) -> None:
    with pytest.raises(UnknownFunction, match=r"NoFunction.*ProbeFunction"):
        engine.cloud.invoke("NoFunction", {})
