"""The lines of `autodoctor dev` on a terminal of 80 columns."""

import pytest

from localcloud.host.logline import LogLine
from localcloud.host.screen import log_of

RED = "\x1b[31m"
SESSION = "/api/sessions/01a22bd8-6caa-720a-9562-10558ad55b74/call/report"


@pytest.mark.parametrize(
    "line",
    [
        LogLine("request", "GET /console/js/lib/dom.js", "200", 3, "id"),
        LogLine("invoke", "PlansFunction", "ok", 12, "id"),
        LogLine("log", "PlansFunction INFO request", request_id="id"),
        LogLine("bus", "session.created -> EventQueue", request_id="id"),
        LogLine("stripe", "GET /v1/checkout/sessions/cs_1", "200"),
        LogLine("schedule", "monitor", "ok", 50),
    ],
    ids=lambda line: line.kind,
)
def test_what_goes_on_behind_a_call_is_for_verbose(line: LogLine) -> None:
    short: list[object] = []
    whole: list[object] = []
    log_of(short.append, lambda: 80)(line)
    log_of(whole.append, lambda: 80, verbose=True)(line)
    assert (short, whole) == ([], [str(line)])


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    ("line", "colour"),
    [
        (LogLine("request", f"POST {SESSION}", "201", 34, "T1rKGaHG6xWrhM="), ""),
        (LogLine("request", "POST /api/intake/start", "422", 9, "id"), ""),
        (LogLine("request", "GET /console/mistyped", "404", 3, "id"), ""),
        (LogLine("request", "GET /api/plans", "500", 1234, "id"), RED),
        (LogLine("log", "PlansFunction ERROR unhandled (KeyError 'x' at app.py:12) " + "y" * 100), RED),
        (LogLine("invoke", "PlansFunction", "Sandbox.Timedout", 3000, "id"), RED),
        (LogLine("dead", "SessionEvents -> DeadLetters", "5 receives"), RED),
        (LogLine("cloud", "PlansFunction did not start: SyntaxError"), RED),
    ],
    ids=["posted", "refused", "mistyped", "broken", "logged", "timed out", "given up", "not started"],
)
def test_a_call_is_one_line_and_a_failure_is_red(
    line: LogLine, colour: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    written: list[str] = []
    log_of(lambda text: written.append(str(text)), lambda: columns)(line)
    (text,) = written
    assert text.startswith(RED) == (colour == RED)
    plain = text.removeprefix(RED).removesuffix("\x1b[0m")
    assert len(plain) <= columns
    assert "\n" not in plain
    for part in (line.status, line.text[:20]):
        assert part in plain
    if line.kind == "request":
        assert line.status in plain[-20:]
