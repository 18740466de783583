"""EventBridge schedule: checks the invariants on live data, and reports violations"""

from typing import Any

from autodoctor.aws.secrets import database_url
from autodoctor.db import database
from autodoctor.deadline import SecondsLeft
from autodoctor.integrity.runs import run
from autodoctor.monitoring.scheduled import scheduled
from autodoctor.monitoring.topic import publish
from autodoctor.observability import MetricUnit, metrics
from autodoctor.settings import required

required("ALERT_TOPIC_ARN")
db = database()


@scheduled(db, "verify")
def handler(seconds_left: SecondsLeft) -> dict[str, Any]:
    open_findings = run(db, database_url(), seconds_left, publish)
    for section, count in open_findings.by_section.items():
        metrics.add_metric(name=f"Verify{section.capitalize()}", unit=MetricUnit.Count, value=count)
    metrics.add_metric(name="VerifyFindings", unit=MetricUnit.Count, value=sum(open_findings.findings.values()))
    metrics.add_metric(name="VerifyUnfinished", unit=MetricUnit.Count, value=int(not open_findings.complete))
    return open_findings.model_dump(mode="json", by_alias=True)
