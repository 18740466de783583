"""The consumer of the bus that calls people whose page is closed, and takes it back when it is gone.

A call that a push service could not take for a while comes again with its event, for as long as it is worth anything;
a second delivery calls only browsers that were not called. What is gone is withdrawn where it is shown: by the event
that says so, and by the call itself where that event came first.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.events.model import AssignmentEvent, Event, MessageEvent, QuoteEvent, SessionEvent
from autodoctor.notifications.kinds import CallKind, Facts, Kind
from autodoctor.observability import MetricUnit, logger, metrics
from autodoctor.push.audience import Calling, called_by, still_shown
from autodoctor.push.endpoints import NotAPushService, endpoint_of
from autodoctor.push.service import PushMessage, PushOutcome, PushSender, subscription_of
from autodoctor.push.subscriptions import record
from autodoctor.push.words import OTHER_SECONDS, REQUEST_SECONDS, message, withdrawal
from autodoctor.sessions.active import session_url
from autodoctor.sessions.queue import vehicle_summary

_CALLS: Final = frozenset({"assignment.queued", "assignment.offered", "assignment.opened"})
_ENDS: Final = frozenset({"assignment.accepted", "assignment.declined", "assignment.cancelled", "assignment.expired"})
_QUEUE: Final = "mechanic.html#queue"
_SHOWS_EVERY_MESSAGE: Final = ".push.apple.com"
"""Safari takes its permission back from a page whose messages show nothing (DECISIONS.md#d98)."""

_NOTE: Final[LiteralString] = """
WITH old AS (
  DELETE FROM push_deliveries d WHERE d.subscription_id = ANY (%(ids)s) AND d.sent_at < now() - interval '1 day'
)
INSERT INTO push_deliveries (subscription_id, event_id, topic, kind)
SELECT p.id, %(event_id)s, %(topic)s, %(kind)s FROM push_subscriptions p WHERE p.id = ANY (%(ids)s)
ON CONFLICT DO NOTHING
"""
_WITHDRAWN: Final[LiteralString] = """
UPDATE push_deliveries SET withdrawn_at = clock_timestamp()
 WHERE topic = %(topic)s AND subscription_id = ANY (%(ids)s) AND withdrawn_at IS NULL
"""


class NotCalled(Exception):
    """Some push services did not answer: deliver the event again."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} browsers were not called")


def call(database: Database, sender: PushSender, event: Event) -> None:
    """Call whom the event concerns, or take back what it ends.

    Raises:
        NotCalled: a push service did not take it for a while: deliver the event again.
    """
    if isinstance(event, AssignmentEvent) and event.type in _ENDS:
        _withdraw(database, sender, event.assignment_id)
    elif isinstance(event, AssignmentEvent | SessionEvent | MessageEvent | QuoteEvent) and _is_a_call(event):
        _call(database, sender, event)


def _is_a_call(event: Calling) -> bool:
    """Whether somebody is called by this event, and it is not too old for that."""
    if isinstance(event, AssignmentEvent):
        calls = event.type in _CALLS
    elif isinstance(event, SessionEvent):
        due = event.type == "session.pending" and event.previous_status == "scheduled"
        calls = due or event.type == "session.waiting"
    elif isinstance(event, MessageEvent):
        calls = event.role != "system"
    else:
        calls = event.type == "quote.given"
    return calls and _age_seconds(event) < OTHER_SECONDS


def _call(database: Database, sender: PushSender, event: Calling) -> None:
    rows = called_by(database, event)
    outcomes = _send(database, sender, rows, [_message(row) for row in rows])
    for topic, kind in {(row["topic"], row["kind"]) for row in rows}:
        ids = [row["subscription_id"] for row in rows if outcomes.get(row["subscription_id"]) is PushOutcome.SENT]
        database.execute(_NOTE, {"ids": ids, "event_id": event.event_id, "topic": topic, "kind": kind})
        if kind in (CallKind.REQUEST_WAITING, CallKind.REQUEST_OFFERED):
            _withdraw(database, sender, topic)  # if it is gone meanwhile
    away = sum(outcome is PushOutcome.AWAY for outcome in outcomes.values())
    if away and _age_seconds(event) < REQUEST_SECONDS:
        raise NotCalled(away)


def _withdraw(database: Database, sender: PushSender, topic: UUID) -> None:
    rows = [row for row in still_shown(database, topic) if not _shows_every_message(row["endpoint"])]
    outcomes = _send(database, sender, rows, [withdrawal(topic)] * len(rows))
    told = [each for each, outcome in outcomes.items() if outcome is not PushOutcome.AWAY]
    if told:
        database.execute(_WITHDRAWN, {"topic": topic, "ids": told})
    if len(told) < len(outcomes):
        raise NotCalled(len(outcomes) - len(told))


def _send(
    database: Database, sender: PushSender, rows: Sequence[Row], messages: Sequence[PushMessage]
) -> dict[UUID, PushOutcome]:
    """Send each row's browser its message, and note what became of the browsers."""
    called = [subscription_of(row) for row in rows]
    outcomes = sender.send(list(zip(called, messages, strict=True)))
    found = {each.id: outcome for each, outcome in zip(called, outcomes, strict=True)}
    record(database, found)
    for outcome in sorted(set(outcomes), key=str):
        _count(f"Push{outcome.value.capitalize()}", outcomes.count(outcome))
    return found


def _message(row: Row) -> PushMessage:
    kind = CallKind(row["kind"]) if row["kind"] in set(CallKind) else Kind(row["kind"])
    facts = Facts.model_validate({**row, "vehicle": vehicle_summary(row["vehicle"]) if row.get("vehicle") else None})
    asks = kind in (CallKind.REQUEST_WAITING, CallKind.REQUEST_OFFERED)
    return message(kind, row["locale"], facts, row["topic"], _QUEUE if asks else session_url(row))


def _shows_every_message(address: str) -> bool:
    try:
        return endpoint_of(address).host.endswith(_SHOWS_EVERY_MESSAGE)
    except NotAPushService:
        return False


def _age_seconds(event: Event) -> float:
    return (datetime.now(UTC) - event.occurred_at).total_seconds()


def _count(metric: str, value: int) -> None:
    logger.info("push", extra={"outcome": metric, "count": value})
    metrics.add_metric(name=metric, unit=MetricUnit.Count, value=value)
    metrics.flush_metrics()
