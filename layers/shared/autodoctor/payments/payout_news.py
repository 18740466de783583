"""What Stripe says of money on its way to mechanics: transfers taken back, and payouts their banks refused."""

from datetime import datetime
from typing import Any, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from pydantic import BaseModel, Field

from autodoctor.db import Row
from autodoctor.payments.accounts import STRIPE, Kind, mechanic_payable
from autodoctor.payments.ledger import Transfer, book

_PAYOUT: Final[LiteralString] = """
SELECT id, session_id, mechanic_id, state FROM payouts
 WHERE stripe_transfer_id = %(transfer_id)s OR id = %(payout_id)s FOR NO KEY UPDATE
"""
_TAKEN_BACK: Final[LiteralString] = "UPDATE payouts SET state = 'reversed' WHERE id = %(id)s AND state = 'sent'"
_BOOKED: Final[LiteralString] = "SELECT key FROM ledger_transfer WHERE key = ANY (%(keys)s)"
# What we heard of the account since is newer than this event.
_BANK_REFUSED: Final[LiteralString] = """
UPDATE mechanic_accounts SET payouts_enabled = false
 WHERE stripe_account_id = %(account_id)s AND updated_at <= %(happened_at)s
"""


class _Reversal(BaseModel):
    id: str
    amount: int = Field(gt=0)
    currency: Literal["usd"]


class _Reversals(BaseModel):
    data: list[_Reversal]


class _Transfer(BaseModel):
    id: str
    transfer_group: str | None = None
    reversals: _Reversals

    @property
    def payout_id(self) -> UUID | None:
        try:
            return UUID(self.transfer_group or "")
        except ValueError:
            return None


class TransferNotStored(Exception):
    """A transfer was taken back before we have noted that it was sent: Stripe has to say so again."""


def transfer_reversed(connection: psycopg.Connection[Row], transfer: dict[str, Any]) -> Literal["reversed", "not_ours"]:
    """Book what was taken back of a transfer, each reversal once: the mechanic is owed it again, and no more is sent.

    Args:
        connection: in the transaction of the event.
        transfer: Stripe's Transfer object, with its last reversals.

    Raises:
        TransferNotStored: the payout is still being sent.
        pydantic.ValidationError: it is no transfer in US dollars.
    """
    told = _Transfer.model_validate(transfer)
    payout = connection.execute(_PAYOUT, {"transfer_id": told.id, "payout_id": told.payout_id}).fetchone()
    if payout is None:
        return "not_ours"
    if payout["state"] == "sent":
        connection.execute(_TAKEN_BACK, payout)
    elif payout["state"] != "reversed":
        raise TransferNotStored
    keys = {f"reversal:{each.id}": each for each in told.reversals.data}
    booked = {row["key"] for row in connection.execute(_BOOKED, {"keys": list(keys)})}
    payable = mechanic_payable(payout["mechanic_id"])
    book(
        connection,
        [
            Transfer(Kind.REVERSAL, key, STRIPE, payable, each.amount, payout["session_id"])
            for key, each in keys.items()
            if key not in booked
        ],
    )
    return "reversed"


def bank_refused(
    connection: psycopg.Connection[Row], account_id: str, happened_at: datetime
) -> Literal["bank_refused", "unchanged"]:
    """Note that a mechanic's bank took no payout, until Stripe says of the account that it can be paid out again.

    Args:
        connection: in the transaction of the event.
        account_id: Stripe's, of the connected account.
        happened_at: by Stripe's clock.
    """
    values = {"account_id": account_id, "happened_at": happened_at}
    return "bank_refused" if connection.execute(_BANK_REFUSED, values).rowcount else "unchanged"
