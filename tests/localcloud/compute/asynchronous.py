"""Lambda's asynchronous Invoke: accepted at once, run when possible, a dead letter after every attempt failed."""

import asyncio
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from localcloud.compute.environment import function_arn
from localcloud.compute.pools import FunctionPool, Throttled
from localcloud.compute.workers import Outcome
from localcloud.host.logline import Log, LogLine
from localcloud.messaging.messages import Message
from localcloud.messaging.queues import Queues
from localcloud.stack.events import queue_named_by

_DEFAULT_RETRIES = 2
_PAUSE_SECONDS = 1.0


class Asynchronous:
    """Runs functions in the background. Belongs to the event loop's thread."""

    def __init__(self, pools: Mapping[str, FunctionPool], queues: Queues, log: Log) -> None:
        self._pools = pools
        self._queues = queues
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def invoke(self, function: str, payload: bytes) -> str:
        """Accept an event and return the id of its invocation."""
        request_id = str(uuid.uuid4())
        task = asyncio.get_running_loop().create_task(self._run(function, payload, request_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return request_id

    async def stop(self) -> None:
        """Drop the events that have not run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, function: str, payload: bytes, request_id: str) -> None:
        policy = self._pools[function].spec.failures
        retries = _DEFAULT_RETRIES if policy.retries is None else policy.retries
        attempts = 0
        while attempts <= retries:
            try:
                outcome = await self._pools[function].invoke(payload, request_id=request_id)
            except Throttled:  # does not count as an attempt
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            attempts += 1
            self._log(LogLine("invoke", f"{function} asynchronously", outcome.error or "ok", None, request_id))
            if outcome.error is None:
                return
        queue = queue_named_by(policy.dead_letter or "")
        if queue is not None and queue in self._queues.specs:
            letter = record_of_failure(function, request_id, payload, outcome, attempts)
            self._queues.send(queue, Message(json.dumps(letter), trace=request_id))


def record_of_failure(
    function: str, request_id: str, payload: bytes, outcome: Outcome | None, attempts: int
) -> dict[str, object]:
    """Lambda's record of a failed asynchronous event, for its failure destination; no outcome: it grew too old."""
    record: dict[str, object] = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{function_arn(function)}:$LATEST",
            "condition": "RetriesExhausted" if outcome else "EventAgeExceeded",
            "approximateInvokeCount": attempts,
        },
        "requestPayload": json.loads(payload),
    }
    if outcome is None:
        return record
    status = {"statusCode": 200, "executedVersion": "$LATEST", "functionError": outcome.error}
    return {**record, "responseContext": status, "responsePayload": json.loads(outcome.payload)}
