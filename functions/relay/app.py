"""EventBridge schedule: publishes the events left in the outbox, and deletes old push records"""

from typing import Any

from autodoctor.db import database
from autodoctor.deadline import SecondsLeft
from autodoctor.events import outbox
from autodoctor.events.feed.connections import drop_expired
from autodoctor.events.feed.messages import prune
from autodoctor.events.relay import relay
from autodoctor.monitoring.scheduled import scheduled
from autodoctor.observability import MetricUnit, metrics
from autodoctor.settings import required

required("EVENT_BUS_NAME")
db = database()


@scheduled(db, "relay")
def handler(seconds_left: SecondsLeft) -> dict[str, Any]:
    _report()
    drop_expired(db)
    prune(db)
    relayed = relay(db, seconds_left)
    metrics.add_metric(name="Relayed", unit=MetricUnit.Count, value=relayed.published)
    metrics.add_metric(name="PublishFailed", unit=MetricUnit.Count, value=int(relayed.failed))
    metrics.add_metric(name="PoisonEvents", unit=MetricUnit.Count, value=relayed.poison)
    return relayed.model_dump(by_alias=True)


def _report() -> None:
    """The outbox's metrics, written before the work: a run that is cut short must not silence their alarms."""
    backlog = outbox.backlog(db)
    metrics.add_metric(name="OutboxDepth", unit=MetricUnit.Count, value=backlog["depth"])
    metrics.add_metric(name="OutboxAge", unit=MetricUnit.Seconds, value=backlog["age_seconds"])
    metrics.flush_metrics()
