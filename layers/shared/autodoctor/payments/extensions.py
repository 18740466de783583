"""The settlement of extensions: each by itself, in the transaction that settles its session.

An extension's money is that of an intake of its own: it is decided as a session's, which was completed if the talk went
on into the extension's minutes, and otherwise goes back.
"""

from typing import TYPE_CHECKING, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from autodoctor.db import Row
from autodoctor.payments.ledger.credit_debts import hold_customer, repay
from autodoctor.payments.ledger.transfers import book
from autodoctor.payments.losses.losses import book_losses_of, lock_payment_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from autodoctor.payments.settlement import Decision

_RUNNING: Final[LiteralString] = """
SELECT x.id, x.minutes, x.starts_after, s.id AS session_id, s.mechanic_id, c.user_id AS customer_user_id,
       i.funding, i.price_cents, i.currency, i.credits, i.mechanic_share_bp, i.mechanic_fixed_pay_cents,
       i.referrer_id, i.referral_bp,
       CASE WHEN %(status)s = 'completed' AND extension_was_used(x.id) THEN 'completed' ELSE 'cancelled' END AS status
  FROM session_extensions x JOIN sessions s ON s.id = x.session_id JOIN intakes i ON i.id = x.intake_id
  JOIN customers c ON c.id = s.customer_id
 WHERE x.session_id = %(session_id)s AND x.status = 'running' ORDER BY x.id
"""
_DECIDE: Final[LiteralString] = """
INSERT INTO extension_settlements (extension_id, outcome, facts) VALUES (%(id)s, %(outcome)s, %(facts)s)
"""
_OWE_MECHANIC: Final[LiteralString] = """
INSERT INTO payouts (session_id, extension_id, mechanic_id, kind, amount_cents, currency)
VALUES (%(session_id)s, %(id)s, %(mechanic_id)s, 'extension', %(amount_cents)s, %(currency)s)
"""
_OWE_CUSTOMER: Final[LiteralString] = """
INSERT INTO refunds (intake_id, kind, amount_cents, currency)
VALUES (%(id)s, 'extension', %(amount_cents)s, %(currency)s)
"""


def settle_extensions(
    connection: psycopg.Connection[Row], session_id: UUID, status: str, decide: "Callable[[Row], Decision]"
) -> None:
    """Settle the extensions of a session that ran.

    Args:
        connection: in the transaction that settles the session, and was the first to do so.
        session_id: the session.
        status: as which the session is settled.
        decide: what the money of an intake does that was sold and ended in a certain way.
    """
    running = connection.execute(_RUNNING, {"session_id": session_id, "status": status}).fetchall()
    for extension in running:
        _settle(connection, extension, decide(extension))


def _settle(connection: psycopg.Connection[Row], extension: Row, decision: "Decision") -> None:
    by_card = extension["funding"] == "card"
    facts = {**decision.facts(extension), "minutes": extension["minutes"], "startsAfter": extension["starts_after"]}
    if by_card:
        lock_payment_of(connection, extension["id"])
    if decision.outcome == "return":
        hold_customer(connection, extension["customer_user_id"])
    connection.execute(_DECIDE, {**extension, "outcome": decision.outcome, "facts": Jsonb(facts)})
    book(connection, decision.bookings)
    if decision.outcome == "return":
        repay(connection, extension["customer_user_id"], extension["id"], extension["credits"])
    for statement, cents in ((_OWE_MECHANIC, decision.split.mechanic), (_OWE_CUSTOMER, decision.refund_cents)):
        if cents:
            connection.execute(statement, {**extension, "amount_cents": cents})
    if by_card:
        book_losses_of(connection, extension["id"])  # what the customer got back before it was settled
