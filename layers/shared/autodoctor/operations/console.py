"""Progress as lines of text; when a step fails, its name, the last lines and one thing to try.

The output of the operators' commands and of `autodoctor dev`.
"""

import contextlib
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TextIO

_LAST_LINES = 20


class Refusal(Exception):
    """The command cannot be carried out. The message gives the user the reason in one sentence."""


class StepFailed(Exception):
    """A step failed. `report` names the step, its cause, the last log lines and one thing to try."""

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
    """Writes lines to a terminal, a file or a pipe that may close at any moment."""

    def __init__(self, stream: TextIO | None) -> None:
        """Write to `stream`; with None only keep the last lines, for the report of a failure."""
        self._stream = stream
        self._recent: deque[str] = deque(maxlen=_LAST_LINES)

    @property
    def columns(self) -> int | None:
        """How wide the terminal is; None where the lines go into a file or a pipe."""
        return shutil.get_terminal_size().columns if self._stream is not None and self._stream.isatty() else None

    def line(self, text: object) -> None:
        """Write one line. A closed terminal or pipe is not an error: the server runs on without a reader."""
        self._recent.append(str(text))
        if self._stream is None:
            return
        try:
            self._stream.write(f"{text}\n")  # in one piece: more than one thread writes here
            self._stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def note(self, text: str) -> None:
        """Write one line with the time in front, in the form of the lines about requests."""
        self.line(f"{datetime.now().astimezone():%H:%M:%S.%f}"[:-3] + f" start    {text}")

    @contextlib.contextmanager
    def step(self, name: str, hint: str, log: Path | None = None) -> Iterator[None]:
        """Announce a step, and afterwards how long it took.

        Raises StepFailed for any exception, with the last lines of `log` (or else of this console) and `hint`, one
        thing to try. A Refusal passes through: its message says what to do.
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
    """Return an error's message in one line; PostgreSQL's messages may have several."""
    return " ".join(str(error).split())


def last_lines(log: Path) -> list[str]:
    """Return the last lines of a log file, none if there is no file."""
    return log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if log.exists() else []
