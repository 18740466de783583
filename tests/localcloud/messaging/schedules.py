"""Schedules that really fire, and Lambda's queue for asynchronous events: retries, then the dead letters.

EventBridge hands a schedule's event to the function asynchronously. If the function fails, Lambda retries, as often
and as long as the function's EventInvokeConfig says, else the schedule's retry policy, else Lambda's default of two
retries. Being throttled does not count as an attempt. After the last attempt the event goes to the dead-letter queue
that the template names.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from localcloud.compute.asynchronous import record_of_failure
from localcloud.compute.pools import FunctionPool, Throttled
from localcloud.compute.workers import Outcome
from localcloud.host.logline import Log, LogLine
from localcloud.messaging.messages import Message
from localcloud.messaging.queues import Queues
from localcloud.stack.cloudformation import ACCOUNT, REGION
from localcloud.stack.cron import Next, next_times
from localcloud.stack.events import queue_named_by
from localcloud.stack.template import AsyncPolicy, Schedule

_DEFAULT_RETRIES = 2
_DEFAULT_AGE_SECONDS = 6 * 3600
# Lambda's pauses for a throttled function: from 1 s, doubling, to 5 minutes.
_FIRST_BACKOFF_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 300.0
# A sleeping laptop stops the timers' clock, so check the wall clock now and then.
_LONGEST_SLEEP_SECONDS = 20.0


@dataclass(frozen=True)
class _Event:
    schedule: Schedule
    payload: bytes
    request_id: str
    created: float


class Schedules:
    """Fires the schedules of a stack until stopped."""

    def __init__(
        self,
        schedules: Iterable[Schedule],
        pools: Mapping[str, FunctionPool],
        queues: Queues,
        retry_delay_seconds: float,
        log: Log,
    ) -> None:
        """`retry_delay_seconds` is the pause before the first retry, and doubles. Raises BadExpression."""
        self._timetable = [(item, next_times(item.expression, item.timezone)) for item in schedules]
        self._pools = pools
        self._queues = queues
        self._retry_delay = retry_delay_seconds
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to wait for the first firings."""
        for schedule, upcoming in self._timetable:
            self._spawn(self._keep_firing(schedule, upcoming))

    async def fire(self, name: str) -> bool:
        """Fire a schedule now, in addition to its times; False when there is none of that name."""
        found = next((schedule for schedule, _ in self._timetable if schedule.name == name), None)
        if found is not None:
            self._spawn(self._deliver(_event(found, datetime.now(UTC))))
        return found is not None

    async def stop(self) -> None:
        """Stop firing; events between two attempts are dropped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_firing(self, schedule: Schedule, upcoming: Next) -> None:
        due = upcoming(datetime.now(UTC))
        while due is not None:
            await _sleep_until(due)
            self._spawn(self._deliver(_event(schedule, due)))
            due = upcoming(due)
            if due is not None and due < datetime.now(UTC):  # the machine slept; missed firings are not made up
                due = upcoming(datetime.now(UTC))

    async def _deliver(self, event: _Event) -> None:
        policy = self._policy(event.schedule)
        retries = _DEFAULT_RETRIES if policy.retries is None else policy.retries
        give_up_at = event.created + (policy.max_age_seconds or _DEFAULT_AGE_SECONDS)
        attempts = throttled = 0
        while True:
            outcome = await self._attempt(event, attempts)
            if outcome is None:
                delay = min(_FIRST_BACKOFF_SECONDS * 2**throttled, _LONGEST_BACKOFF_SECONDS)
                throttled += 1
            elif outcome.error is None:
                return
            else:
                delay = self._retry_delay * 2**attempts
                attempts += 1
            if attempts > retries or time.time() + delay > give_up_at:
                self._bury(event, outcome, attempts, policy)
                return
            await asyncio.sleep(delay)

    def _policy(self, schedule: Schedule) -> AsyncPolicy:
        """The function's own settings; where it has none, the schedule's."""
        own, fallback = self._pools[schedule.function].spec.failures, schedule.failures
        return AsyncPolicy(
            retries=fallback.retries if own.retries is None else own.retries,
            max_age_seconds=own.max_age_seconds or fallback.max_age_seconds,
            dead_letter=own.dead_letter or fallback.dead_letter,
        )

    async def _attempt(self, event: _Event, attempt: int) -> Outcome | None:
        """Run the function once; None means that it was throttled."""
        began = time.monotonic()
        name = event.schedule.name
        try:
            outcome = await self._pools[event.schedule.function].invoke(event.payload, request_id=event.request_id)
        except Throttled:
            outcome = None
        status = "Throttled" if outcome is None else outcome.error or "ok"
        again = f" retry {attempt}" if attempt else ""
        took = (time.monotonic() - began) * 1000
        self._log(LogLine("schedule", f"{name}{again}", status, took, event.request_id))
        return outcome

    def _bury(self, event: _Event, outcome: Outcome | None, attempts: int, policy: AsyncPolicy) -> None:
        queue = queue_named_by(policy.dead_letter or "")
        if queue is None or queue not in self._queues.specs:
            fate = f"dropped, {policy.dead_letter or 'the template names no dead-letter queue'}"
            self._log(LogLine("dead", f"{event.schedule.name} {fate}", request_id=event.request_id))
            return
        letter = record_of_failure(event.schedule.function, event.request_id, event.payload, outcome, attempts)
        self._queues.send(queue, Message(json.dumps(letter), trace=event.request_id))
        error = outcome.error if outcome else "Throttled"
        self._log(LogLine("dead", f"{event.schedule.name} -> {queue}", str(error), None, event.request_id))


async def _sleep_until(due: datetime) -> None:
    while (left := (due - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110 - waits for the clock
        await asyncio.sleep(min(left, _LONGEST_SLEEP_SECONDS))


def _event(schedule: Schedule, due: datetime) -> _Event:
    request_id = str(uuid.uuid4())
    payload = schedule.input.encode() if schedule.input is not None else _standard(schedule, due)
    return _Event(schedule, payload, request_id, time.time())


def _standard(schedule: Schedule, due: datetime) -> bytes:
    """A target's event when the template gives no Input."""
    by_scheduler = schedule.source == "aws.scheduler"
    resource = f"schedule/default/{schedule.name}" if by_scheduler else f"rule/{schedule.name}"
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": schedule.source,
        "account": ACCOUNT,
        "time": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:{schedule.source.replace('.', ':')}:{REGION}:{ACCOUNT}:{resource}"],
        "detail": "{}" if by_scheduler else {},
    }
    return json.dumps(event).encode()
