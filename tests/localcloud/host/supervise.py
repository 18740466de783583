"""Notices that a server has to stop: a signal, a closed terminal, or the end of the `uv run` that started it."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from localcloud.host.processes import command_of

_POLL_SECONDS = 0.3
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ToldToStop(BaseException):
    """A signal arrived. Not an Exception, so that nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Launcher:
    """The `uv run` that started us: killed with SIGKILL it cannot pass the signal on, so we watch it.

    Any other parent may end while we run on, like a shell that started us in the background.
    """

    def __init__(self) -> None:
        """Remember the parent, if it is uv."""
        parent = os.getppid()
        program = Path(command_of(parent).partition(" ")[0]).name
        self._pid = parent if program in {"uv", "uvx"} else None

    @property
    def gone(self) -> bool:
        """Whether uv started us and has ended."""
        return self._pid is not None and os.getppid() != self._pid


@contextlib.contextmanager
def signals_raise() -> Iterator[None]:
    """Turn the first signal into ToldToStop, wherever the main thread is, and ignore later ones.

    The first one starts the clean-up, which takes a second; an impatient second Ctrl-C does not cut it short.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for watched in _SIGNALS:
            signal.signal(watched, signal.SIG_IGN)
        raise ToldToStop(number)

    for number in _SIGNALS:
        # A SIGHUP ignored by `nohup` stays ignored; a script's `&` ignores SIGINT, yet its `kill -INT` has to work.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    yield


def wait_until_over(launcher: Launcher, database_runs: Callable[[], bool]) -> None:
    """Wait until the launcher or the database has ended. Raises ToldToStop at a signal."""
    while database_runs() and not launcher.gone:
        time.sleep(_POLL_SECONDS)
