"""One operating system process that runs one function, one event at a time.

It is killed at its time-out. If it ends in the middle of an event, the event has failed. Its output is read line by
line and belongs to the current event.
"""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from localcloud.compute.environment import Launch
from localcloud.compute.runtime_api import Invocation, RuntimeApi
from localcloud.compute.starting import Process, Programs, Starter
from localcloud.stack.template import FunctionSpec

INIT_LIMIT_SECONDS = 30.0
_KEPT_LINES = 200
_READ_BYTES = 65536


@dataclass(frozen=True)
class Outcome:
    """The outcome of one event: the answer as JSON, the kind of failure if any, and the printed lines."""

    payload: bytes
    error: str | None
    log: tuple[str, ...]
    milliseconds: float

    @property
    def timed_out(self) -> bool:
        """Whether the function was killed at its time-out."""
        return self.error == "Sandbox.Timedout"


class WorkerOwner(Protocol):
    """The owner of a worker, which gives it its events."""

    def ready(self, worker: "Worker") -> None:
        """The worker waits for an event."""

    def done(self, worker: "Worker", invocation: Invocation, outcome: Outcome) -> None:
        """The worker finished an event, or ended during it."""

    def ended(self, worker: "Worker") -> None:
        """The process is gone."""

    def printed(self, worker: "Worker", line: str) -> None:
        """The function wrote a line."""


class Worker:
    """A process that runs AWS's runtime client. All methods belong to the event loop's thread."""

    def __init__(self, spec: FunctionSpec, launch: Launch, owner: WorkerOwner, starter: Starter | None = None) -> None:
        """Prepare a process, to be started by `starter`: as a program of its own unless one is given."""
        self.spec = spec
        self._starter = starter or Programs()
        self.invocation: Invocation | None = None
        self.idle_since = 0.0
        self.started = False
        self.retiring = False
        self._gone = False
        self._init_milliseconds = 0.0
        self.init_failure: Outcome | None = None
        self._launch = launch
        self._owner = owner
        self._api = RuntimeApi(self)
        self._born = time.monotonic()
        self._given_at = 0.0
        self._inbox: asyncio.Future[Invocation] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process: Process | None = None
        self._output: _Output

    async def run(self) -> None:
        """Start the process and wait until it has ended."""
        # We keep both ends: while we hold a writer, a function that closes its output does not end the pipe.
        reading, writing = os.pipe()
        self._output = _Output(reading, self._print)
        try:
            self._process = await self._spawn(writing)
            if self.retiring:
                self.kill()
            code = await self._process.wait()
            self._gone = True
            self._output.drain()
            self._settle_death(code)
        except OSError as error:
            self.init_failure = self._failure("Runtime.InvalidEntrypoint", str(error), "")
        finally:
            os.close(writing)
            self._output.close()
            self._stop_timer()
            if self._inbox is not None:
                self._inbox.cancel()
            await self._api.close()
            self._owner.ended(self)

    async def _spawn(self, output: int) -> Process:
        address = await self._api.start()
        self._born = time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(INIT_LIMIT_SECONDS, self._init_too_slow)
        return await self._starter.start(self._launch, {"AWS_LAMBDA_RUNTIME_API": address}, output)

    @property
    def waits(self) -> bool:
        """Whether it can be given work: a process that was just killed, or has ended, cannot."""
        return not (self.retiring or self._gone) and self._inbox is not None and not self._inbox.done()

    def give(self, invocation: Invocation) -> None:
        """Hand the waiting process its next event."""
        assert self._inbox is not None, "only a worker that waits can be given work"
        self.invocation = invocation
        self._given_at = time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(self.spec.timeout_seconds, self._time_out)
        self._inbox.set_result(invocation)
        self._inbox = None

    def kill(self) -> None:
        """End the process and all it started, at once; `run` returns soon after."""
        self.retiring = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def take_init_milliseconds(self) -> float:
        """How long the start took: reported with the first event only; 0 from then on."""
        taken, self._init_milliseconds = self._init_milliseconds, 0.0
        return taken

    async def next_invocation(self) -> tuple[Invocation, float]:
        """The runtime client asks for work."""
        if not self.started and not self._gone:
            self.started = True
            self._init_milliseconds = (time.monotonic() - self._born) * 1000
            self._stop_timer()
        self._inbox = asyncio.get_running_loop().create_future()
        inbox = self._inbox
        self.idle_since = time.monotonic()
        if self._gone:  # it asked just before its end, and is heard only now
            inbox.cancel()
        else:
            self._owner.ready(self)
        return await inbox, self.spec.timeout_seconds

    def succeeded(self, request_id: str, payload: bytes) -> None:
        """The function answered."""
        self._finish(request_id, payload, None)

    def failed(self, request_id: str, payload: bytes) -> None:
        """The function raised an error."""
        self._finish(request_id, payload, "Unhandled")

    def failed_to_start(self, payload: bytes) -> None:
        """The function could not be loaded; its process ends by itself."""
        self._output.drain()
        self.init_failure = self._outcome(payload, "Unhandled")

    def _finish(self, request_id: str, payload: bytes, error: str | None) -> None:
        invocation = self.invocation
        if invocation is None or invocation.request_id != request_id:
            return
        self._output.drain()
        self._stop_timer()
        self.invocation = None
        outcome = self._outcome(payload, error)
        self._lines.clear()
        self._owner.done(self, invocation, outcome)

    def _time_out(self) -> None:
        if self.invocation is not None:
            message = f"Task timed out after {self.spec.timeout_seconds:.2f} seconds"
            self.kill()
            self._fail("Sandbox.Timedout", message)

    def _init_too_slow(self) -> None:
        self.init_failure = self._failure(
            "Sandbox.Timedout", f"start took more than {INIT_LIMIT_SECONDS:.0f} seconds", ""
        )
        self.kill()

    def _settle_death(self, code: int) -> None:
        how = f"exit status {code}" if code >= 0 else f"signal: {signal.Signals(-code).name}"
        message = f"Runtime exited with error: {how}"
        if self.invocation is not None:
            self._fail("Runtime.ExitError", message)
        elif not self.started and self.init_failure is None and not self.retiring:
            self.init_failure = self._failure("Runtime.ExitError", message, "")

    def _fail(self, error: str, message: str) -> None:
        assert self.invocation is not None
        request_id = self.invocation.request_id
        self._finish(request_id, self._failure(error, message, request_id).payload, error)

    def _failure(self, error: str, message: str, request_id: str) -> Outcome:
        text = f"RequestId: {request_id} Error: {message}"
        return self._outcome(json.dumps({"errorType": error, "errorMessage": text}).encode(), error)

    def _outcome(self, payload: bytes, error: str | None) -> Outcome:
        since = self._given_at or self._born
        return Outcome(payload, error, tuple(self._lines), (time.monotonic() - since) * 1000)

    def _print(self, line: str) -> None:
        self._lines.append(line)
        self._owner.printed(self, line)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Output:
    """Reads a process's output. `drain` takes at once all that has been written so far."""

    def __init__(self, descriptor: int, line: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._line = line
        self._rest = b""
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self.drain)

    def drain(self) -> None:
        while data := self._read():
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._print(line)

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return b""

    def _print(self, line: bytes) -> None:
        shown = line.decode(errors="replace").rstrip()
        if shown:
            self._line(shown)

    def close(self) -> None:
        self.drain()
        self._print(self._rest)
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
