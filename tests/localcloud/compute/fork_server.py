"""A process that has imported what most functions import, and becomes one of them on request, by fork.

Run as `python -S -P fork_server.py MODULE...` with one end of a SEQPACKET socket as standard input; its search path has
the packages of the layers, none of a function. A message from the other end is JSON (`id`, `argv`, `folder`,
`environment`) with two descriptors, the new process's input and output; the answer is `{"id", "pid"}` or
`{"id", "error"}`, and `{"pid", "code"}` when that process has ended. At end of file this process ends; those that it
forked end by themselves (launcher.py).
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from typing import Any

_MESSAGE_BYTES = 1 << 18


def _import(modules: list[str]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
                raise
    gc.collect()
    gc.freeze()  # what is shared stays shared: a collection would write to its pages


def _become(wanted: dict[str, Any], given: list[int]) -> None:
    """Be the process that was asked for, as if just started."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    reading, writing = given
    for descriptor, target in ((reading, 0), (writing, 1), (writing, 2)):
        os.dup2(descriptor, target)
    os.closerange(3, max(given) + 1)
    os.chdir(wanted["folder"])
    ours = os.environ["PYTHONPATH"].split(os.pathsep)
    os.environ.update(wanted["environment"])
    theirs = os.environ["PYTHONPATH"].split(os.pathsep)
    sys.path[:] = [*theirs, *(entry for entry in sys.path if entry not in ours)]
    sys.argv = wanted["argv"]
    runpy.run_path(sys.argv[0], run_name="__main__")


def _serve(control: socket.socket, ended: int) -> tuple[dict[str, Any], list[int]] | None:
    """Answer until a new process is asked for; in that process, return what it is to be. None at end of file."""
    while True:
        ready = select.select([control.fileno(), ended], [], [])[0]
        if ended in ready:
            os.read(ended, 4096)
            _tell_of_the_ended(control)
        if control.fileno() not in ready:
            continue
        data, given, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 2)
        if not data:
            return None
        wanted = json.loads(data)
        try:
            pid = os.fork()
        except OSError as error:
            control.send(json.dumps({"id": wanted["id"], "error": str(error)}).encode())
        else:
            if pid == 0:
                return wanted, given
            control.send(json.dumps({"id": wanted["id"], "pid": pid}).encode())
        for descriptor in given:
            os.close(descriptor)


def _tell_of_the_ended(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        control.send(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def main() -> None:
    """Import the modules named by the arguments, then fork on request."""
    control = socket.socket(fileno=os.dup(0))
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    _import(sys.argv[1:])
    wanted = _serve(control, ended)
    if wanted is not None:
        control.detach()  # its number is closed with the others
        _become(*wanted)


if __name__ == "__main__":
    main()
