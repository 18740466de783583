"""EventBridge schedule: looks up refunds by hand, sends what is owed, takes back what disputes cost, books fees"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import database
from autodoctor.monitoring.runs import noted
from autodoctor.observability import MetricUnit, logger, metrics
from autodoctor.payments.ledger.fees import sweep_fees
from autodoctor.payments.losses.losses import sweep_losses
from autodoctor.payments.losses.refund_lookups import lookups_unanswered, sweep_refund_lookups
from autodoctor.payments.outgoing.lease import waiting
from autodoctor.payments.outgoing.payouts import sweep_payouts
from autodoctor.payments.outgoing.refunds import sweep_refunds
from autodoctor.payments.outgoing.reversals import sweep_reversals
from autodoctor.payments.stripe.client import check_stripe, stripe_client

check_stripe()
db = database()


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
@noted(db, "payouts")
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    sweeps = {
        "lookups": sweep_refund_lookups,  # first: what went back by hand is neither sent nor paid back once more
        "refunds": sweep_refunds,
        "payouts": sweep_payouts,
        "reversals": sweep_reversals,
        "fees": sweep_fees,
    }
    swept = {name: sweep(db, stripe_client(), seconds_left).model_dump() for name, sweep in sweeps.items()}
    left = waiting(db)
    metrics.add_metric(name="SendingFailed", unit=MetricUnit.Count, value=left.failed)
    metrics.add_metric(name="SendingAge", unit=MetricUnit.Seconds, value=left.age_seconds)
    unanswered = lookups_unanswered(db)
    metrics.add_metric(name="RefundLookupsUnanswered", unit=MetricUnit.Count, value=unanswered)
    answer = {
        **swept,
        "losses": sweep_losses(db, seconds_left),
        "left": left.model_dump(by_alias=True),
        "unanswered": unanswered,
    }
    logger.info("swept", extra=answer)
    return answer
