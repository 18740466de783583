"""Consumer of what S3 and GuardDuty say of files; on a schedule, the sweep of files that nobody may or wants to keep"""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import database
from autodoctor.deadline import SecondsLeft
from autodoctor.events.consumer import envelope_consumer
from autodoctor.files.bucket import Remover
from autodoctor.files.scan import take_news
from autodoctor.files.sweep import sweep_files
from autodoctor.monitoring.scheduled import scheduled
from autodoctor.observability import MetricUnit, metrics
from autodoctor.settings import required

required("FILES_BUCKET")  # a deployment without a bucket fails here, not at the first deletion
db = database()
remover = Remover()


def take(envelope: Mapping[str, Any]) -> None:
    take_news(db, envelope)


consume = envelope_consumer(take)


@scheduled(db, "sweep-files")
def sweep(seconds_left: SecondsLeft) -> dict[str, Any]:
    swept = sweep_files(db, remover.remove, seconds_left).model_dump(by_alias=True)
    metrics.add_metric(name="FilesUnscanned", unit=MetricUnit.Count, value=swept["unscanned"])
    metrics.add_metric(name="FilesRemoved", unit=MetricUnit.Count, value=swept["removed"])
    return swept


def handler(event: Mapping[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    return consume(event, context) if "Records" in event else sweep(event, context)
