"""All processes of one function: hands events to idle ones, starts more under load, retires the old.

As on Lambda, a process holds one event at a time, and events beyond the reserved concurrency (or the account's) are
refused. Unlike on Lambda, at most `max_processes` run, and events beyond that wait for the next free one.
"""

import asyncio
import os
import time
import uuid
from collections import deque
from dataclasses import dataclass

from localcloud.compute.environment import Launch
from localcloud.compute.runtime_api import Invocation
from localcloud.compute.starting import Programs, Starter
from localcloud.compute.workers import Outcome, Worker
from localcloud.host.logline import LogLine, from_function
from localcloud.services.traces import Replayable, Traces
from localcloud.stack.template import FunctionSpec

ACCOUNT_CONCURRENCY = 1000
# A process that is busy now is mostly free again long before a new one would be up.
_PATIENCE_SECONDS = 0.02
_SHOWN_LINES = 20
_KILL_WAIT_SECONDS = 30.0


class Throttled(Exception):
    """The function is at its concurrency limit (TooManyRequestsException)."""

    def __init__(self, function: str) -> None:
        super().__init__(f"{function}: Rate Exceeded.")
        self.function = function


@dataclass(frozen=True)
class _Waiting:
    invocation: Invocation
    answer: asyncio.Future[Outcome]


class FunctionPool:
    """The processes of one function. All methods belong to the event loop's thread."""

    def __init__(
        self, spec: FunctionSpec, launch: Launch, max_processes: int, traces: Traces, starter: Starter | None = None
    ) -> None:
        """A pool without processes yet; `starter` makes them, as programs of their own unless one is given."""
        self.spec = spec
        self._starter = starter or Programs()
        self._traces = traces
        self.launch = launch
        self._max_processes = max_processes
        self._log = traces.take
        self._workers: dict[Worker, asyncio.Task[None]] = {}
        self._idle: list[Worker] = []
        self._queue: deque[_Waiting] = deque()
        self._answers: dict[str, asyncio.Future[Outcome]] = {}
        self._stopping = False

    async def invoke(self, payload: bytes, *, trace: str = "", request_id: str = "") -> Outcome:
        """Run the function on a JSON event and return the outcome. Raises Throttled."""
        limit = self.spec.reserved_concurrency
        if len(self._answers) >= (ACCOUNT_CONCURRENCY if limit is None else limit):
            raise Throttled(self.spec.logical_id)
        request_id = request_id or str(uuid.uuid4())
        invocation = Invocation(request_id, self.spec.logical_id, payload, trace or request_id)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._answers[request_id] = answer
        try:
            worker = self._take_idle()
            if worker is not None:
                worker.give(invocation)
            else:
                self._queue.append(_Waiting(invocation, answer))
                if self._stopping:
                    self._fail_queue()
                else:
                    self._plan_growth()
            return await answer
        finally:
            del self._answers[request_id]

    def refresh(self) -> int:
        """End all processes, idle ones now, busy ones after their event. Return their number."""
        for worker in list(self._workers):
            worker.retiring = True
            if worker.invocation is None:
                self._discard(worker)
        return len(self._workers)

    def reap(self, idle_seconds: float) -> None:
        """End processes that have been idle for this long."""
        oldest = time.monotonic() - idle_seconds
        for worker in [worker for worker in self._idle if worker.idle_since < oldest]:
            self._discard(worker)

    async def stop(self) -> None:
        """End every process; events still running fail as if it had crashed."""
        self._stopping = True
        for worker in self._workers:
            worker.kill()
        if self._workers:
            await asyncio.wait(list(self._workers.values()), timeout=_KILL_WAIT_SECONDS)
        self._fail_queue()

    def ready(self, worker: Worker) -> None:
        """A process asks for work."""
        if worker.retiring or self._stopping:
            worker.kill()
        elif self._queue:
            worker.give(self._queue.popleft().invocation)
            self._plan_growth()
        else:
            self._idle.append(worker)

    def done(self, worker: Worker, invocation: Invocation, outcome: Outcome) -> None:
        """A process finished an event."""
        self._settle(invocation, outcome, worker.take_init_milliseconds())

    def ended(self, worker: Worker) -> None:
        """A process has ended: its start may have failed, and events may still wait."""
        self._workers.pop(worker, None)
        if worker in self._idle:
            self._idle.remove(worker)
        if worker.init_failure is not None:
            self._report_failed_start(worker.init_failure)
        self._grow()

    def printed(self, worker: Worker, line: str) -> None:
        """A function wrote a line to its log."""
        trace = worker.invocation.trace if worker.invocation else ""
        self._log(from_function(self.spec.logical_id, line, trace))

    def _take_idle(self) -> Worker | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.waits:
                return worker
        return None

    def _discard(self, worker: Worker) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
        worker.kill()

    def _plan_growth(self) -> None:
        if not self._queue:
            return
        if any(worker.started and not worker.retiring for worker in self._workers):
            asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._grow)
        else:
            self._grow()

    def _grow(self) -> None:
        """Start one process per waiting event, within this machine's limit."""
        if self._stopping:  # the wait may time out after the pool has ended
            return
        usable = [worker for worker in self._workers if not worker.retiring]
        starting = sum(not worker.started for worker in usable)
        at_once = min(len(self._queue), os.cpu_count() or 1)
        for _ in range(min(at_once - starting, self._max_processes - len(usable))):
            worker = Worker(self.spec, self.launch, self, self._starter)
            self._workers[worker] = asyncio.get_running_loop().create_task(worker.run())

    def _report_failed_start(self, failure: Outcome) -> None:
        for line in failure.log[-_SHOWN_LINES:]:
            self._log(LogLine("cloud", f"{self.spec.logical_id} did not start: {line}"))
        if self._queue:
            self._settle(self._queue.popleft().invocation, failure, failure.milliseconds)

    def _fail_queue(self) -> None:
        while self._queue:
            failure = Outcome(b'{"errorMessage":"stopped"}', "Runtime.ExitError", (), 0.0)
            self._settle(self._queue.popleft().invocation, failure, 0.0)

    def _settle(self, invocation: Invocation, outcome: Outcome, cold_milliseconds: float) -> None:
        cold = f" (cold start {cold_milliseconds:.0f} ms)" if cold_milliseconds else ""
        self._log(
            LogLine(
                "invoke",
                self.spec.logical_id + cold,
                outcome.error or "ok",
                outcome.milliseconds,
                invocation.trace,
            )
        )
        replayable = Replayable(invocation.request_id, self.spec.logical_id, invocation.payload)
        self._traces.invoked(invocation.trace, replayable)
        answer = self._answers.get(invocation.request_id)
        if answer is not None and not answer.done():
            answer.set_result(outcome)
