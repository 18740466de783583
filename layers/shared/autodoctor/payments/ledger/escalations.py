"""The share of an approved quote: owed to the mechanic who escalated, once the session is completed, and once only.

Approving a quote is free for a customer, and its amount is a workshop's word: three accounts of one person could draw
on the platform's balance for a session that nobody held. So nothing is owed for a session that is not completed, and
what is owed is held for an admin, unless it is small, paid for, and rare (escalation_needs_release() in the schema).
"""

from typing import Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.db import Row
from autodoctor.payments.ledger.accounts import PLATFORM_REVENUE, TransferKind, mechanic_payable
from autodoctor.payments.ledger.transfers import Transfer, book

_OWE: Final[LiteralString] = """
INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents, currency)
SELECT q.session_id, q.mechanic_id, 'escalation', share_of(q.amount_cents, q.escalation_bp), q.currency
  FROM quotes q JOIN sessions s ON s.id = q.session_id
 WHERE q.approved_session_id = %(session_id)s AND s.status = 'completed'
   AND share_of(q.amount_cents, q.escalation_bp) > 0
ON CONFLICT DO NOTHING
RETURNING mechanic_id, amount_cents
"""


def owe_escalation(connection: psycopg.Connection[Row], session_id: UUID) -> None:
    """Owe the share of a session's approved quote, if there is one, the session is completed, and it is not owed yet.

    Args:
        connection: in the transaction that approves the quote, or settles the session.
        session_id: the session.
    """
    owed = connection.execute(_OWE, {"session_id": session_id}).fetchone()
    if owed is not None:
        key = f"session:{session_id}:{TransferKind.ESCALATION}"
        payable = mechanic_payable(owed["mechanic_id"])
        earned = Transfer(TransferKind.ESCALATION, key, PLATFORM_REVENUE, payable, owed["amount_cents"], session_id)
        book(connection, [earned])
