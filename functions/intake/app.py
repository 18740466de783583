"""POST /api/intake/start"""

from autodoctor.db import database
from autodoctor.errors import (
    ActiveSessionExists,
    CustomerErased,
    IdempotencyKeyReused,
    InsufficientCredits,
    OwnReferral,
    OwnSession,
    PaymentProcessing,
    PaymentsUnavailable,
    SessionBusy,
    TooManyRequests,
    WithdrawnTooOften,
)
from autodoctor.events.publish import Publisher
from autodoctor.intake.card import CheckoutOpened
from autodoctor.intake.create import SessionCreated
from autodoctor.intake.funded import start_funded_intake
from autodoctor.intake.request import IntakeRequest
from autodoctor.payments.stripe.client import check_stripe
from autodoctor.web.http import Request, Router

check_stripe()
router = Router()
db = database()
publish = Publisher(db)


def publish_session(answer: SessionCreated | CheckoutOpened) -> None:
    if isinstance(answer, SessionCreated):
        publish(answer)


@router.route(
    "POST /api/intake/start",
    groups=["customers"],
    body=IntakeRequest,
    headers=["idempotency-key"],
    raises=[
        ActiveSessionExists,
        CustomerErased,
        IdempotencyKeyReused,
        InsufficientCredits,
        OwnReferral,
        OwnSession,
        PaymentProcessing,
        PaymentsUnavailable,
        SessionBusy,
        TooManyRequests,
        WithdrawnTooOften,
    ],
    status={SessionCreated: 201, CheckoutOpened: 202},
    metric="Intakes",
    after=publish_session,
)
def start(request: Request) -> SessionCreated | CheckoutOpened:
    intake = request.json(IntakeRequest)
    caller, key = request.caller, request.headers.get("idempotency-key")
    return start_funded_intake(db, caller.user_id, intake, key, caller.verified_email)


handler = router.handler()
