"""POST /api/stripe/webhook, /api/stripe/connect-webhook: Stripe's signature is the identity"""

from autodoctor.db import database
from autodoctor.errors import BadSignature, MalformedBody, SessionBusy
from autodoctor.events.publish import Publisher
from autodoctor.payments.stripe.client import check_stripe
from autodoctor.payments.webhooks import Received, receive
from autodoctor.web.http import Request, Router

check_stripe()
router = Router()
db = database()
publish = Publisher(db)


def publish_effect(received: Received) -> None:
    if received.subject_id is not None:
        publish.publish(received.subject_id)


@router.route(
    "POST /api/stripe/webhook",
    groups=[],
    headers=["stripe-signature"],
    raises=[BadSignature, MalformedBody, SessionBusy],
    after=publish_effect,
)
def platform(request: Request) -> Received:
    return receive(db, "platform", request.raw_body, request.headers.get("stripe-signature", ""))


@router.route(
    "POST /api/stripe/connect-webhook",
    groups=[],
    headers=["stripe-signature"],
    raises=[BadSignature, MalformedBody, SessionBusy],
    after=publish_effect,
)
def connect(request: Request) -> Received:
    return receive(db, "connect", request.raw_body, request.headers.get("stripe-signature", ""))


handler = router.handler()
