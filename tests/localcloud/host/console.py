"""What `autodoctor dev` says: one line at a time; at a failure the step, the last lines, one thing to try."""

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TextIO

_LAST_LINES = 20


class Refusal(Exception):
    """Something was asked for that cannot be; its sentence is all that a user needs to know."""


class StepFailed(Exception):
    """A step failed. `report` says step, cause, last log lines, one thing to try."""

    def __init__(self, step: str, cause: Exception, lines: list[str], hint: str) -> None:
        self.report = "\n".join(
            [
                f"autodoctor failed at: {step}",
                f"  cause: {type(cause).__name__}: {cause}",
                *(["  last log lines:", *(f"    {line}" for line in lines)] if lines else []),
                f"  try: {hint}",
            ]
        )
        super().__init__(self.report)


class Console:
    """Writes lines to a terminal, a file or a pipe that may be gone at any moment."""

    def __init__(self, stream: TextIO | None) -> None:
        """Write to `stream`; None only remembers the last lines, for the report of a failure."""
        self._stream = stream
        self._recent: deque[str] = deque(maxlen=_LAST_LINES)

    def line(self, text: object) -> None:
        """Write one line. A closed terminal or pipe is no error: its reader has gone, the server stays."""
        self._recent.append(str(text))
        if self._stream is None:
            return
        try:
            self._stream.write(f"{text}\n")  # in one piece: more than one thread writes here
            self._stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def note(self, text: str) -> None:
        """Write one line of our own, with the time, as the lines about requests have it."""
        self.line(f"{datetime.now().astimezone():%H:%M:%S.%f}"[:-3] + f" start    {text}")

    @contextlib.contextmanager
    def step(self, name: str, hint: str, log: Path | None = None) -> Iterator[None]:
        """Say that a step begins, and how long it took.

        Raises StepFailed from whatever goes wrong, with the end of `log` (or else of what was written here)
        and `hint`, one thing to try. A Refusal passes: it says itself what to do.
        """
        self.note(f"{name} ...")
        started = time.monotonic()
        try:
            yield
        except Refusal:
            raise
        except Exception as error:
            lines = last_lines(log) if log else list(self._recent)
            raise StepFailed(name, error, lines, hint) from error
        self.note(f"{name} ok, {time.monotonic() - started:.1f} s")


def one_line(error: Exception) -> str:
    """Return what an error says, which for PostgreSQL's may be several lines."""
    return " ".join(str(error).split())


def last_lines(log: Path) -> list[str]:
    """Return the end of a log file, nothing where there is none."""
    return log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if log.exists() else []
