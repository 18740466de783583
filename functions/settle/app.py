"""Consumer of the bus: settles ended sessions; on a schedule, those that had to wait or whose event never came"""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import database
from autodoctor.deadline import SecondsLeft
from autodoctor.events.consumer import consumer
from autodoctor.events.model import Event, SessionEvent
from autodoctor.monitoring.scheduled import scheduled
from autodoctor.observability import MetricUnit, metrics
from autodoctor.payments.settlement import settle, sweep

db = database()


def settle_ended(event: Event) -> None:
    if isinstance(event, SessionEvent):
        settle(db, event.session_id)


consume = consumer(settle_ended)


@scheduled(db, "settle-missed")
def sweep_missed(seconds_left: SecondsLeft) -> dict[str, Any]:
    swept = sweep(db, seconds_left).model_dump(by_alias=True)
    metrics.add_metric(name="SettlementsMissed", unit=MetricUnit.Count, value=swept["late"])
    return swept


def handler(event: Mapping[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    return consume(event, context) if "Records" in event else sweep_missed(event, context)
