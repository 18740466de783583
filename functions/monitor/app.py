"""EventBridge schedule: measures the health of sessions, and notifies a topic when an alert opens or clears"""

from typing import Any

from autodoctor.db import database
from autodoctor.deadline import SecondsLeft
from autodoctor.monitoring.dashboard import session_health
from autodoctor.monitoring.monitor import measurements, notify, observe
from autodoctor.monitoring.scheduled import scheduled
from autodoctor.monitoring.topic import publish
from autodoctor.observability import MetricUnit, metrics
from autodoctor.settings import required

required("ALERT_TOPIC_ARN")
db = database()


@scheduled(db, "monitor")
def handler(seconds_left: SecondsLeft) -> dict[str, Any]:
    observed = observe(db)
    try:
        _report()
    finally:
        notified = notify(db, publish, seconds_left)
    metrics.add_metric(name="AlertsTold", unit=MetricUnit.Count, value=notified)
    return {**observed.model_dump(by_alias=True), "told": notified}


def _report() -> None:
    """The metrics, written before alerts are published: neither may silence the other."""
    for name, value in measurements(session_health(db)).items():
        metrics.add_metric(name=name, unit=MetricUnit.NoUnit, value=value)
    metrics.flush_metrics()
