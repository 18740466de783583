"""A function's output becomes one readable line."""

from datetime import UTC, datetime

import pytest

from localcloud.host.logline import LogLine, from_function

EMF = (
    '{"_aws":{"CloudWatchMetrics":[{"Namespace":"A","Metrics":[{"Name":"SessionsCreated","Unit":"Count"}]}]},'
    '"SessionsCreated":[1.0],"service":"autodoctor"}'
)


@pytest.mark.parametrize(
    ("printed", "kind", "text"),
    [
        ("plain words", "log", "F plain words"),
        ('{"level":"INFO","message":"accepted","sub":"secret"}', "log", "F INFO accepted"),
        ('{"level":"ERROR","message":"a\\nb","exception_name":"OSError"}', "log", "F ERROR a | b (OSError)"),
        (
            '{"level":"ERROR","message":"unexpected","error":"CheckViolation","sqlstate":"23514","frames":["a","b"]}',
            "log",
            "F ERROR unexpected (CheckViolation 23514 at b)",
        ),
        ("{broken", "log", "F {broken"),
        (EMF, "metric", "F SessionsCreated=1.0"),
    ],
)
def test_shrinks_a_record_to_its_point(printed: str, kind: str, text: str) -> None:
    line = from_function("F", printed, "id")
    assert (line.kind, line.text, line.request_id) == (kind, text, "id")


def test_leaves_out_what_it_does_not_know() -> None:
    at = datetime(2026, 1, 31, 12, 3, 4, 123456, tzinfo=UTC)
    clock = at.astimezone().strftime("%H:%M:%S")
    assert str(LogLine("request", "GET /x", "200", 34.4, "id", at)) == f"{clock}.123 request  GET /x 200 34 ms  id"
    assert str(LogLine("cloud", "ready", at=at)) == f"{clock}.123 cloud    ready"
