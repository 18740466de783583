"""Intakes that are paid, credits to buy, extensions; EventBridge schedule: checkouts"""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import database
from autodoctor.deadline import SecondsLeft
from autodoctor.errors import (
    CustomerErased,
    IntakeNotFound,
    MechanicNotActive,
    PaymentNotLate,
    PaymentProcessing,
    PaymentsUnavailable,
    SessionBusy,
    SessionEnded,
    SessionNotFound,
    TooManyRequests,
    WithdrawnTooOften,
)
from autodoctor.events.publish import Publisher
from autodoctor.extensions.errors import (
    ExtensionAnswered,
    ExtensionNotFound,
    ExtensionNotPaid,
    ExtensionNotPossible,
)
from autodoctor.extensions.extend import (
    ExtendRequest,
    ExtensionAnswer,
    ExtensionState,
    answer_extension,
    extend,
)
from autodoctor.intake.card import IntakeStatus, intake_status
from autodoctor.intake.late import LatePaymentAnswer, answer_late_payment
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
    "POST /api/intakes/{intakeId}/answer",
    groups=["customers"],
    body=LatePaymentAnswer,
    raises=[IntakeNotFound, PaymentNotLate, PaymentsUnavailable],
)
def answer_late(request: Request) -> IntakeStatus:
    intake_id = request.id("intakeId", IntakeNotFound)
    return answer_late_payment(db, request.caller.user_id, intake_id, request.json(LatePaymentAnswer), publish.publish)


@router.route(
    "POST /api/customer/credits/checkout",
    groups=["customers"],
    body=PackRequest,
    raises=[CustomerErased, PaymentProcessing, PaymentsUnavailable, SessionBusy, TooManyRequests],
    status=202,
)
def buy(request: Request) -> PackCheckout:
    return buy_pack(db, request.caller.user_id, request.json(PackRequest))


@router.route(
    "POST /api/sessions/{sessionId}/extend",
    groups=["customers"],
    body=ExtendRequest,
    raises=[
        ExtensionNotPaid,
        ExtensionNotPossible,
        PaymentProcessing,
        PaymentsUnavailable,
        SessionBusy,
        SessionEnded,
        SessionNotFound,
        TooManyRequests,
        WithdrawnTooOften,
    ],
    after=publish,
)
def ask(request: Request) -> ExtensionState:
    wanted = request.json(ExtendRequest)
    return extend(db, request.caller.user_id, request.id("sessionId", SessionNotFound), wanted)


@router.route(
    "POST /api/sessions/{sessionId}/extend/{extensionId}/answer",
    groups=["mechanics"],
    body=ExtensionAnswer,
    raises=[
        ExtensionAnswered,
        ExtensionNotFound,
        ExtensionNotPaid,
        ExtensionNotPossible,
        MechanicNotActive,
        SessionEnded,
        SessionNotFound,
    ],
    after=publish,
)
def answer(request: Request) -> ExtensionState:
    session_id = request.id("sessionId", SessionNotFound)
    extension_id = request.id("extensionId", ExtensionNotFound)
    return answer_extension(db, request.caller.user_id, session_id, extension_id, request.json(ExtensionAnswer))


serve = router.handler()


@scheduled(db, "checkout-unfinished")
def sweep(seconds_left: SecondsLeft) -> dict[str, Any]:
    done = sweep_checkouts(db, seconds_left, publish.publish)
    swept = done.model_dump(by_alias=True)
    metrics.add_metric(name="CheckoutsFoundPaid", unit=MetricUnit.Count, value=swept["fulfilled"])
    return swept


def handler(event: Mapping[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    return serve(event, context) if "routeKey" in event else sweep(event, context)
