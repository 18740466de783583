"""Books Stripe's fees for every payment and dispute of ours, once each, from Stripe's balance transactions.

The rows of `checkouts` and `stripe_disputes` say when their fees are due, so a run that ends early is continued by the
next one, and a row whose look-up failed waits an hour without delaying the others.
"""

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.ledger.accounts import STRIPE, STRIPE_FEES, TransferKind
from autodoctor.payments.stripe.calls import OutcomeUnknown, StripeRefused, call_stripe
from autodoctor.payments.stripe.lease import MARGIN_SECONDS
from autodoctor.web.schemas import ResponseModel

if TYPE_CHECKING:
    import stripe

AGAIN_AFTER: Final = timedelta(hours=1)
"""When to look again at a payment without a balance transaction, or after a call that failed."""

_CLAIM_PAYMENT: Final[LiteralString] = """
WITH due AS MATERIALIZED (
  SELECT c.id FROM checkouts c
   WHERE c.fee_booked_at IS NULL AND c.status IN ('paid', 'unfulfillable') AND c.stripe_payment_intent_id IS NOT NULL
     AND coalesce(c.fee_due_at, c.created_at) <= clock_timestamp()
   ORDER BY coalesce(c.fee_due_at, c.created_at) LIMIT 1
     FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE checkouts c SET fee_due_at = clock_timestamp() + %(after)s
  FROM due WHERE c.id = due.id AND c.fee_booked_at IS NULL
RETURNING c.id, c.stripe_payment_intent_id, c.intake_id
"""
_PAYMENT_BOOKED: Final[LiteralString] = """
UPDATE checkouts SET fee_booked_at = clock_timestamp() WHERE id = %(id)s AND fee_booked_at IS NULL
"""

_CLAIM_DISPUTE: Final[LiteralString] = """
WITH due AS MATERIALIZED (
  SELECT d.id, c.intake_id FROM stripe_disputes d JOIN checkouts c ON c.stripe_payment_intent_id = d.payment_intent_id
   WHERE d.fees_due_at <= clock_timestamp() ORDER BY d.fees_due_at LIMIT 1
     FOR NO KEY UPDATE OF d SKIP LOCKED
)
UPDATE stripe_disputes d SET fees_due_at = clock_timestamp() + %(after)s FROM due WHERE d.id = due.id
RETURNING d.id, d.updated_at, due.intake_id
"""
# Not if the dispute moved on meanwhile: that may have a fee of its own.
_DISPUTE_BOOKED: Final[LiteralString] = """
UPDATE stripe_disputes SET fees_due_at = NULL WHERE id = %(id)s AND updated_at = %(updated_at)s
"""

_BOOK: Final[LiteralString] = """
INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)
VALUES (%(key)s, %(debit)s, %(credit)s, %(amount)s, 'usd', %(kind)s, %(intake_id)s)
ON CONFLICT (key) DO NOTHING
"""


class SweptFees(ResponseModel):
    """How many payments and disputes were looked up, and for how many the fees are booked now."""

    asked: int = 0
    booked: int = 0


type _Transaction = tuple[str, int]
"""The id of a balance transaction, and Stripe's fee in cents; negative where Stripe gave a fee back."""


def sweep_fees(database: Database, client: "stripe.StripeClient", seconds_left: SecondsLeft) -> SweptFees:
    """Book the fees that are not booked yet, until none is left or time runs short.

    Args:
        client: of Stripe.
    """
    counts = {"asked": 0, "booked": 0}
    for claim, done, look_up in (
        (_CLAIM_PAYMENT, _PAYMENT_BOOKED, _of_payment),
        (_CLAIM_DISPUTE, _DISPUTE_BOOKED, _of_dispute),
    ):
        while seconds_left() > MARGIN_SECONDS and (row := database.one(claim, {"after": AGAIN_AFTER})) is not None:
            counts["asked"] += 1
            try:
                found = look_up(client, row)
            except (StripeRefused, OutcomeUnknown):
                continue  # tried again in an hour
            if found:
                database.transaction(partial(_book, row=row, fees=found, done=done))
                counts["booked"] += 1
    return SweptFees(**counts)


def _of_payment(client: "stripe.StripeClient", checkout: Row) -> list[_Transaction]:
    """The balance transaction of the payment's charge; none as long as the money has not reached the balance."""
    intent: Any = call_stripe(
        lambda: client.v1.payment_intents.retrieve(
            checkout["stripe_payment_intent_id"], params={"expand": ["latest_charge.balance_transaction"]}
        )
    )
    transaction = intent.latest_charge and intent.latest_charge.balance_transaction
    return [] if transaction is None else [(transaction.id, transaction.fee)]


def _of_dispute(client: "stripe.StripeClient", dispute: Row) -> list[_Transaction]:
    """The balance transactions of the dispute."""
    found: Any = call_stripe(lambda: client.v1.disputes.retrieve(dispute["id"]))
    return [(each.id, each.fee) for each in found.balance_transactions]


def _book(connection: psycopg.Connection[Row], row: Row, fees: Iterable[_Transaction], done: LiteralString) -> None:
    for transaction_id, fee in fees:
        accounts = {"debit": STRIPE_FEES, "credit": STRIPE} if fee > 0 else {"debit": STRIPE, "credit": STRIPE_FEES}
        if fee:
            values = {**accounts, "key": f"fee:{transaction_id}", "amount": abs(fee), "kind": TransferKind.FEE}
            connection.execute(_BOOK, {**values, "intake_id": row["intake_id"]})
    connection.execute(done, row)  # no row if another run did it, or the dispute moved on: then it is looked up again
