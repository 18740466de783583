"""Refunds as Stripe tells of them, ours and those made by hand in its dashboard: each by its own id, in any order.

A charge says only how much of it went back in all, so `charge.refunded` books nothing by itself: Stripe tells of each
refund in `refund.created`, `refund.updated` and `refund.failed`.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, LiteralString

import psycopg
from pydantic import BaseModel, Field

from autodoctor.db import Row
from autodoctor.payments.losses import book_losses, lock_payment

CAME_BACK: Final = frozenset({"failed", "canceled"})
"""A refund with one of these states moved nothing in the end."""

_NOTE: Final[LiteralString] = """
INSERT INTO stripe_refunds AS known (id, payment_intent_id, amount_cents, failed)
VALUES (%(id)s, %(payment_intent)s, %(amount)s, %(failed)s)
ON CONFLICT (id) DO UPDATE SET failed = true WHERE excluded.failed AND NOT known.failed
"""

type RefundOutcome = Literal["refunded", "refund_failed", "unchanged", "not_ours"]


class _Refund(BaseModel):
    id: str
    amount: int = Field(gt=0)
    currency: str
    payment_intent: str | None = None
    status: str | None = None


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
