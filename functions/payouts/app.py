"""EventBridge schedule: sends payouts, refunds and evidence, looks up manual refunds, recovers losses, books fees"""

from typing import Any

from autodoctor.db import database
from autodoctor.deadline import SecondsLeft
from autodoctor.disputes.staging import sweep_evidence
from autodoctor.monitoring.scheduled import scheduled
from autodoctor.observability import MetricUnit, metrics
from autodoctor.payments.ledger.fees import sweep_fees
from autodoctor.payments.losses.losses import sweep_losses
from autodoctor.payments.losses.refund_lookups import lookups_unanswered, sweep_refund_lookups
from autodoctor.payments.outgoing.payouts import sweep_payouts
from autodoctor.payments.outgoing.refunds import sweep_refunds
from autodoctor.payments.outgoing.reversals import sweep_reversals
from autodoctor.payments.stripe.client import check_stripe, stripe_client
from autodoctor.payments.stripe.lease import unsent

check_stripe()
db = database()


@scheduled(db, "payouts")
def handler(seconds_left: SecondsLeft) -> dict[str, Any]:
    sweeps = {
        "lookups": sweep_refund_lookups,  # first, so that money refunded by hand is neither paid out nor refunded again
        "refunds": sweep_refunds,
        "payouts": sweep_payouts,
        "reversals": sweep_reversals,
        "fees": sweep_fees,
        "evidence": sweep_evidence,
    }
    swept = {name: sweep(db, stripe_client(), seconds_left).model_dump() for name, sweep in sweeps.items()}
    left = unsent(db)
    metrics.add_metric(name="SendingFailed", unit=MetricUnit.Count, value=left.failed)
    metrics.add_metric(name="SendingAge", unit=MetricUnit.Seconds, value=left.age_seconds)
    unanswered = lookups_unanswered(db)
    metrics.add_metric(name="RefundLookupsUnanswered", unit=MetricUnit.Count, value=unanswered)
    return {
        **swept,
        "losses": sweep_losses(db, seconds_left),
        "left": left.model_dump(by_alias=True),
        "unanswered": unanswered,
    }
