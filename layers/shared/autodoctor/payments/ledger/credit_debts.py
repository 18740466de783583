"""Withdraws credits that come back to a customer whose pack was refunded while a session held some of them.

When the pack was refunded, only spendable credits could be withdrawn; the others became a debt. Credits that a
cancelled session returns later pay off that debt, so that nobody has both the money and the credits. Both steps lock
the customer's row.
"""

from collections.abc import Sequence
from typing import Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.db import Row
from autodoctor.domain.money import share_of
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.accounts import TransferKind
from autodoctor.payments.ledger.transfers import Transfer, book

_LOCK: Final[LiteralString] = "SELECT id FROM customers WHERE user_id = %(user_id)s FOR NO KEY UPDATE"

# `part` is how many credits the loss is for; those that were withdrawn neither then nor since are owed.
_OWED: Final[LiteralString] = """
WITH loss AS MATERIALIZED (
  SELECT l.base, l.part, l.created_at
    FROM checkouts c JOIN losses l ON l.payment_intent_id = c.stripe_payment_intent_id
   WHERE c.user_id = %(user_id)s AND c.kind = 'pack' AND l.booked = 'split'
), debt AS (
  SELECT loss.base, loss.created_at,
         loss.part - coalesce((SELECT sum(t.amount) FROM ledger_transfer t
                                WHERE t.debit_account = %(spendable)s AND t.kind = 'credit_withdrawal'
                                  AND (t.key = loss.base || ':credits' OR starts_with(t.key, loss.base || ':repaid:'))
                             ), 0) AS credits,
         (SELECT coalesce(sum(CASE WHEN t.debit_account = %(debt)s THEN t.amount ELSE -t.amount END), 0)
            FROM ledger_transfer t
           WHERE (t.debit_account = %(debt)s AND t.key = loss.base || ':receivable')
              OR (t.credit_account = %(debt)s AND starts_with(t.key, loss.base || ':repaid:'))) AS cents
    FROM loss
)
SELECT base, credits::bigint AS credits, cents::bigint AS cents FROM debt
 WHERE credits > 0 AND cents > 0 ORDER BY created_at, base
"""

_REPAID: Final[LiteralString] = """
SELECT key, debit_account, credit_account, amount, currency FROM ledger_transfer
 WHERE (debit_account = %(spendable)s OR credit_account = %(debt)s) AND starts_with(key, %(base)s || ':repaid:')
"""


def hold_customer(connection: psycopg.Connection[Row], user_id: UUID) -> None:
    """Lock what a customer owes. Without an intake there is no row to lock, and no credits that could come back."""
    connection.execute(_LOCK, {"user_id": user_id})


def repay(connection: psycopg.Connection[Row], user_id: UUID, session_id: UUID, came_back: int) -> None:
    """Pay off a customer's debt with credits that have just come back.

    Args:
        connection: in the transaction that returned them, which has locked the customer.
        user_id: the customer's `sub`.
        session_id: the session that held them.
        came_back: how many.
    """
    for owed in connection.execute(_OWED, _accounts(user_id)).fetchall():
        taken = min(came_back, owed["credits"])
        came_back -= taken
        book(connection, _repaid(user_id, f"{owed['base']}:repaid:{session_id}", owed, taken))


def repaid_for(connection: psycopg.Connection[Row], user_id: UUID, base: str) -> Sequence[Row]:
    """The rows that paid off a loss; they are reversed with it when the refund fails or the dispute is won."""
    return connection.execute(_REPAID, {**_accounts(user_id), "base": base}).fetchall()


def _accounts(user_id: UUID) -> Row:
    return {
        "user_id": user_id,
        "spendable": accounts.customer_credits(user_id),
        "debt": accounts.customer_receivable(user_id),
    }


def _repaid(user_id: UUID, key: str, owed: Row, taken: int) -> tuple[Transfer, Transfer]:
    """Withdraw the credits, and take their cents off the debt; the last credits carry the rounding."""
    spendable, debt = accounts.customer_credits(user_id), accounts.customer_receivable(user_id)
    cents = share_of(owed["cents"], taken, owed["credits"])
    return (
        Transfer(
            TransferKind.CREDIT_WITHDRAWAL,
            f"{key}:credits",
            spendable,
            accounts.CREDITS_ISSUED,
            taken,
            currency="credit",
        ),
        Transfer(TransferKind.RECEIVABLE, key, accounts.CREDIT_SALES, debt, cents),
    )
