"""Stripe's fees, booked from its balance transactions by a schedule: of every payment and every dispute of ours, once.

What is due stands beside what it is a fee of (`checkouts`, `stripe_disputes`), so a run that ends early goes on from
there, and a row whose look-up failed waits an hour without holding up the others.
"""

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.ledger.accounts import STRIPE, STRIPE_FEES, Kind
from autodoctor.payments.stripe.calls import NotDone, Unknown, asked
from autodoctor.payments.stripe.lease import MARGIN_SECONDS
from autodoctor.web.schemas import ResponseModel

if TYPE_CHECKING:
    import stripe

AGAIN_AFTER: Final = timedelta(hours=1)
"""A payment whose balance transaction is not there yet, or a call that failed."""

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
# What was told of it meanwhile may have a fee of its own.
_DISPUTE_BOOKED: Final[LiteralString] = """
UPDATE stripe_disputes SET fees_due_at = NULL WHERE id = %(id)s AND updated_at = %(updated_at)s
"""

_BOOK: Final[LiteralString] = """
INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)
VALUES (%(key)s, %(debit)s, %(credit)s, %(amount)s, 'usd', %(kind)s, %(intake_id)s)
ON CONFLICT (key) DO NOTHING
"""


class SweptFees(ResponseModel):
    """How many payments and disputes were looked at, and of how many the fees are booked now."""

    asked: int = 0
    booked: int = 0


type _Transaction = tuple[str, int]
"""Of a balance transaction: its id, and Stripe's fee in cents; below 0 where Stripe gave one back."""


def sweep_fees(database: Database, client: "stripe.StripeClient", seconds_left: SecondsLeft) -> SweptFees:
    """Book the fees that are not booked yet, until none is left or time runs short.

    Args:
        database: where.
        client: of Stripe.
        seconds_left: how many seconds this run still has.
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
            except (NotDone, Unknown):
                continue  # in an hour again
            if found:
                database.transaction(partial(_book, row=row, fees=found, done=done))
                counts["booked"] += 1
    return SweptFees(**counts)


def _of_payment(client: "stripe.StripeClient", checkout: Row) -> list[_Transaction]:
    """Of the payment's charge; none as long as its money is not in the balance."""
    intent: Any = asked(
        lambda: client.v1.payment_intents.retrieve(
            checkout["stripe_payment_intent_id"], params={"expand": ["latest_charge.balance_transaction"]}
        )
    )
    transaction = intent.latest_charge and intent.latest_charge.balance_transaction
    return [] if transaction is None else [(transaction.id, transaction.fee)]


def _of_dispute(client: "stripe.StripeClient", dispute: Row) -> list[_Transaction]:
    """Of each movement of our balance for the dispute."""
    found: Any = asked(lambda: client.v1.disputes.retrieve(dispute["id"]))
    return [(each.id, each.fee) for each in found.balance_transactions]


def _book(connection: psycopg.Connection[Row], row: Row, fees: Iterable[_Transaction], done: LiteralString) -> None:
    for transaction_id, fee in fees:
        accounts = {"debit": STRIPE_FEES, "credit": STRIPE} if fee > 0 else {"debit": STRIPE, "credit": STRIPE_FEES}
        if fee:
            values = {**accounts, "key": f"fee:{transaction_id}", "amount": abs(fee), "kind": Kind.FEE}
            connection.execute(_BOOK, {**values, "intake_id": row["intake_id"]})
    connection.execute(done, row)  # no row where another run was as fast, or more was told: that is looked at again
