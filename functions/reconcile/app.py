"""EventBridge schedule: compares the ledger with Stripe once a day"""

from typing import Any

from autodoctor.db import database
from autodoctor.deadline import SecondsLeft
from autodoctor.monitoring.scheduled import scheduled
from autodoctor.observability import MetricUnit, metrics
from autodoctor.payments.reconcile import reconcile
from autodoctor.payments.reconcile.runs import keep, log
from autodoctor.payments.stripe.client import LIST_ANSWER_SECONDS, check_stripe, stripe_client, stripe_secrets

check_stripe()
db = database()


@scheduled(db, "reconcile")
def handler(seconds_left: SecondsLeft) -> dict[str, Any]:
    report = reconcile(
        db,
        stripe_client(LIST_ANSWER_SECONDS),
        livemode=stripe_secrets().livemode,
        seconds_left=seconds_left,
    )
    keep(db, report)
    log(report)
    metrics.add_metric(name="ReconcileDifferences", unit=MetricUnit.Count, value=len(report.differences))
    metrics.add_metric(name="ReconcileUnfinished", unit=MetricUnit.Count, value=int(not report.finished))
    return {**report.model_dump(mode="json", by_alias=True, exclude={"differences"}), "counts": report.counts()}
