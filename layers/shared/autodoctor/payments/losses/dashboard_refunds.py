"""Refunds as Stripe reports them, ours and those made by hand in its dashboard: each by its own id, in any order.

Stripe reports each refund by `refund.created`, `refund.updated` and `refund.failed`. An endpoint may subscribe to
`charge.refunded` alone; in current versions of the API that event has the charge without its refunds, only how much of
it was refunded in all. If we do not know all of them then, they are looked up soon after (refund_lookups.py).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from pydantic import BaseModel, Field

from autodoctor.db import Row
from autodoctor.payments.losses.losses import book_losses, lock_payment
from autodoctor.payments.stripe.fields import SETTLED_IN, BalanceMovement, Cents, StripeId

CAME_BACK: Final = frozenset({"failed", "canceled"})
"""In one of these states a refund moved no money in the end."""

PENDING: Final = frozenset({"pending", "requires_action"})
"""In one of these states it has moved no money yet."""

_NOTE: Final[LiteralString] = """
INSERT INTO stripe_refunds AS known (id, payment_intent_id, amount_cents, pending, failed)
VALUES (%(id)s, %(payment_intent)s, %(amount)s, %(pending)s, %(failed)s)
ON CONFLICT (id) DO UPDATE SET failed = known.failed OR excluded.failed, pending = false
 WHERE excluded.failed AND NOT known.failed OR known.pending AND NOT excluded.pending
"""

# Where the payment is not known yet, by the id of its Checkout page, which Stripe copies to the charge.
_LOCK: Final[LiteralString] = """
SELECT id FROM checkouts
 WHERE stripe_payment_intent_id = %(payment_intent)s OR (id = %(checkout_id)s AND stripe_payment_intent_id IS NULL)
   FOR NO KEY UPDATE
"""
# There is one event per refund. We may have missed one that failed: then the sums agree, but the counts do not.
_LOOK_UP: Final[LiteralString] = """
UPDATE checkouts SET refunds_due_at = clock_timestamp()
 WHERE id = %(id)s AND (
   %(amount_refunded)s > (SELECT coalesce(sum(amount_cents), 0) FROM stripe_refunds
                           WHERE payment_intent_id = %(payment_intent)s AND NOT failed)
   OR (SELECT count(*) FROM stripe_events WHERE object_id = %(charge_id)s AND type = 'charge.refunded')
    > (SELECT count(*) FROM stripe_refunds WHERE payment_intent_id = %(payment_intent)s))
"""

# Of a refund in another currency: an event has its balance transaction by its id alone.
_LOOK_UP_ITS_CENTS: Final[LiteralString] = """
UPDATE checkouts SET refunds_due_at = clock_timestamp() WHERE stripe_payment_intent_id = %(payment_intent)s
"""

type RefundOutcome = Literal["refunded", "refund_failed", "refund_noted", "unchanged", "mismatch", "not_ours"]


class _Refund(BaseModel):
    id: StripeId
    amount: Annotated[Cents, Field(gt=0)]
    currency: str
    payment_intent: StripeId | None = None
    status: str | None = None
    balance_transaction: BalanceMovement | str | None = None

    @property
    def cents(self) -> int | None:
        """What it takes from our balance; None: it is told in another currency, without its balance transaction."""
        if self.currency == SETTLED_IN:
            return self.amount
        moved = self.balance_transaction
        if not isinstance(moved, BalanceMovement) or moved.currency != SETTLED_IN or moved.amount >= 0:
            return None
        return -moved.amount


class _Refunds(BaseModel):
    data: list[dict[str, Any]]


class _Charge(BaseModel):
    id: StripeId
    amount_refunded: Cents
    payment_intent: StripeId | None = None
    metadata: dict[str, str] = {}
    refunds: _Refunds | None = None

    @property
    def checkout_id(self) -> UUID | None:
        """Our id of the Checkout page where it was paid."""
        try:
            return UUID(self.metadata.get("checkoutId", ""))
        except ValueError:
            return None


def charge_refunded(connection: psycopg.Connection[Row], charge: Mapping[str, Any]) -> RefundOutcome:
    """Book the refunds that a charge contains (API versions before 2022-11-15), or have them looked up.

    Args:
        connection: in the transaction of the event, which is recorded already.
        charge: Stripe's Charge object.

    Returns:
        refund_noted: there are refunds that we do not know yet; else as `refund_reported`.

    Raises:
        pydantic.ValidationError: it is not a charge, or one of its refunds is not a refund.
    """
    reported = _Charge.model_validate(charge)
    if reported.payment_intent is None:
        return "not_ours"
    values = {
        **reported.model_dump(exclude={"refunds", "id"}),
        "charge_id": reported.id,
        "checkout_id": reported.checkout_id,
    }
    checkout = connection.execute(_LOCK, values).fetchone()
    contained = [] if reported.refunds is None else reversed(reported.refunds.data)  # the newest is the first
    outcomes = {refund_reported(connection, {**each, "payment_intent": reported.payment_intent}) for each in contained}
    if checkout is None:
        return "not_ours"
    if connection.execute(_LOOK_UP, {**values, **checkout}).rowcount:
        return "refund_noted"
    changes: tuple[RefundOutcome, ...] = ("mismatch", "refund_noted", "refunded", "refund_failed")
    return next((outcome for outcome in changes if outcome in outcomes), "unchanged")


def refund_reported(connection: psycopg.Connection[Row], refund: Mapping[str, Any]) -> RefundOutcome:
    """Store a refund, and bring the books up to it, or have it looked up where its event does not say what it took.

    Args:
        connection: in the transaction of the event.
        refund: Stripe's Refund object.

    Returns:
        As `book_refund`.

    Raises:
        pydantic.ValidationError: it is not a refund.
    """
    outcome = book_refund(connection, refund)
    payment = {"payment_intent": refund.get("payment_intent")}
    if outcome == "refund_noted" and connection.execute(_LOOK_UP_ITS_CENTS, payment).rowcount != 1:
        raise RuntimeError(f"the payment of refund {refund['id']} is gone")
    return outcome


def book_refund(connection: psycopg.Connection[Row], refund: Mapping[str, Any]) -> RefundOutcome:
    """Store a refund, and bring the books up to it, if it says what it took from our balance.

    Args:
        connection: in a transaction.
        refund: Stripe's Refund object.

    Returns:
        unchanged: all of it was known, or it moved nothing; refund_noted: what it took is not told, as it is in another
        currency; mismatch: what it took is not in our currency; not_ours: the payment is not ours, or not known yet:
        then it is booked when we learn of the payment.

    Raises:
        pydantic.ValidationError: it is not a refund.
    """
    reported = _Refund.model_validate(refund)
    if reported.payment_intent is None:
        return "not_ours"
    ours = lock_payment(connection, reported.payment_intent)
    if reported.cents is None:
        return _untold(reported) if ours else "not_ours"
    if not note_refund(connection, refund):
        return "unchanged"
    if ours:
        book_losses(connection, reported.payment_intent)
    if not ours:
        return "not_ours"
    return "refund_failed" if reported.status in CAME_BACK else "refunded"


def _untold(reported: _Refund) -> RefundOutcome:
    if isinstance(reported.balance_transaction, BalanceMovement):
        return "mismatch"
    moved_nothing = reported.balance_transaction is None and reported.status in CAME_BACK
    return "unchanged" if moved_nothing else "refund_noted"


def taken_cents(refund: Mapping[str, Any]) -> int | None:
    """What a refund takes from our balance, in cents; None where it is told in another currency alone."""
    return _Refund.model_validate(refund).cents


def note_refund(connection: psycopg.Connection[Row], refund: Mapping[str, Any]) -> bool:
    """Store what Stripe says of a refund; the caller holds the lock of its payment and books it.

    Returns:
        Whether it was not known before; False where its cents are not told.
    """
    reported = _Refund.model_validate(refund)
    if reported.cents is None:
        return False
    values = {
        **reported.model_dump(exclude={"balance_transaction"}),
        "amount": reported.cents,
        "pending": reported.status in PENDING,
        "failed": reported.status in CAME_BACK,
    }
    return connection.execute(_NOTE, values).rowcount == 1
