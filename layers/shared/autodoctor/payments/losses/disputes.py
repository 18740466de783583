"""Disputes as Stripe reports them, in any order. An open one holds what was not sent yet; a lost one is a loss."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, LiteralString

import psycopg
from pydantic import BaseModel, Field, StringConstraints

from autodoctor.db import Row
from autodoctor.payments.losses.losses import book_losses, lock_payment
from autodoctor.payments.stripe.calls import call_stripe
from autodoctor.payments.stripe.fields import SETTLED_IN, BalanceMovement, Cents, Status, StripeId

if TYPE_CHECKING:
    import stripe

OPEN: Final = frozenset({"needs_response", "under_review"})
"""Stripe has taken the money until somebody decides. While it only inquires (`warning_...`), the money stays ours."""

ANSWERABLE: Final = frozenset({"needs_response", "warning_needs_response"})
"""The bank waits for evidence, of which it gets none yet."""

LOST: Final = frozenset({"lost", "prevented"})
"""Stripe keeps what it took: the dispute was lost, or prevented by giving in."""

_RANKS: Final = (
    *("warning_needs_response", "warning_under_review", "warning_closed"),
    *("needs_response", "under_review", "lost", "prevented", "won"),
)
"""The order in which a dispute moves on: a lost one may still be won, a won one stays so. An event that reports an
earlier status came late; one that is none of these gives way to any that is."""

_MOVES_ON: Final[LiteralString] = (
    "(known.status = ANY (%(before)s) OR known.status <> ALL (%(ranks)s) AND excluded.status = ANY (%(ranks)s))"
)
_NOTE: Final[LiteralString] = f"""
INSERT INTO stripe_disputes AS known (id, payment_intent_id, amount_cents, currency, status, withdrawn_cents,
                                      reinstated_cents)
VALUES (%(id)s, %(payment_intent)s, %(amount)s, %(currency)s, %(status)s, %(withdrawn)s, %(reinstated)s)
ON CONFLICT (id) DO UPDATE
   SET status = CASE WHEN {_MOVES_ON} THEN excluded.status ELSE known.status END,
       withdrawn_cents = greatest(known.withdrawn_cents, excluded.withdrawn_cents),
       reinstated_cents = greatest(known.reinstated_cents, excluded.reinstated_cents),
       fees_due_at = clock_timestamp(), updated_at = clock_timestamp()
 WHERE {_MOVES_ON} OR excluded.withdrawn_cents > known.withdrawn_cents
    OR excluded.reinstated_cents > known.reinstated_cents
"""

_UNBOOKED: Final[LiteralString] = """
SELECT EXISTS (SELECT FROM losses WHERE payment_intent_id = %(payment_intent_id)s AND behind) AS unbooked
"""

type DisputeOutcome = Literal["disputed", "dispute_won", "dispute_lost", "unchanged", "mismatch", "not_ours"]


class _Dispute(BaseModel):
    id: StripeId
    amount: Cents
    currency: Annotated[str, StringConstraints(min_length=1, max_length=16)]
    payment_intent: StripeId | None = None
    status: Status
    balance_transactions: Annotated[list[BalanceMovement], Field(max_length=100)] = []

    def values(self) -> dict[str, object]:
        """The parameters of the statement that stores it."""
        rank = _RANKS.index(self.status) if self.status in _RANKS else 0
        moved = [each.amount for each in self.balance_transactions if each.currency == SETTLED_IN]
        return {
            **self.model_dump(include={"id", "amount", "currency", "payment_intent", "status"}),
            "before": list(_RANKS[:rank]),
            "ranks": list(_RANKS),
            "withdrawn": -sum(min(0, cents) for cents in moved),
            "reinstated": sum(max(0, cents) for cents in moved),
        }

    @property
    def lost_cents(self) -> int:
        """What Stripe keeps of what it took."""
        values: Any = self.values()
        return max(0, values["withdrawn"] - values["reinstated"]) if self.status in LOST else 0


def dispute_reported(connection: psycopg.Connection[Row], dispute: Mapping[str, Any]) -> DisputeOutcome:
    """Store a dispute, hold or release what was not sent of its payment, and bring the books up to it.

    Args:
        connection: in the transaction of the event.
        dispute: Stripe's Dispute object, with its balance transactions.

    Returns:
        unchanged: all of it was known; mismatch: its status is none that we know, so a person has to look; not_ours:
        the payment is not ours, or not known yet: then it is booked when we learn of the payment.

    Raises:
        pydantic.ValidationError: it is not a dispute.
    """
    reported = _Dispute.model_validate(dispute)
    if reported.payment_intent is None:
        return "not_ours"
    ours = lock_payment(connection, reported.payment_intent)
    is_new = note_dispute(connection, dispute)
    if not ours:
        return "not_ours"
    if not is_new:
        return "unchanged"
    book_losses(connection, reported.payment_intent)
    if reported.status not in _RANKS:
        return "mismatch"
    if reported.status in LOST:
        return "dispute_lost"
    return "dispute_won" if reported.status == "won" else "disputed"


def note_dispute(connection: psycopg.Connection[Row], dispute: Mapping[str, Any]) -> bool:
    """Store what Stripe says of a dispute; the caller holds the lock of its payment and books it.

    Returns:
        Whether it was not known before.
    """
    return connection.execute(_NOTE, _Dispute.model_validate(dispute).values()).rowcount == 1


def disputes_of(client: "stripe.StripeClient", payment_intent_id: str) -> "list[stripe.Dispute]":
    """The disputes of a payment, as Stripe lists them: a webhook may still be on its way.

    Raises:
        StripeRefused: there is no such payment.
        OutcomeUnknown: Stripe did not answer.
    """
    return call_stripe(lambda: client.v1.disputes.list(params={"payment_intent": payment_intent_id, "limit": 100})).data


def lost_of(disputes: "Iterable[stripe.Dispute]") -> int:
    """Cents that Stripe keeps for these disputes."""
    return sum(_Dispute.model_validate(each.to_dict()).lost_cents for each in disputes)


def has_unbooked(connection: psycopg.Connection[Row], payment_intent_id: str) -> bool:
    """Whether a payment has a loss, or one that was reversed, which the books do not show yet."""
    row = connection.execute(_UNBOOKED, {"payment_intent_id": payment_intent_id}).fetchone()
    return row is not None and bool(row["unbooked"])
