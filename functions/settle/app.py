"""Consumer of the bus: settles what ended; on a schedule, what the bus never told of"""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import database
from autodoctor.events.consumer import consumer
from autodoctor.events.model import Event, SessionEvent
from autodoctor.monitoring.runs import noted
from autodoctor.observability import MetricUnit, logger, metrics
from autodoctor.payments.ledger.settlement import settle, sweep

db = database()


def settle_ended(event: Event) -> None:
    if isinstance(event, SessionEvent):
        settle(db, event.session_id)


consume = consumer(settle_ended)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
@noted(db, "settle-missed")
def sweep_missed(_event: Mapping[str, Any], context: LambdaContext) -> dict[str, int]:
    swept = sweep(db, lambda: context.get_remaining_time_in_millis() / 1000).model_dump(by_alias=True)
    metrics.add_metric(name="SettlementsMissed", unit=MetricUnit.Count, value=swept["settled"])
    logger.info("swept", extra=swept)
    return swept


def handler(event: Mapping[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    return consume(event, context) if "Records" in event else sweep_missed(event, context)
