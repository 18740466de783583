"""The inbox of Stripe's webhooks: verified, recorded once, acted on and stamped in one transaction.

A failure rolls all of it back and answers 500, and Stripe sends the event again. Nothing here calls Stripe.
"""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autodoctor.db import Database, Row
from autodoctor.errors import MalformedBody
from autodoctor.payments.checkout.fulfilment import CheckoutPage, Effect, apply
from autodoctor.payments.losses.dashboard_refunds import charge_refunded, refund_reported
from autodoctor.payments.losses.disputes import dispute_reported
from autodoctor.payments.losses.losses import book_losses
from autodoctor.payments.outgoing.transfer_events import bank_paid, bank_refused, transfer_reversed
from autodoctor.payments.stripe.client import stripe_secrets
from autodoctor.payments.stripe.connect import account_closed, account_updated
from autodoctor.payments.stripe.fields import StripeId
from autodoctor.payments.stripe.mismatch import MISMATCHES, report_mismatch
from autodoctor.payments.stripe.signature import verify_signature
from autodoctor.web.schemas import ResponseModel, unstorable

type Endpoint = Literal["platform", "connect"]
REFUND_EVENTS: Final = frozenset({"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"})
"""These contain the refund; `charge.refunded` contains the charge."""

_LONGEST_ID: Final = 255

_RECORD: Final[LiteralString] = """
INSERT INTO stripe_events (id, endpoint, type, account, object_id, livemode, created_at)
VALUES (%(id)s, %(endpoint)s, %(type)s, %(account)s, %(object_id)s, %(livemode)s, %(created_at)s)
ON CONFLICT (id) DO NOTHING
"""
_STAMP: Final[LiteralString] = """
UPDATE stripe_events SET handled_at = clock_timestamp(), outcome = %(outcome)s WHERE id = %(id)s AND handled_at IS NULL
"""


class _Data(BaseModel):
    object: dict[str, Any]


class StripeEvent(BaseModel):
    """An event as Stripe sends it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    object: Literal["event"]
    id: StripeId
    type: StripeId
    account: StripeId | None = None
    livemode: bool
    created: Annotated[int, Field(ge=0, le=253_402_300_799)]
    data: _Data


class Received(ResponseModel):
    """The answer to Stripe.

    Attributes:
        outcome: what the event did.
        subject_id: the row whose events are to be published; not sent.
    """

    received: Literal[True] = True
    outcome: str
    subject_id: UUID | None = Field(default=None, exclude=True)


def receive(database: Database, endpoint: Endpoint, body: bytes, signature: str) -> Received:
    """Handle an event of Stripe's.

    Args:
        endpoint: the platform's, or that of connected accounts, which has its own secrets.
        body: the raw bytes.
        signature: the header `Stripe-Signature`.

    Returns:
        What it did: `duplicate` where it was handled before, `ignored` where its type does nothing here.

    Raises:
        BadSignature: Stripe did not sign it with a secret of this endpoint, or not just now.
        MalformedBody: it is signed, but not an event, or its object is not of the type's shape.
    """
    secrets = stripe_secrets()
    verify_signature(
        body, signature, secrets.webhook_secrets if endpoint == "platform" else secrets.connect_webhook_secrets
    )
    event = _parsed(body)
    effect, outcome = database.transaction(
        lambda connection: _handle(connection, endpoint, event, livemode=secrets.livemode)
    )
    if outcome in MISMATCHES:
        report_mismatch(outcome, event.id)
    return Received(outcome=outcome, subject_id=effect.subject_id)


def _parsed(body: bytes) -> StripeEvent:
    try:
        document = json.loads(body)
        event = StripeEvent.model_validate(document)
    except (ValueError, RecursionError):  # pydantic's ValidationError is a ValueError
        raise MalformedBody("The body is not an event.") from None
    if unstorable(document) is not None:
        raise MalformedBody("The body has text that cannot be stored.")
    return event


def _handle(
    connection: psycopg.Connection[Row], endpoint: Endpoint, event: StripeEvent, *, livemode: bool
) -> tuple[Effect, str]:
    object_id = event.data.object.get("id")
    parameters = {
        **event.model_dump(include={"id", "type", "account", "livemode"}),
        "endpoint": endpoint,
        "object_id": object_id[:_LONGEST_ID] if isinstance(object_id, str) else None,
        "created_at": datetime.fromtimestamp(event.created, UTC),
    }
    if connection.execute(_RECORD, parameters).rowcount == 0:
        return Effect("unchanged"), "duplicate"
    effect, outcome = _act(connection, endpoint, event, livemode=livemode)
    if connection.execute(_STAMP, {"id": event.id, "outcome": outcome}).rowcount != 1:
        raise RuntimeError(f"event {event.id} was stamped by somebody else")
    return effect, outcome


def _act(
    connection: psycopg.Connection[Row], endpoint: Endpoint, event: StripeEvent, *, livemode: bool
) -> tuple[Effect, str]:
    nothing = Effect("unchanged")
    if event.livemode is not livemode:
        # Stripe sends a live endpoint of connected accounts their test events too (docs.stripe.com/connect/webhooks)
        return nothing, "ignored" if endpoint == "connect" and livemode else "other_mode"
    if (event.account is not None) is not (endpoint == "connect"):
        return nothing, "other_endpoint"
    try:
        return _act_on(connection, endpoint, event, livemode=livemode)
    except ValidationError:
        raise MalformedBody(f"The event's object is not of the shape that {event.type} has.") from None


def _act_on(
    connection: psycopg.Connection[Row], endpoint: Endpoint, event: StripeEvent, *, livemode: bool
) -> tuple[Effect, str]:
    """Handle an event of our mode and of this endpoint.

    Raises:
        ValidationError: its object is not what its type says.
    """
    nothing = Effect("unchanged")
    if endpoint == "connect":
        return nothing, _of_account(connection, event)
    if event.type.startswith("checkout.session."):
        page = _page(event)
        effect = apply(connection, page, livemode=livemode)
        if page.payment_intent is not None:
            book_losses(connection, page.payment_intent)  # losses that were reported before the payment itself
        return effect, effect.outcome
    return nothing, _about_money_back(connection, event)


def _about_money_back(connection: psycopg.Connection[Row], event: StripeEvent) -> str:
    """Handle an event about a refund, dispute or reversal, made by us, by hand or by a customer's bank."""
    if event.type == "transfer.reversed":
        return transfer_reversed(connection, event.data.object)
    if event.type in REFUND_EVENTS:
        return refund_reported(connection, event.data.object)
    if event.type == "charge.refunded":
        return charge_refunded(connection, event.data.object)
    if event.type.startswith("charge.dispute."):
        return dispute_reported(connection, event.data.object)
    return "ignored"


def _of_account(connection: psycopg.Connection[Row], event: StripeEvent) -> str:
    """Handle an event of a connected account; what it did to the state of the mechanic's account."""
    happened_at = datetime.fromtimestamp(event.created, UTC)
    if event.type == "account.updated" and event.data.object.get("id") == event.account:
        return account_updated(connection, event.data.object, happened_at)
    if event.type == "payout.failed" and event.account is not None:
        return bank_refused(connection, event.account, happened_at)
    if event.type == "payout.paid" and event.account is not None:
        return bank_paid(connection, event.account, happened_at)
    if event.type == "account.application.deauthorized" and event.account is not None:
        return "account_closed" if account_closed(connection, event.account, happened_at) else "unchanged"
    return "ignored"


def _page(event: StripeEvent) -> CheckoutPage:
    """The event's Checkout Session."""
    failed = event.type == "checkout.session.async_payment_failed"
    return CheckoutPage.model_validate({**event.data.object, "payment_failed": failed})
