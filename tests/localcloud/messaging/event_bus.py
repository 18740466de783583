"""An EventBridge bus: rules, delivery to queues, retries, and the rules' own dead-letter queues.

One transaction accepts an event: it matches all rules and puts the event into their queues, or among the deliveries
to be retried.
"""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from localcloud.host.logline import Log, LogLine
from localcloud.messaging.bus_faults import BusFaults
from localcloud.messaging.message_file import MessageFile
from localcloud.messaging.messages import Message, NoSuchQueue, NotAccepted
from localcloud.messaging.queues import Queues
from localcloud.services.causes import CAUSE
from localcloud.stack.cloudformation import ACCOUNT, REGION
from localcloud.stack.events import EventStack, Rule, RuleTarget, queue_named_by

_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 300.0
# Another process may leave deliveries too, and clocks jump.
_LONGEST_SLEEP_SECONDS = 5.0


@dataclass(frozen=True)
class BusEvent:
    """An event for a bus, which `bus` names. `time` is UTC, `detail` a JSON object.

    `trace_header` is X-Ray's of the publisher, which goes on to the queues; AWS's own events have none.
    """

    source: str
    detail_type: str
    detail: Mapping[str, object]
    bus: str = "default"
    time: datetime | None = None
    resources: tuple[str, ...] = ()
    trace_header: str = ""


@dataclass(frozen=True)
class _Parcel:
    """What goes to a target: the event in its envelope, and the header that stands beside it."""

    envelope: Mapping[str, object]
    trace_header: str

    @property
    def trace(self) -> str:
        """The request id in the log."""
        return _trace(self.envelope)


class _Undeliverable(Exception):
    """A queue refused an event; `code` is the error code that EventBridge attaches to the dead letter."""

    def __init__(self, code: str, message: str, *, worth_retrying: bool) -> None:
        super().__init__(message)
        self.code = code
        self.worth_retrying = worth_retrying


class EventBus:
    """All buses of a stack. Methods belong to the event loop's thread."""

    def __init__(self, stack: EventStack, file: MessageFile, queues: Queues, faults: BusFaults, log: Log) -> None:
        self.stack = stack
        self.faults = faults
        self._file = file
        self._queues = queues
        self._log = log
        self._ways = {(rule.name, target.target_id): (rule, target) for rule in stack.rules for target in rule.targets}
        self._due = asyncio.Event()

    def put(self, events: Sequence[BusEvent]) -> list[str]:
        """Accept events, all or none, and return their ids. An event for an unknown bus is accepted and lost."""
        with self._file.transaction():
            return [self._take(event) for event in events]

    async def keep_delivering(self) -> None:
        """Retry undelivered events, until cancelled."""
        while True:
            self._due.clear()
            now = time.time()
            for row in self._file.rows("SELECT * FROM delivery WHERE due_at <= ? ORDER BY due_at LIMIT 100", now):
                with self._file.transaction():
                    # another process on this file may have been faster
                    if self._file.write("DELETE FROM delivery WHERE delivery_id = ?", row["delivery_id"]):
                        self._deliver_again(dict(row))
            upcoming = self._file.one("SELECT min(due_at) AS at FROM delivery")
            due = upcoming["at"] if upcoming and upcoming["at"] is not None else float("inf")
            try:
                async with asyncio.timeout(max(0.0, min(due - time.time(), _LONGEST_SLEEP_SECONDS))):
                    await self._due.wait()
            except TimeoutError:
                continue

    def _take(self, event: BusEvent) -> str:
        event_id = str(uuid.uuid4())
        envelope = envelope_of(event, event_id)
        parcel = _Parcel(envelope, event.trace_header)
        reached = []
        for rule in self.stack.rules:
            if rule.bus == event.bus and rule.matches(envelope):
                for target in rule.targets:
                    reached.append(queue_named_by(target.arn))
                    self._send_out(rule, target, parcel)
        where = ", ".join(map(str, reached)) or "no rule"
        if event.bus not in self.stack.buses:
            where = f"no bus {event.bus}, lost"
        session = str(event.detail.get("sessionId") or "")
        text = f"{event.detail_type} -> {where}"
        self._log(LogLine("bus", text, request_id=parcel.trace, cause=CAUSE.get(), session=session))
        return event_id

    def _send_out(self, rule: Rule, target: RuleTarget, parcel: _Parcel) -> None:
        now = time.time()
        if self.faults.scatters:
            for _ in range(self.faults.copies):
                self._postpone(rule, target, parcel, 0, now, now + random.uniform(0, self.faults.spread_seconds))
        else:
            self._deliver(rule, target, parcel, 0, now)

    def _deliver_again(self, row: Mapping[str, object]) -> None:
        way = self._ways.get((str(row["rule"]), str(row["target_id"])))
        if way is None:  # the template has changed
            self._log(LogLine("dead", f"{row['rule']} is gone, dropped an event"))
            return
        parcel = _Parcel(json.loads(str(row["event"])), str(row["trace_header"]))
        self._deliver(*way, parcel, int(str(row["attempts"])), float(str(row["created_at"])))

    def _deliver(self, rule: Rule, target: RuleTarget, parcel: _Parcel, attempts: int, created: float) -> None:
        try:
            self._enqueue(target, parcel)
        except _Undeliverable as failure:
            delay = min(_FIRST_RETRY_SECONDS * 2**attempts, _LONGEST_RETRY_SECONDS) * random.uniform(0.5, 1.0)
            due = time.time() + delay
            if not failure.worth_retrying:
                self._bury(rule, target, parcel, failure, attempts, None)
            elif attempts >= target.retries:
                self._bury(rule, target, parcel, failure, attempts, "MaximumRetryAttempts")
            elif due > created + target.max_age_seconds:
                self._bury(rule, target, parcel, failure, attempts, "MaximumEventAgeInSeconds")
            else:
                self._postpone(rule, target, parcel, attempts + 1, created, due)

    def _enqueue(self, target: RuleTarget, parcel: _Parcel) -> None:
        name = queue_named_by(target.arn)
        if name in self.faults.undeliverable:
            raise _Undeliverable("THROTTLING", "Rate exceeded.", worth_retrying=True)
        # the queue must not deduplicate the copies that a test wants delivered
        copy = str(uuid.uuid4()) if self.faults.copies != 1 else None
        message = Message(
            _body(target, parcel.envelope),
            group=target.group,
            deduplication_id=copy,
            trace=parcel.trace,
            trace_header=parcel.trace_header,
        )
        try:
            self._queues.send(str(name), message)
        except NoSuchQueue as missing:
            raise _Undeliverable("NO_RESOURCE", str(missing), worth_retrying=False) from missing
        except NotAccepted as refused:
            raise _Undeliverable("INVALID_PARAMETER", str(refused), worth_retrying=False) from refused

    def _postpone(  # noqa: PLR0913, PLR0917 - the columns of a delivery
        self,
        rule: Rule,
        target: RuleTarget,
        parcel: _Parcel,
        attempts: int,
        created: float,
        due: float,
    ) -> None:
        self._file.insert(
            "INSERT INTO delivery (rule, target_id, event, trace_header, attempts, created_at, due_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(rule.name, target.target_id, json.dumps(parcel.envelope), parcel.trace_header, attempts, created, due),
        )
        self._due.set()
        if attempts:
            waits = f"retry {attempts} in {max(0.0, due - time.time()):.1f} s"
            self._log(LogLine("bus", f"{rule.name} -> {queue_named_by(target.arn)} {waits}", request_id=parcel.trace))

    def _bury(  # noqa: PLR0913, PLR0917 - the contents of the dead letter
        self,
        rule: Rule,
        target: RuleTarget,
        parcel: _Parcel,
        failure: _Undeliverable,
        retries: int,
        exhausted: str | None,
    ) -> None:
        if target.dead_letters is None:
            self._log(LogLine("dead", f"{rule.name} dropped, it has no dead-letter queue", request_id=parcel.trace))
            return
        facts = {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": target.arn,
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": str(failure),
            "RETRY_ATTEMPTS": str(retries),
            **({"EXHAUSTED_RETRY_CONDITION": exhausted} if exhausted else {}),
        }
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in facts.items()}
        body = json.dumps(parcel.envelope)
        letter = Message(body, attributes, trace=parcel.trace, trace_header=parcel.trace_header)
        self._queues.send(target.dead_letters, letter)
        self._log(LogLine("dead", f"{rule.name} -> {target.dead_letters}", failure.code, None, parcel.trace))


def envelope_of(event: BusEvent, event_id: str) -> dict[str, object]:
    """An event as its targets get it."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": event.detail_type,
        "source": event.source,
        "account": ACCOUNT,
        "time": (event.time or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": list(event.resources),
        "detail": dict(event.detail),
    }


def _trace(envelope: Mapping[str, object]) -> str:
    detail = envelope["detail"]
    return str(detail.get("eventId", envelope["id"]) if isinstance(detail, dict) else envelope["id"])


def _body(target: RuleTarget, envelope: Mapping[str, object]) -> str:
    if target.given is not None:
        return target.given
    part: object = envelope
    for name in target.path:
        part = part.get(name) if isinstance(part, dict) else None
    return json.dumps(part, separators=(",", ":"), ensure_ascii=False)
