"""EventBridge schedule: compares the ledger with what Stripe says, once a day"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import database
from autodoctor.monitoring.runs import noted
from autodoctor.observability import MetricUnit, logger, metrics
from autodoctor.payments.reconcile import reconcile
from autodoctor.payments.reconcile.runs import keep, log
from autodoctor.payments.stripe.client import LIST_ANSWER_SECONDS, check_stripe, stripe_client, stripe_secrets

check_stripe()
db = database()


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
@noted(db, "reconcile")
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    report = reconcile(
        db,
        stripe_client(LIST_ANSWER_SECONDS),
        livemode=stripe_secrets().livemode,
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    keep(db, report)
    log(report)
    metrics.add_metric(name="ReconcileDifferences", unit=MetricUnit.Count, value=len(report.differences))
    metrics.add_metric(name="ReconcileUnfinished", unit=MetricUnit.Count, value=int(not report.finished))
    answer = {**report.model_dump(mode="json", by_alias=True, exclude={"differences"}), "counts": report.counts()}
    logger.info("compared", extra={"report": answer})
    return answer
