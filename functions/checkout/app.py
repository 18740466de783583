"""GET /api/intakes/{intakeId}, POST /api/customer/credits/checkout; EventBridge schedule: unfinished checkouts"""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import database
from autodoctor.deadline import SecondsLeft
from autodoctor.errors import (
    CustomerErased,
    IntakeNotFound,
    PaymentProcessing,
    PaymentsUnavailable,
    SessionBusy,
    TooManyRequests,
)
from autodoctor.events.publish import Publisher
from autodoctor.intake.card import IntakeStatus, intake_status
from autodoctor.monitoring.scheduled import scheduled
from autodoctor.observability import MetricUnit, metrics
from autodoctor.payments.checkout.checkout import PackCheckout, PackRequest, buy_pack
from autodoctor.payments.checkout.sweep import sweep_checkouts
from autodoctor.payments.stripe.client import check_stripe
from autodoctor.web.http import Request, Router

check_stripe()
router = Router()
db = database()
publish = Publisher(db)


@router.route("GET /api/intakes/{intakeId}", groups=["customers"], raises=[IntakeNotFound])
def status(request: Request) -> IntakeStatus:
    return intake_status(db, request.caller.user_id, request.id("intakeId", IntakeNotFound))


@router.route(
    "POST /api/customer/credits/checkout",
    groups=["customers"],
    body=PackRequest,
    raises=[CustomerErased, PaymentProcessing, PaymentsUnavailable, SessionBusy, TooManyRequests],
    status=202,
)
def buy(request: Request) -> PackCheckout:
    return buy_pack(db, request.caller.user_id, request.json(PackRequest))


serve = router.handler()


@scheduled(db, "checkout-unfinished")
def sweep(seconds_left: SecondsLeft) -> dict[str, Any]:
    done = sweep_checkouts(db, seconds_left, publish.publish)
    swept = done.model_dump(by_alias=True)
    metrics.add_metric(name="CheckoutsFoundPaid", unit=MetricUnit.Count, value=swept["fulfilled"])
    return swept


def handler(event: Mapping[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    return serve(event, context) if "routeKey" in event else sweep(event, context)
