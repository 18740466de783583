"""EventBridge schedule: orphans, lapsed offers, scheduled sessions coming due, abandoned sessions"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import database
from autodoctor.observability import MetricUnit, logger, metrics
from autodoctor.sessions.expiry import sweep

db = database()


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    swept = sweep(db, lambda: context.get_remaining_time_in_millis() / 1000).model_dump(by_alias=True)
    logger.info("swept", extra=swept)
    for name, count in swept.items():
        metrics.add_metric(name=f"Swept{name[0].upper()}{name[1:]}", unit=MetricUnit.Count, value=count)
    return swept
