"""EventBridge schedule: orphans, lapsed offers, scheduled sessions coming due, abandoned sessions"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import database
from autodoctor.events.relay import relay
from autodoctor.monitoring.runs import noted
from autodoctor.observability import MetricUnit, logger, metrics
from autodoctor.sessions.expiry import sweep
from autodoctor.settings import required

required("EVENT_BUS_NAME")
db = database()


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
@noted(db, "expire-orphans")
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    try:
        swept = sweep(db, seconds_left).model_dump(by_alias=True)
    finally:
        relay(db, seconds_left, grace_seconds=0)  # what was swept is news now, not a minute later
    logger.info("swept", extra=swept)
    for name, count in swept.items():
        metrics.add_metric(name=f"Swept{name[0].upper()}{name[1:]}", unit=MetricUnit.Count, value=count)
    return swept
