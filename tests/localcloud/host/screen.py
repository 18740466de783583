"""What `autodoctor dev` shows on a terminal: one line a call, as wide as the terminal, failures in red.

A file or pipe gets every line whole, and so does a terminal with `-v`.
"""

import os
import re
from collections.abc import Callable
from typing import Final

from localcloud.host.logline import Log, LogLine

LEAST_COLUMNS: Final = 40

_RED: Final = "\x1b[31m"
_PLAIN: Final = "\x1b[0m"
_WENT_WELL: Final = frozenset({"", "ok"})
_LOGGED_FAILURE: Final = re.compile(r"\w+ (ERROR|CRITICAL) |Traceback")
_FAILED_WORDS: Final = ("failed", "has stopped", "did not start")
_SERVER_ERROR: Final = 500
_CLIENT_ERROR: Final = 400


def log_of(write: Callable[[object], None], columns: Callable[[], int | None], *, verbose: bool = False) -> Log:
    """How the lines of a server are written.

    Args:
        write: takes one line.
        columns: how wide the terminal is now; None where it is none.
        verbose: whether all lines are shown, whole.
    """

    def shown(line: LogLine) -> None:
        width = columns()
        text = str(line) if verbose or width is None else short(line, width)
        if text is not None:
            is_red = width is not None and "NO_COLOR" not in os.environ and is_failure(line)
            write(f"{_RED}{text}{_PLAIN}" if is_red else text)

    return shown


def is_failure(line: LogLine) -> bool:
    """Whether somebody has to look: an answer of 500 or more, a function's failure, a dead letter, an error."""
    if line.kind == "dead":
        return True
    if line.kind == "log":
        return _LOGGED_FAILURE.search(line.text) is not None
    if line.kind == "cloud":
        return any(word in line.text for word in _FAILED_WORDS)
    if line.status.isdecimal():
        return int(line.status) >= _SERVER_ERROR
    return line.kind in ("invoke", "schedule") and line.status not in _WENT_WELL


def short(line: LogLine, columns: int) -> str | None:
    """One line of at most so many columns, for a call and for what went wrong; None for what goes on behind a call."""
    failed = is_failure(line)
    if not failed and (line.kind not in ("request", "cloud") or _is_of_the_page(line)):
        return None
    took = "" if line.milliseconds is None else f"{line.milliseconds:5.0f} ms"
    end = " ".join(word for word in (line.status, took) if word)
    begin = f"{line.at.astimezone():%H:%M:%S} "
    if line.kind != "request":
        begin += f"{line.kind} "
    room = max(columns, LEAST_COLUMNS) - len(begin) - (len(end) + 1 if end else 0)
    text = line.text if len(line.text) <= room else f"{line.text[: room - 1]}…"
    return f"{begin}{text:<{room}} {end}" if end else f"{begin}{text}"


def _is_of_the_page(line: LogLine) -> bool:
    """Whether it is a file of the console that was there."""
    is_read = line.text.startswith(("GET /console", "GET /_dev", "GET /favicon"))
    return is_read and line.status.isdecimal() and int(line.status) < _CLIENT_ERROR
