"""Netting: what a mechanic owes is withheld from a payout before Stripe is asked to send it, where they agreed.

A debt is what the customer of a session got back after the mechanic had been sent it. It is netted only for as long as
nothing else takes it back: a lost dispute's reversal comes first. The caller holds nothing; each debt is netted in a
transaction of its own, which locks the payment that the debt is of, as everything that changes the debt does.
"""

from functools import partial
from typing import Final, LiteralString

import psycopg

from autodoctor.db import Database, Row
from autodoctor.payments.ledger.accounts import TransferKind, mechanic_payable, mechanic_receivable
from autodoctor.payments.ledger.transfers import Transfer, book
from autodoctor.payments.losses.losses import lock_payment_of
from autodoctor.payments.stripe.lease import LostLease

# Oldest first. A payout that Stripe may have been asked for keeps its amount, as its key does.
_DEBTS: Final[LiteralString] = """
SELECT t.intake_id AS debt_id
  FROM payouts p
  CROSS JOIN LATERAL (SELECT 'mechanic:' || p.mechanic_id || ':receivable' AS account) AS a
  JOIN ledger_transfer t ON t.debit_account = a.account OR t.credit_account = a.account
 WHERE p.id = %(id)s AND p.asked_at IS NULL AND t.intake_id IS NOT NULL
   AND EXISTS (SELECT FROM netting_consents c WHERE c.mechanic_id = p.mechanic_id AND c.withdrawn_at IS NULL)
   AND NOT EXISTS (SELECT FROM ledger_transfer n WHERE n.key = 'payout:' || p.id || ':netting:' || t.intake_id)
 GROUP BY t.intake_id
HAVING sum(CASE WHEN t.debit_account = a.account THEN t.amount ELSE -t.amount END) > 0
 ORDER BY min(t.created_at), t.intake_id
"""
# `retry` may make one that was given up due again: the lock has it wait, and ask for what is owed then.
_REVERSALS: Final[LiteralString] = """
SELECT r.state FROM payout_reversals r JOIN payouts p ON p.id = r.payout_id
 WHERE p.intake_id = %(debt_id)s FOR NO KEY UPDATE OF r
"""
_AGREED: Final[LiteralString] = """
SELECT id FROM netting_consents WHERE mechanic_id = %(mechanic_id)s AND withdrawn_at IS NULL FOR UPDATE
"""
_OWED: Final[LiteralString] = "SELECT mechanic_owes(%(mechanic_id)s, %(debt_id)s) AS cents"
_NET: Final[LiteralString] = """
UPDATE payouts SET netted_cents = netted_cents + %(cents)s
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s AND asked_at IS NULL
"""
_ALL_NETTED: Final[LiteralString] = """
UPDATE payouts SET state = 'cancelled', next_attempt_at = NULL, waits_for = NULL, last_error = NULL
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s AND withheld_cents + netted_cents = amount_cents
"""


def net(database: Database, payout: Row) -> int:
    """Withhold what the mechanic owes from a payout that nobody has asked Stripe for; the cents that are left to send.

    Args:
        payout: as it was claimed; amount_cents is what would be sent.

    Raises:
        LostLease: another attempt holds the payout.
    """
    left: int = payout["amount_cents"]
    for debt in database.all(_DEBTS, payout):
        if left > 0:
            left -= database.transaction(partial(_net, payout={**payout, **debt, "left_cents": left}))
    return left


def close_netted(database: Database, payout: Row) -> bool:
    """End a payout of which nothing is left to send; False where another attempt holds it."""
    return database.execute(_ALL_NETTED, payout) == 1


def _net(connection: psycopg.Connection[Row], payout: Row) -> int:
    lock_payment_of(connection, payout["debt_id"])
    if any(each["state"] in ("due", "sending") for each in connection.execute(_REVERSALS, payout)):
        return 0
    if connection.execute(_AGREED, payout).fetchone() is None:  # withdrawn meanwhile
        return 0
    owed = connection.execute(_OWED, payout).fetchone()
    cents: int = min(payout["left_cents"], 0 if owed is None else owed["cents"])
    if cents <= 0:
        return 0
    if connection.execute(_NET, {**payout, "cents": cents}).rowcount != 1:
        raise LostLease
    mechanic_id = payout["mechanic_id"]
    key = f"payout:{payout['id']}:netting:{payout['debt_id']}"
    payable, receivable = mechanic_payable(mechanic_id), mechanic_receivable(mechanic_id)
    book(connection, [Transfer(TransferKind.NETTING, key, payable, receivable, cents, payout["debt_id"])])
    return cents
