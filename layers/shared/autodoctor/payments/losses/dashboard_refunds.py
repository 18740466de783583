"""Refunds as Stripe tells of them, ours and those made by hand in its dashboard: each by its own id, in any order.

Stripe tells of each refund in `refund.created`, `refund.updated` and `refund.failed`, and an endpoint may ask for
`charge.refunded` alone: in current versions of the API that has the charge without its refunds, only how much of it
went back in all. Where we do not know them all then, they are looked up soon after (refund_lookups.py).
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from pydantic import BaseModel, Field

from autodoctor.db import Row
from autodoctor.payments.losses.losses import book_losses, lock_payment

CAME_BACK: Final = frozenset({"failed", "canceled"})
"""A refund with one of these states moved nothing in the end."""

_NOTE: Final[LiteralString] = """
INSERT INTO stripe_refunds AS known (id, payment_intent_id, amount_cents, failed)
VALUES (%(id)s, %(payment_intent)s, %(amount)s, %(failed)s)
ON CONFLICT (id) DO UPDATE SET failed = true WHERE excluded.failed AND NOT known.failed
"""

# By the page's id, which Stripe copies from the payment to its charge, where we have not heard of the payment yet.
_LOCK: Final[LiteralString] = """
SELECT id FROM checkouts
 WHERE stripe_payment_intent_id = %(payment_intent)s OR (id = %(checkout_id)s AND stripe_payment_intent_id IS NULL)
   FOR NO KEY UPDATE
"""
# One event for each refund: where one came back unheard of, the sums can be the same though the refunds are not.
_LOOK_UP: Final[LiteralString] = """
UPDATE checkouts SET refunds_due_at = clock_timestamp()
 WHERE id = %(id)s AND (
   %(amount_refunded)s > (SELECT coalesce(sum(amount_cents), 0) FROM stripe_refunds
                           WHERE payment_intent_id = %(payment_intent)s AND NOT failed)
   OR (SELECT count(*) FROM stripe_events WHERE object_id = %(charge_id)s AND type = 'charge.refunded')
    > (SELECT count(*) FROM stripe_refunds WHERE payment_intent_id = %(payment_intent)s))
"""

type RefundOutcome = Literal["refunded", "refund_failed", "unchanged", "not_ours"]
type ChargeOutcome = RefundOutcome | Literal["refund_noted"]


class _Refund(BaseModel):
    id: str
    amount: int = Field(gt=0)
    currency: str
    payment_intent: str | None = None
    status: str | None = None


class _Refunds(BaseModel):
    data: list[dict[str, Any]]


class _Charge(BaseModel):
    id: str
    amount_refunded: int = Field(ge=0)
    payment_intent: str | None = None
    metadata: dict[str, str] = {}
    refunds: _Refunds | None = None

    @property
    def checkout_id(self) -> UUID | None:
        """Our id of the page where it was paid."""
        try:
            return UUID(self.metadata.get("checkoutId", ""))
        except ValueError:
            return None


def charge_refunded(connection: psycopg.Connection[Row], charge: Mapping[str, Any]) -> ChargeOutcome:
    """Book the refunds that a charge names (API versions before 2022-11-15), or note that they are to be looked up.

    Args:
        connection: in the transaction of the event, which is recorded already.
        charge: Stripe's Charge object.

    Returns:
        refund_noted: there are refunds that we do not know yet; else as `refund_told`.

    Raises:
        pydantic.ValidationError: it is no charge, or what it names is no refund.
    """
    told = _Charge.model_validate(charge)
    if told.payment_intent is None:
        return "not_ours"
    values = {**told.model_dump(exclude={"refunds", "id"}), "charge_id": told.id, "checkout_id": told.checkout_id}
    checkout = connection.execute(_LOCK, values).fetchone()
    named = [] if told.refunds is None else reversed(told.refunds.data)  # the newest is the first
    did = {refund_told(connection, {**each, "payment_intent": told.payment_intent}) for each in named}
    if checkout is None:
        return "not_ours"
    if connection.execute(_LOOK_UP, {**values, **checkout}).rowcount:
        return "refund_noted"
    changes: tuple[RefundOutcome, ...] = ("refunded", "refund_failed")
    return next((outcome for outcome in changes if outcome in did), "unchanged")


def refund_told(connection: psycopg.Connection[Row], refund: Mapping[str, Any]) -> RefundOutcome:
    """Note a refund, and bring the books to it.

    Args:
        connection: in the transaction of the event.
        refund: Stripe's Refund object.

    Returns:
        unchanged: all of it was known; not_ours: of no payment of ours, or of one that we have not heard of yet: it is
        booked when we do.

    Raises:
        pydantic.ValidationError: it is no refund.
    """
    told = _Refund.model_validate(refund)
    if told.payment_intent is None or told.currency != "usd":
        return "not_ours"
    ours = lock_payment(connection, told.payment_intent)
    if not note_refund(connection, refund):
        return "unchanged"
    if ours:
        book_losses(connection, told.payment_intent)
    if not ours:
        return "not_ours"
    return "refund_failed" if told.status in CAME_BACK else "refunded"


def note_refund(connection: psycopg.Connection[Row], refund: Mapping[str, Any]) -> bool:
    """Note what Stripe says of a refund; the caller holds its payment and books it.

    Returns:
        Whether it is news.
    """
    told = _Refund.model_validate(refund)
    values = {**told.model_dump(), "failed": told.status in CAME_BACK}
    return connection.execute(_NOTE, values).rowcount == 1
