"""The watchdog between us and PostgreSQL: it runs the server and stops it when the process that started it ends.

Run as a script (`python -I -S guardian.py ...`, standard library only, so that it is up in milliseconds and
needs nothing from the environment). Its standard input is a pipe whose other end only the parent holds: when
the parent ends, however it ends, SIGKILL included, the pipe reads end of file and the server is shut down.
A session of its own keeps it alive when a whole process group or a terminal is killed.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
from types import FrameType

# Together below the 5 s after which nothing may be left; an idle server shuts down in 0.1 s.
FAST_SHUTDOWN_SECONDS = 2.5
IMMEDIATE_SHUTDOWN_SECONDS = 1.0


def main() -> int:
    """Run the server until it ends by itself or our parent has ended; return the server's exit code."""
    arguments = _arguments()
    _survive_signals_meant_for_others()
    with open(arguments.log, "ab") as log:  # noqa: PTH123 - pathlib costs a third of our start
        server = subprocess.Popen(
            arguments.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=arguments.uid,
            group=arguments.gid,
            extra_groups=None if arguments.uid is None else [],
            umask=0o077,
        )
    signal.signal(signal.SIGTERM, lambda _number, _frame: server.send_signal(signal.SIGINT))
    threading.Thread(target=_stop_at_end_of_file, args=(server,), daemon=True).start()
    code = server.wait()
    for folder in arguments.delete:
        shutil.rmtree(folder, ignore_errors=True)
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", required=True, help="file that the server's output is appended to")
    parser.add_argument("--uid", type=int, help="account to run the server as")
    parser.add_argument("--gid", type=int, help="group to run the server as")
    parser.add_argument("--delete", nargs="+", default=[], help="folders to remove once the server has ended")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def _survive_signals_meant_for_others() -> None:
    def ignore(_number: int, _frame: FrameType | None) -> None:
        """Unlike SIG_IGN, a handler is not passed on to the server."""

    signal.signal(signal.SIGINT, ignore)
    signal.signal(signal.SIGHUP, ignore)


def _stop_at_end_of_file(server: subprocess.Popen[bytes]) -> None:
    while os.read(sys.stdin.fileno(), 1):  # not sys.stdin.read(): an interpreter waits for its lock before it ends
        pass
    for number, patience in (
        (signal.SIGINT, FAST_SHUTDOWN_SECONDS),
        (signal.SIGQUIT, IMMEDIATE_SHUTDOWN_SECONDS),
        (signal.SIGKILL, None),
    ):
        server.send_signal(number)
        try:
            server.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        return


if __name__ == "__main__":
    sys.exit(main())
