"""EventBridge schedule: proves on live data what is always true, and tells where it is not"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import database
from autodoctor.integrity.runs import run
from autodoctor.monitoring.runs import noted
from autodoctor.monitoring.topic import publish
from autodoctor.observability import MetricUnit, logger, metrics
from autodoctor.settings import database_url, required

required("ALERT_TOPIC_ARN")
db = database()


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
@noted(db, "verify")
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    standing = run(db, database_url(), lambda: context.get_remaining_time_in_millis() / 1000, publish)
    for section, count in standing.by_section.items():
        metrics.add_metric(name=f"Verify{section.capitalize()}", unit=MetricUnit.Count, value=count)
    metrics.add_metric(name="VerifyFindings", unit=MetricUnit.Count, value=sum(standing.findings.values()))
    metrics.add_metric(name="VerifyUnfinished", unit=MetricUnit.Count, value=int(not standing.complete))
    answer = standing.model_dump(mode="json", by_alias=True)
    logger.info("verified", extra=answer)
    return answer
