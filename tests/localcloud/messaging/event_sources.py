"""Event source mappings: pollers that feed functions from queues, as Lambda's own do.

A batch that succeeds is deleted; one that fails becomes visible again at its visibility time-out, or at once when its
worker was killed, which cannot happen on AWS and should cause no delay here. A mapping that reports single failures
keeps just those.
"""

import asyncio
import json
import math
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence

from localcloud.compute.pools import FunctionPool, Throttled
from localcloud.compute.workers import Outcome
from localcloud.host.logline import Log, LogLine
from localcloud.messaging.messages import Received, StaleReceipt
from localcloud.messaging.queues import Queues
from localcloud.messaging.sqs_message import attributes_md5, md5, system_attributes
from localcloud.stack.cloudformation import REGION
from localcloud.stack.events import EventSource

# Lambda begins with five batches at once.
_USUAL_CONCURRENCY = 5
_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 10.0


class EventSources:
    """Every mapping of a stack, running from `start` to `stop`."""

    def __init__(
        self,
        sources: Iterable[EventSource],
        queues: Queues,
        pools: Mapping[str, FunctionPool],
        longest_redelivery_seconds: float,
        log: Log,
    ) -> None:
        self._log = log
        self._pollers = [
            _Poller(source, queues, pools[source.function], longest_redelivery_seconds, log) for source in sources
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Release the messages that an earlier process left, and begin to poll."""
        for poller in self._pollers:
            task = asyncio.create_task(poller.run())
            task.add_done_callback(self._report)
            self._tasks.append(task)

    async def stop(self) -> None:
        """Stop polling; batches in progress stay in their queues."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for poller in self._pollers:
            await poller.stop()

    def _report(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._log(LogLine("cloud", f"a poller of queues has stopped: {error}"))


class _Poller:
    def __init__(
        self, source: EventSource, queues: Queues, pool: FunctionPool, longest_redelivery_seconds: float, log: Log
    ) -> None:
        self._source = source
        self._queues = queues
        self._pool = pool
        self._longest_redelivery_seconds = longest_redelivery_seconds
        self._log = log
        self._limit = source.max_concurrency or _USUAL_CONCURRENCY
        self._at_work: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        name = self._source.queue
        if released := self._queues.release_polled(name):
            self._log(LogLine("queue", f"{name} released {released} messages that an earlier process held"))
        while True:
            batch = await self._batch() if len(self._at_work) < self._limit else []
            if batch:
                self._spawn(self._work(batch))
            else:
                await self._queues.wait(name, math.inf)

    async def stop(self) -> None:
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        def finished(task: asyncio.Task[None]) -> None:
            self._at_work.discard(task)
            self._queues.wake(self._source.queue)
            if not task.cancelled() and (error := task.exception()):
                self._log(LogLine("cloud", f"polling {self._source.queue} failed: {error}"))

        task = asyncio.create_task(work)
        self._at_work.add(task)
        task.add_done_callback(finished)

    async def _batch(self) -> list[Received]:
        """Take the visible messages; a mapping with a window waits for more."""
        size = self._source.batch_size
        batch = self._take(size)
        give_up_at = time.monotonic() + self._source.window_seconds
        while batch and len(batch) < size and (left := give_up_at - time.monotonic()) > 0:
            await self._queues.wait(self._source.queue, left)
            batch += self._take(size - len(batch))
        return batch

    def _take(self, most: int) -> list[Received]:
        return self._queues.receive(self._source.queue, most, polled=True)

    async def _work(self, batch: Sequence[Received]) -> None:
        began = time.monotonic()
        outcome = await self._invoke(batch)
        failed = self._failed(batch, outcome)
        within_seconds = 0.0 if _was_killed(outcome) else self._longest_redelivery_seconds
        for message in batch:
            if message.message_id in failed:
                self._queues.give_up(self._source.queue, message.receipt, within_seconds)
            else:
                self._delete(message)
        took = (time.monotonic() - began) * 1000
        some = f"{len(batch)} message{'s' if len(batch) > 1 else ''}"
        text = f"{self._source.queue} -> {self._source.function} {some}"
        self._log(LogLine("queue", text, _fate(outcome, len(failed)), took, batch[0].trace))

    async def _invoke(self, batch: Sequence[Received]) -> Outcome | None:
        """Run the function; None when it was throttled until the messages' visibility time-out."""
        event = json.dumps({"Records": [_record(message) for message in batch]}, ensure_ascii=False).encode()
        give_up_at = time.monotonic() + batch[0].queue.visibility_seconds
        delay = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                return await self._pool.invoke(event, trace=batch[0].trace)
            except Throttled:
                if time.monotonic() + delay > give_up_at:
                    return None
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_BACKOFF_SECONDS)

    def _failed(self, batch: Sequence[Received], outcome: Outcome | None) -> set[str]:
        everything = {message.message_id for message in batch}
        if outcome is None or outcome.error is not None:
            return everything
        if not self._source.partial:
            return set()
        named = failures_named(outcome.payload)
        return everything if named is None or not named <= everything else named

    def _delete(self, message: Received) -> None:
        try:
            self._queues.delete(self._source.queue, message.receipt)
        except StaleReceipt as stale:
            text = f"{self._source.queue}: {stale}; {self._source.function} took longer than the visibility time-out"
            self._log(LogLine("queue", text, request_id=message.trace))


def failures_named(answer: bytes) -> set[str] | None:
    """Return the failed message ids of a partial-batch answer; None when all count as failed.

    As Lambda documents it: no answer, an empty one, and an empty or null list are success; an answer that is not
    JSON, and an entry whose `itemIdentifier` is missing, null or empty, make the whole batch a failure.
    """
    try:
        parsed = json.loads(answer or b"null")
    except ValueError:
        return None
    if parsed is None:
        return set()
    if not isinstance(parsed, dict):
        return None
    entries = parsed.get("batchItemFailures")
    if entries is None:
        return set()
    if not isinstance(entries, list):
        return None
    named = [entry.get("itemIdentifier") if isinstance(entry, dict) else None for entry in entries]
    texts = {name for name in named if isinstance(name, str) and name}
    return texts if len(texts) == len(set(named)) else None


def _was_killed(outcome: Outcome | None) -> bool:
    return (
        outcome is not None
        and outcome.error == "Runtime.ExitError"
        and any(name in outcome.payload for name in (b"signal: SIGKILL", b"signal: SIGTERM"))
    )


def _fate(outcome: Outcome | None, failures: int) -> str:
    if outcome is None:
        return "Throttled"
    if outcome.error is not None:
        return outcome.error
    return f"{failures} failed" if failures else "ok"


def _record(message: Received) -> dict[str, object]:
    """A message in the form that functions get."""
    record: dict[str, object] = {
        "messageId": message.message_id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": system_attributes(message),
        "messageAttributes": {
            name: {
                "stringValue": value.get("StringValue"),
                "binaryValue": value.get("BinaryValue"),
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": value["DataType"],
            }
            for name, value in message.attributes.items()
        },
        "md5OfBody": md5(message.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": message.queue.arn,
        "awsRegion": REGION,
    }
    if message.attributes:
        record["md5OfMessageAttributes"] = attributes_md5(message.attributes)
    return record
