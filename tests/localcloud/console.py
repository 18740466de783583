"""What `autodoctor dev` says: one plain line at a time, and at a failure the step, the last lines and a way out."""

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TextIO

_LAST_LINES = 20


class StepFailed(Exception):
    """A step of starting up failed. `report` is for the user: step, cause, last log lines, one thing to try."""

    def __init__(self, step: str, cause: Exception, lines: list[str], hint: str) -> None:
        self.report = "\n".join(
            [
                f"autodoctor could not start: step '{step}' failed.",
                f"  cause: {type(cause).__name__}: {cause}",
                *([f"  last log lines:", *(f"    {line}" for line in lines)] if lines else []),
                f"  try: {hint}",
            ]
        )
        super().__init__(self.report)


class Console:
    """Writes lines to a terminal, a file or a pipe that may be gone at any moment."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._recent: deque[str] = deque(maxlen=_LAST_LINES)

    def line(self, text: object) -> None:
        """Write one line. A closed terminal or pipe is no error: whoever read it has gone, the server stays."""
        self._recent.append(str(text))
        try:
            print(text, file=self._stream, flush=True)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def note(self, text: str) -> None:
        """Write one line of our own, with the time, as the lines about requests have it."""
        self.line(f"{datetime.now():%H:%M:%S.%f}"[:-3] + f" start    {text}")

    @contextlib.contextmanager
    def step(self, name: str, hint: str, log: Path | None = None) -> Iterator[None]:
        """Say that a step begins, and how long it took.

        Raises StepFailed from whatever goes wrong, with the end of `log` (or else of what was written here) and
        `hint`, one thing to try.
        """
        self.note(f"{name} ...")
        started = time.monotonic()
        try:
            yield
        except Exception as error:
            lines = _tail(log) if log else list(self._recent)
            raise StepFailed(name, error, lines, hint) from error
        self.note(f"{name} ok, {time.monotonic() - started:.1f} s")


def _tail(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if log.exists() else []
