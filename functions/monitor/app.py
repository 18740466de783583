"""EventBridge schedule: measures the health of sessions, and tells a topic of each alert when it comes and goes"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import database
from autodoctor.monitoring.dashboard import session_health
from autodoctor.monitoring.monitor import measurements, observe, tell
from autodoctor.monitoring.runs import noted
from autodoctor.monitoring.topic import publish
from autodoctor.observability import MetricUnit, logger, metrics
from autodoctor.settings import required

required("ALERT_TOPIC_ARN")
db = database()


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
@noted(db, "monitor")
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    observed = observe(db)
    try:
        _report()
    finally:
        told = tell(db, publish, lambda: context.get_remaining_time_in_millis() / 1000)
    metrics.add_metric(name="AlertsTold", unit=MetricUnit.Count, value=told)
    answer = {**observed.model_dump(by_alias=True), "told": told}
    logger.info("observed", extra=answer)
    return answer


def _report() -> None:
    """The metrics, before anything is told: neither may silence the other."""
    for name, value in measurements(session_health(db)).items():
        metrics.add_metric(name=name, unit=MetricUnit.NoUnit, value=value)
    metrics.flush_metrics()
