"""Booking: writes rows of the ledger, in the transaction of the change that they record."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.db import Row
from autodoctor.payments.ledger.accounts import Account, Currency, TransferKind

_BOOK: Final[LiteralString] = """
INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)
VALUES (%(key)s, %(debit)s, %(credit)s, %(amount)s, %(currency)s, %(kind)s, %(intake_id)s)
"""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One row of the ledger.

    Attributes:
        kind: which flow it belongs to.
        key: what the row records, as accounts.py spells it; the same key is never booked twice.
        debit: where the amount comes from.
        credit: where it goes.
        amount: cents or credits; a transfer of 0 is not booked.
        intake_id: the session or intake that it is about.
        currency: the currency of both accounts.
    """

    kind: TransferKind
    key: str
    debit: Account
    credit: Account
    amount: int
    intake_id: UUID | None = None
    currency: Currency = "usd"


def book(connection: psycopg.Connection[Row], transfers: Iterable[Transfer]) -> None:
    """Book transfers, except those of 0.

    Args:
        connection: in the transaction of the change that is booked.
        transfers: what to book.

    Raises:
        psycopg.errors.UniqueViolation: one was booked before; callers rule that out by a row of their own.
        psycopg.errors.CheckViolation: an amount is negative, an account is unknown or of another currency, or a
            customer's credits would be overdrawn (constraint `credit_balances_not_negative`).
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
