"""`/_dev` keeps the newest traces of every kind in full, however many of another kind arrive."""

from localcloud.host.logline import LogLine
from localcloud.services.causes import key_of
from localcloud.services.traces import CHANGES, KEPT, Replayable, Traces


def quiet(_line: LogLine) -> None:
    """Log nowhere."""


def polled(traces: Traces, times: int) -> None:
    for number in range(times):
        traces.invoked(f"poll-{number}", Replayable(f"poll-{number}-invocation", "ActiveSessionFunction", b"{}"))
        traces.take(LogLine("request", "GET /api/customer/active-session", "200", request_id=f"poll-{number}"))


def test_routine_requests_push_out_neither_changes_nor_what_these_led_to() -> None:
    traces = Traces(quiet)
    traces.invoked("started", Replayable("one", "IntakeFunction", b"{}"))
    traces.take(LogLine("request", "POST /api/intake/start", "201", request_id="started"))
    traces.take(LogLine("bus", "assignment.queued -> notify", request_id="event", cause=key_of("started")))
    traces.take(LogLine("mail", "ses took a mail", request_id="mail", cause=key_of("event")))
    polled(traces, 20_000)
    for kind in (CHANGES, "bus", "mail"):
        (found,) = traces.newest(kind)
        assert [line.kind for line in found.lines] == ["request", "bus", "mail"]
        assert [each.function for each in found.invocations] == ["IntakeFunction"]
    assert traces.forgotten == {"request"}
    assert traces.invocation("one") is not None


def test_what_is_kept_has_a_bound() -> None:
    traces = Traces(quiet)
    polled(traces, 20_000)
    assert KEPT <= len(list(traces.newest())) < 2_500
    newest = next(traces.newest())
    assert (newest.id, len(newest.invocations)) == ("poll-19999", 1)


def test_a_long_trace_keeps_what_it_began_with_and_its_newest_lines() -> None:
    traces = Traces(quiet)
    for number in range(5_000):
        traces.take(LogLine("socket", f"message {number}", request_id="feed"))
    (found,) = traces.newest()
    assert (found.lines[0].text, found.lines[-1].text) == ("message 0", "message 4999")
    assert len(found.lines) < 1_000
