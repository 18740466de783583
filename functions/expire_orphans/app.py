"""EventBridge schedule: orphans, lapsed offers, scheduled sessions coming due, abandoned sessions"""

from typing import Any

from autodoctor.db import database
from autodoctor.deadline import SecondsLeft
from autodoctor.events.relay import relay
from autodoctor.monitoring.scheduled import scheduled
from autodoctor.observability import MetricUnit, metrics
from autodoctor.sessions.expiry import sweep
from autodoctor.settings import required

required("EVENT_BUS_NAME")
db = database()


@scheduled(db, "expire-orphans")
def handler(seconds_left: SecondsLeft) -> dict[str, Any]:
    try:
        swept = sweep(db, seconds_left).model_dump(by_alias=True)
    finally:
        relay(db, seconds_left, grace_seconds=0)  # publish the sweeps' events now, not a minute later
    for name, count in swept.items():
        metrics.add_metric(name=f"Swept{name[0].upper()}{name[1:]}", unit=MetricUnit.Count, value=count)
    return swept
