"""First module of every worker process: makes it end with its parent, then runs AWS's runtime client.

Run as `python -S -P launcher.py app.handler`, knowing nothing of this repository, so that a built artefact
sees only itself. Standard input is a pipe whose other end only the parent holds: when the parent ends,
however it ends, the pipe reads end of file and the worker ends with everything it started.
"""

import os
import signal
import sys
from _thread import start_new_thread


def _end_with_parent(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    os.killpg(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the handler named by the first argument until the parent ends us."""
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    # _thread, not threading: the function must neither see this thread nor pay for an import.
    start_new_thread(_end_with_parent, (lifeline,))

    from awslambdaric.__main__ import main as run  # noqa: PLC0415 - tied first

    run(sys.argv)


if __name__ == "__main__":
    main()
