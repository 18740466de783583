"""Booking: rows of the ledger, in the transaction of what they book."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.db import Row
from autodoctor.payments.ledger.accounts import Account, Currency, Kind

_BOOK: Final[LiteralString] = """
INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)
VALUES (%(key)s, %(debit)s, %(credit)s, %(amount)s, %(currency)s, %(kind)s, %(intake_id)s)
"""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One row of the ledger.

    Attributes:
        kind: the flow.
        key: what the row stands for, as accounts.py spells it; the same is never booked twice.
        debit: where the amount comes from.
        credit: where it goes.
        amount: cents or credits; a transfer of 0 is not booked.
        intake_id: what it is about.
        currency: that of both accounts.
    """

    kind: Kind
    key: str
    debit: Account
    credit: Account
    amount: int
    intake_id: UUID | None = None
    currency: Currency = "usd"


def book(connection: psycopg.Connection[Row], transfers: Iterable[Transfer]) -> None:
    """Book transfers, leaving out those of nothing.

    Args:
        connection: in the transaction of what is booked.
        transfers: what to book.

    Raises:
        psycopg.errors.UniqueViolation: one was booked before; whoever books checks that first, by a row of its own.
        psycopg.errors.CheckViolation: an amount below zero, an account that is none or of another currency, or a
            customer's credits overdrawn (constraint `credit_balances_not_negative`).
    """
    for transfer in transfers:
        if transfer.amount != 0:
            connection.execute(
                _BOOK,
                {
                    "key": transfer.key,
                    "debit": transfer.debit,
                    "credit": transfer.credit,
                    "amount": transfer.amount,
                    "currency": transfer.currency,
                    "kind": transfer.kind,
                    "intake_id": transfer.intake_id,
                },
            )
