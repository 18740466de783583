"""Disputes as Stripe tells of them, in any order: they hold what is not sent, and when lost they are a loss."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, LiteralString

import psycopg
from pydantic import BaseModel, Field

from autodoctor.db import Row
from autodoctor.payments.losses.losses import book_losses, lock_payment
from autodoctor.payments.stripe.calls import asked

if TYPE_CHECKING:
    import stripe

OPEN: Final = frozenset({"needs_response", "under_review"})
"""Stripe has taken the money and somebody will decide; what is only asked about (`warning_...`) leaves it with us."""

_RANKS: Final = (
    *("warning_needs_response", "warning_under_review", "warning_closed"),
    *("needs_response", "under_review", "lost", "prevented", "won"),
)
"""How far a dispute is; what is lost may be given back later, what is won stays so. News of less come late."""

_NOTE: Final[LiteralString] = """
INSERT INTO stripe_disputes AS known (id, payment_intent_id, amount_cents, status, withdrawn_cents, reinstated_cents)
VALUES (%(id)s, %(payment_intent)s, %(amount)s, %(status)s, %(withdrawn)s, %(reinstated)s)
ON CONFLICT (id) DO UPDATE
   SET status = CASE WHEN known.status = ANY (%(before)s) THEN excluded.status ELSE known.status END,
       withdrawn_cents = greatest(known.withdrawn_cents, excluded.withdrawn_cents),
       reinstated_cents = greatest(known.reinstated_cents, excluded.reinstated_cents),
       fees_due_at = clock_timestamp(), updated_at = clock_timestamp()
 WHERE known.status = ANY (%(before)s) OR excluded.withdrawn_cents > known.withdrawn_cents
    OR excluded.reinstated_cents > known.reinstated_cents
"""

_BEHIND: Final[LiteralString] = """
SELECT EXISTS (SELECT FROM losses WHERE payment_intent_id = %(payment_intent_id)s
                  AND (effective AND booked = 'nothing' OR NOT effective AND booked IN ('held', 'split'))) AS behind
"""

type DisputeOutcome = Literal["disputed", "dispute_won", "dispute_lost", "unchanged", "not_ours"]


class _Movement(BaseModel):
    amount: int


class _Dispute(BaseModel):
    id: str
    amount: int = Field(ge=0)
    currency: str
    payment_intent: str | None = None
    status: str
    balance_transactions: list[_Movement] = []

    def values(self) -> dict[str, object]:
        """Of the statement that notes it."""
        rank = _RANKS.index(self.status) if self.status in _RANKS else 0
        return {
            **self.model_dump(include={"id", "amount", "payment_intent", "status"}),
            "before": list(_RANKS[:rank]),
            "withdrawn": -sum(min(0, each.amount) for each in self.balance_transactions),
            "reinstated": sum(max(0, each.amount) for each in self.balance_transactions),
        }


def dispute_told(connection: psycopg.Connection[Row], dispute: Mapping[str, Any]) -> DisputeOutcome:
    """Note a dispute, hold or release what was not sent of its payment, and bring the books to it.

    Args:
        connection: in the transaction of the event.
        dispute: Stripe's Dispute object, with its movements of our balance.

    Returns:
        unchanged: all of it was known; not_ours: of no payment of ours, or of one that we have not heard of yet: it is
        booked when we do.

    Raises:
        pydantic.ValidationError: it is no dispute.
    """
    told = _Dispute.model_validate(dispute)
    if told.payment_intent is None or told.currency != "usd":
        return "not_ours"
    ours = lock_payment(connection, told.payment_intent)
    news = note_dispute(connection, dispute)
    if not ours:
        return "not_ours"
    if not news:
        return "unchanged"
    book_losses(connection, told.payment_intent)
    if told.status == "lost":
        return "dispute_lost"
    return "dispute_won" if told.status == "won" else "disputed"


def note_dispute(connection: psycopg.Connection[Row], dispute: Mapping[str, Any]) -> bool:
    """Note what Stripe says of a dispute; the caller holds its payment and books it.

    Returns:
        Whether it is news.
    """
    return connection.execute(_NOTE, _Dispute.model_validate(dispute).values()).rowcount == 1


def disputes_of(client: "stripe.StripeClient", payment_intent_id: str) -> "list[stripe.Dispute]":
    """The disputes of a payment; Stripe is asked: its webhook may still be on its way.

    Raises:
        NotDone: there is no such payment.
        Unknown: no answer.
    """
    return asked(lambda: client.v1.disputes.list(params={"payment_intent": payment_intent_id, "limit": 100})).data


def behind(connection: psycopg.Connection[Row], payment_intent_id: str) -> bool:
    """Whether something of a payment is gone, or came back, that the books do not have yet."""
    row = connection.execute(_BEHIND, {"payment_intent_id": payment_intent_id}).fetchone()
    return row is not None and bool(row["behind"])
