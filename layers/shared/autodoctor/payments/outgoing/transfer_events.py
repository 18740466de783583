"""Events about money on its way to mechanics: transfers that were reversed, and payouts that their banks refused."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from pydantic import BaseModel, Field

from autodoctor.db import Row
from autodoctor.payments.ledger.accounts import STRIPE, TransferKind, mechanic_payable, mechanic_receivable
from autodoctor.payments.ledger.transfers import Transfer, book
from autodoctor.payments.losses.booking import owed_of, withhold
from autodoctor.payments.losses.losses import lock_payment_of
from autodoctor.payments.outgoing.payouts import note_sent
from autodoctor.payments.stripe.fields import Cents, StripeId

_WHICH: Final[LiteralString] = """
SELECT id, intake_id FROM payouts
 WHERE stripe_transfer_id = %(transfer_id)s OR (id = %(payout_id)s AND stripe_transfer_id IS NULL)
 ORDER BY stripe_transfer_id IS NULL LIMIT 1
"""
_PAYOUT: Final[LiteralString] = """
SELECT id, session_id, intake_id, mechanic_id, state, kind, currency, stripe_transfer_id, sent_cents, reversed_cents,
       amount_cents - withheld_cents - netted_cents AS left_cents
  FROM payouts
 WHERE id = %(id)s FOR NO KEY UPDATE
"""
_REVERSED: Final[LiteralString] = """
UPDATE payouts SET state = 'reversed', reversed_cents = reversed_cents + %(cents)s
 WHERE id = %(id)s AND state IN ('sent', 'reversed')
"""
_BOOKED: Final[LiteralString] = "SELECT key FROM ledger_transfer WHERE key = ANY (%(keys)s)"
# Only where nothing newer of the account is stored; of what its bank did in one second no order is known.
_BANK_REFUSED: Final[LiteralString] = """
UPDATE mechanic_accounts
   SET payouts_enabled = false, doubtful = doubtful OR coalesce(bank_as_of = %(happened_at)s, false),
       stripe_as_of = %(happened_at)s, bank_as_of = %(happened_at)s, updated_at = clock_timestamp()
 WHERE stripe_account_id = %(account_id)s AND coalesce(stripe_as_of <= %(happened_at)s, true)
   AND coalesce(bank_as_of <= %(happened_at)s, true)
"""
# `payout.failed` switched it off: what it is now is looked up when somebody asks. It says nothing else of the account,
# so an `account.updated` of before still counts.
_BANK_PAID: Final[LiteralString] = """
UPDATE mechanic_accounts
   SET doubtful = doubtful OR NOT payouts_enabled AND coalesce(stripe_as_of <= %(happened_at)s, true),
       bank_as_of = %(happened_at)s, updated_at = clock_timestamp()
 WHERE stripe_account_id = %(account_id)s AND coalesce(bank_as_of <= %(happened_at)s, true)
RETURNING doubtful
"""


class _Reversal(BaseModel):
    id: StripeId
    amount: Annotated[Cents, Field(gt=0)]


class _Reversals(BaseModel):
    data: list[_Reversal]


class _Transfer(BaseModel):
    id: StripeId
    amount: Cents = 0
    currency: str
    transfer_group: str | None = None
    reversals: _Reversals

    @property
    def payout_id(self) -> UUID | None:
        try:
            return UUID(self.transfer_group or "")
        except ValueError:
            return None


class TransferNotStored(Exception):
    """A transfer was reversed that we have not stored as sent."""


def transfer_reversed(
    connection: psycopg.Connection[Row], transfer: dict[str, Any]
) -> Literal["reversed", "not_ours", "mismatch"]:
    """Book the reversals of a transfer, each once: the mechanic is owed the money again, but it is not sent again.

    That it can be reversed proves that it was sent, so a payout that does not say so yet, or was given up, is noted as
    sent first.

    Args:
        connection: in the transaction of the event.
        transfer: Stripe's Transfer object, with its latest reversals.

    Returns:
        mismatch: it names a payout of ours that cannot have become this transfer, or more was reversed than was sent: a
        person has to look.

    Raises:
        pydantic.ValidationError: it is not a transfer.
    """
    reported = _Transfer.model_validate(transfer)
    named = {"transfer_id": reported.id, "payout_id": reported.payout_id}
    which = connection.execute(_WHICH, named).fetchone()
    if which is None or reported.currency != "usd":
        return "not_ours"
    lock_payment_of(connection, which["intake_id"])
    payout = connection.execute(_PAYOUT, which).fetchone()
    if payout is None:
        raise RuntimeError(f"payout {which['id']} is gone")
    cents = {each.id: each.amount for each in reported.reversals.data}
    is_sent = payout["state"] in ("sent", "reversed")
    left = payout["sent_cents"] - payout["reversed_cents"] if is_sent else reported.amount
    if sum(_unbooked(connection, cents).values()) > left:
        return "mismatch"
    if not is_sent:
        if payout["state"] == "cancelled" or not 0 < reported.amount <= payout["left_cents"]:
            return "mismatch"
        note_sent(connection, {**payout, "amount_cents": reported.amount}, reported.id)
    elif payout["stripe_transfer_id"] != reported.id:
        return "mismatch"
    book_reversals(connection, payout, cents)
    return "reversed"


def book_reversals(connection: psycopg.Connection[Row], payout: Row, cents: Mapping[str, int]) -> None:
    """Book reversals of a payout that was sent. They first pay off what the mechanic owes of the same session.

    Args:
        connection: in a transaction that holds the payout's row.
        payout: its row.
        cents: of each reversal, by Stripe's id; those that are booked already are left out.
    """
    payable = mechanic_payable(payout["mechanic_id"])
    for key, amount in _unbooked(connection, cents).items():
        book(connection, [Transfer(TransferKind.REVERSAL, key, STRIPE, payable, amount, payout["intake_id"])])
        if connection.execute(_REVERSED, {**payout, "cents": amount}).rowcount != 1:
            raise TransferNotStored
        owed = min(amount, owed_of(connection, payout)) if payout["kind"] in ("session", "extension") else 0
        if owed > 0:
            receivable = mechanic_receivable(payout["mechanic_id"])
            paid = Transfer(TransferKind.RECEIVABLE, f"{key}:owed", payable, receivable, owed, payout["intake_id"])
            book(connection, [paid])
            withhold(connection, payout, owed)


def _unbooked(connection: psycopg.Connection[Row], cents: Mapping[str, int]) -> dict[str, int]:
    """The reversals that are not in the ledger, by the key that they will have there."""
    keys = {f"reversal:{each}": amount for each, amount in cents.items()}
    booked = {row["key"] for row in connection.execute(_BOOKED, {"keys": list(keys)})}
    return {key: amount for key, amount in keys.items() if key not in booked}


def bank_refused(
    connection: psycopg.Connection[Row], account_id: str, happened_at: datetime
) -> Literal["bank_refused", "unchanged"]:
    """Store that a mechanic's bank refused a payout, until Stripe says that payouts to the account work again.

    Args:
        connection: in the transaction of the event.
        account_id: Stripe's, of the connected account.
        happened_at: by Stripe's clock.
    """
    values = {"account_id": account_id, "happened_at": happened_at}
    return "bank_refused" if connection.execute(_BANK_REFUSED, values).rowcount else "unchanged"


def bank_paid(
    connection: psycopg.Connection[Row], account_id: str, happened_at: datetime
) -> Literal["bank_paid", "unchanged"]:
    """Doubt that payouts to a mechanic's bank fail, as one has just arrived: the account is looked up when needed.

    Args:
        connection: in the transaction of the event.
        account_id: Stripe's, of the connected account.
        happened_at: by Stripe's clock.
    """
    row = connection.execute(_BANK_PAID, {"account_id": account_id, "happened_at": happened_at}).fetchone()
    return "bank_paid" if row is not None and row["doubtful"] else "unchanged"
