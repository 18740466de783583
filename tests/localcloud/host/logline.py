"""One plain line per hop: an HTTP request, an invocation, a firing of a schedule, a line a function logged.

A line never carries a body, a query string or a token; lines of one request share its id.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

type Kind = Literal[
    "request",
    "invoke",
    "schedule",
    "bus",
    "queue",
    "dead",
    "log",
    "metric",
    "socket",
    "stripe",
    "mail",
    "push",
    "cloud",
]

_EMF_ROOT = "_aws"


@dataclass(frozen=True)
class LogLine:
    """One hop. `status` is an HTTP status, or the outcome of an invocation in one word.

    `cause` is the key of the request that caused it (causes.py), if that is another one; `session` is the id of the
    session that it is about, where that is known; `logged_bytes` is the length of what a function logged.
    """

    kind: Kind
    text: str
    status: str = ""
    milliseconds: float | None = None
    request_id: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    cause: str = ""
    session: str = ""
    logged_bytes: int = 0

    def __str__(self) -> str:
        """Render the line in local time, as `12:03:04.123 request  POST /api/x 201 34 ms  id`."""
        clock = self.at.astimezone().strftime("%H:%M:%S.%f")[:-3]
        took = "" if self.milliseconds is None else f"{self.milliseconds:.0f} ms"
        words = " ".join(word for word in (self.text, self.status, took) if word)
        return f"{clock} {self.kind:<8} {words}" + (f"  {self.request_id}" if self.request_id else "")


type Log = Callable[[LogLine], None]


def session_named(body: bytes) -> str:
    """The session that an answer is about, as our own fields and those of our metadata at Stripe name it; "" if none.

    An intake has the id of its session.
    """
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    fields = answer.get("metadata", answer) if isinstance(answer, dict) else None
    found = (fields.get("sessionId") or fields.get("intakeId")) if isinstance(fields, dict) else None
    return found if isinstance(found, str) else ""


# The fields in which autodoctor.observability and powertools describe a failure.
_DIAGNOSIS = ("exception_name", "error", "sqlstate", "constraint")


def from_function(function: str, line: str, request_id: str) -> LogLine:
    """Turn one line of a function's log into ours: JSON records shrink to level and message."""
    length = len(line.encode())
    record = _json_record(line)
    if record is None:
        return LogLine("log", f"{function} {line}", request_id=request_id, logged_bytes=length)
    if _EMF_ROOT in record:
        return LogLine("metric", f"{function} {_metrics(record)}", request_id=request_id, logged_bytes=length)
    level, message = record.get("level", "INFO"), record.get("message", "")
    problem = " ".join(str(record[key]) for key in _DIAGNOSIS if record.get(key))
    frames = record.get("frames")
    where = f" at {frames[-1]}" if isinstance(frames, list) and frames else ""
    text = f"{function} {level} {message}" + (f" ({problem}{where})" if problem else "")
    return LogLine("log", text.replace("\n", " | "), request_id=request_id, logged_bytes=length)


def _json_record(line: str) -> dict[str, object] | None:
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _metrics(record: dict[str, object]) -> str:
    root = record[_EMF_ROOT]
    directives = root.get("CloudWatchMetrics", []) if isinstance(root, dict) else []
    names = [metric["Name"] for directive in directives for metric in directive.get("Metrics", [])]
    return " ".join(f"{name}={_single(record.get(name))}" for name in names)


def _single(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
