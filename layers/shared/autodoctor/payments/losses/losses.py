"""What is gone of a payment, brought into the books: refunds that Stripe told of, and disputes.

One code for whoever learns something new: a webhook, a sweep that asked Stripe, the settlement that decides after the
money went back. The facts are rows of `stripe_refunds` and `stripe_disputes`; here the ledger is brought to where they
are, and with it the payout or refund that was not sent yet. Who does holds the payment's row of `checkouts`, and locks
the payout after it. While a payout is being sent nobody knows whose its money is: its losses wait until that is known.
"""

from functools import partial
from typing import Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.db import Database, Refused, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.ids import FIRST
from autodoctor.payments.ledger.accounts import DISPUTED, STRIPE, Kind
from autodoctor.payments.losses.booking import book_held, book_pack, book_parts, undo
from autodoctor.payments.stripe.lease import MARGIN_SECONDS, WAIT

BATCH: Final = 50

_LOCK_BY_INTENT: Final[LiteralString] = """
SELECT id FROM checkouts WHERE stripe_payment_intent_id = %(payment_intent_id)s FOR NO KEY UPDATE
"""
_LOCK_BY_INTAKE: Final[LiteralString] = "SELECT id FROM checkouts WHERE intake_id = %(intake_id)s FOR NO KEY UPDATE"

_PAYMENT: Final[LiteralString] = """
SELECT c.id AS checkout_id, c.kind, c.user_id, c.intake_id, c.credits, c.amount_cents AS price_cents,
       c.stripe_payment_intent_id AS payment_intent_id, st.outcome,
       (SELECT t.amount FROM ledger_transfer t
         WHERE t.key = CASE c.kind WHEN 'pack' THEN 'pack:' || c.id || ':sale'
                                   ELSE 'session:' || c.intake_id || ':charge' END) AS taken_cents
  FROM checkouts c LEFT JOIN settlements st ON st.session_id = c.intake_id
 WHERE c.id = %(id)s
"""

_LOSSES: Final[LiteralString] = """
SELECT kind, id, cents, effective, booked, part FROM losses
 WHERE payment_intent_id = %(payment_intent_id)s ORDER BY effective, created_at, id -- what came back makes room first
"""

_MOVED_BY_DISPUTES: Final[LiteralString] = """
INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)
SELECT 'dispute:' || d.id || moved.suffix, moved.debit, moved.credit, moved.cents, 'usd', moved.kind, %(intake_id)s
  FROM stripe_disputes d
  CROSS JOIN LATERAL (VALUES
    ('', %(disputed)s, %(stripe)s, d.withdrawn_cents, %(withdrawn)s),
    (':won', %(stripe)s, %(disputed)s, d.reinstated_cents, %(reinstated)s)
  ) AS moved (suffix, debit, credit, cents, kind)
 WHERE d.payment_intent_id = %(payment_intent_id)s AND moved.cents > 0
ON CONFLICT (key) DO NOTHING
"""

_REFUND_IS: Final[LiteralString] = "UPDATE stripe_refunds SET booked = %(booked)s, part = %(part)s WHERE id = %(id)s"
_DISPUTE_IS: Final[LiteralString] = """
UPDATE stripe_disputes SET booked = %(booked)s, part = %(part)s, lost_cents = %(cents)s WHERE id = %(id)s
"""

_OPEN: Final[LiteralString] = """
SELECT EXISTS (SELECT FROM stripe_disputes
                WHERE payment_intent_id = %(payment_intent_id)s
                  AND status IN ('needs_response', 'under_review')) AS open
"""
# A second look later, should the webhook that ends the dispute never come: the sweep asks Stripe then.
_HOLD: Final[tuple[LiteralString, ...]] = (
    """
UPDATE payouts SET state = 'held', waits_for = 'dispute', next_attempt_at = clock_timestamp() + %(after)s
 WHERE session_id = %(intake_id)s AND kind <> 'escalation' AND state = 'due'
""",
    """
UPDATE refunds SET state = 'held', waits_for = 'dispute', next_attempt_at = clock_timestamp() + %(after)s
 WHERE intake_id = %(intake_id)s AND state = 'due'
""",
)
_RELEASE: Final[tuple[LiteralString, ...]] = (
    """
UPDATE payouts SET state = 'due', waits_for = NULL, next_attempt_at = clock_timestamp()
 WHERE session_id = %(intake_id)s AND state = 'held'
""",
    """
UPDATE refunds SET state = 'due', waits_for = NULL, next_attempt_at = clock_timestamp()
 WHERE intake_id = %(intake_id)s AND state = 'held'
""",
)

_GONE: Final[LiteralString] = """
SELECT coalesce(sum(cents), 0)::bigint AS cents, coalesce(bool_or(kind = 'dispute'), false) AS lost,
       max(id) FILTER (WHERE kind = 'refund') AS refund_id
  FROM losses WHERE payment_intent_id = %(payment_intent_id)s AND effective
"""
_NEEDED_NO_MORE: Final[LiteralString] = """
UPDATE refunds SET state = CASE WHEN %(lost)s THEN 'returned' ELSE 'sent' END, sent_at = clock_timestamp(),
                   stripe_refund_id = CASE WHEN %(lost)s THEN NULL ELSE %(refund_id)s END,
                   next_attempt_at = NULL, waits_for = NULL, last_error = NULL
 WHERE intake_id = %(intake_id)s AND state IN ('due', 'held', 'failed') AND amount_cents <= %(cents)s
"""
# A refund that came back wants a person, as the card takes none; a dispute that was won after all only wants a refund.
_NEEDED_AGAIN: Final[LiteralString] = """
UPDATE refunds SET state = CASE WHEN %(refused)s THEN 'failed' ELSE 'due' END, attempts = 0, stripe_refund_id = NULL,
                   last_error = CASE WHEN %(refused)s THEN 'the customer''s bank did not take it' END, sent_at = NULL,
                   next_attempt_at = CASE WHEN %(refused)s THEN NULL ELSE clock_timestamp() END,
                   idempotency_key = NULL, keyed_at = NULL, asked_cents = NULL
 WHERE intake_id = %(intake_id)s AND state IN ('sent', 'returned') AND amount_cents > %(cents)s
"""

_BEHIND: Final[LiteralString] = """
SELECT DISTINCT c.id, c.stripe_payment_intent_id AS payment_intent_id
  FROM (SELECT payment_intent_id FROM stripe_refunds
         WHERE (NOT failed AND booked = 'nothing') OR (failed AND booked IN ('held', 'split'))
        UNION ALL
        SELECT payment_intent_id FROM stripe_disputes
         WHERE (status = 'lost' AND booked = 'nothing') OR (status <> 'lost' AND booked IN ('held', 'split'))
       ) AS behind
  JOIN checkouts c ON c.stripe_payment_intent_id = behind.payment_intent_id
 WHERE c.id > %(after)s ORDER BY c.id LIMIT %(batch)s
"""


def lock_payment(connection: psycopg.Connection[Row], payment_intent_id: str) -> bool:
    """Hold a payment before its facts are written; False where it is none of ours, or not known yet.

    Args:
        connection: in a transaction.
        payment_intent_id: Stripe's id.
    """
    return connection.execute(_LOCK_BY_INTENT, {"payment_intent_id": payment_intent_id}).fetchone() is not None


def lock_payment_of(connection: psycopg.Connection[Row], intake_id: UUID) -> bool:
    """Hold the payment of an intake; False where it was not paid by card."""
    return connection.execute(_LOCK_BY_INTAKE, {"intake_id": intake_id}).fetchone() is not None


def book_losses(connection: psycopg.Connection[Row], payment_intent_id: str) -> bool:
    """Bring the books to where the facts of a payment are; False where it is none of ours, or not known yet.

    Args:
        connection: in the transaction that learnt something new.
        payment_intent_id: Stripe's id.
    """
    row = connection.execute(_LOCK_BY_INTENT, {"payment_intent_id": payment_intent_id}).fetchone()
    if row is not None:
        _catch_up(connection, row)
    return row is not None


def book_losses_of(connection: psycopg.Connection[Row], intake_id: UUID) -> None:
    """The same for the payment of an intake, which has one where it was paid by card."""
    row = connection.execute(_LOCK_BY_INTAKE, {"intake_id": intake_id}).fetchone()
    if row is not None:
        _catch_up(connection, row)


def gone(connection: psycopg.Connection[Row], payment_intent_id: str) -> int:
    """Cents of a payment that its customer has back: refunds that stand, and disputes that were lost."""
    row = connection.execute(_GONE, {"payment_intent_id": payment_intent_id}).fetchone()
    return 0 if row is None else int(row["cents"])


def sweep_losses(database: Database, seconds_left: SecondsLeft) -> int:
    """Book what could not be booked when it was told: its payment was not known yet, or its payout was on its way.

    Returns:
        How many payments were looked at.

    Raises:
        ExceptionGroup: what failed, after all had their turn.
    """
    failures: list[Exception] = []
    seen, after = 0, FIRST
    while seconds_left() > MARGIN_SECONDS:
        behind = database.all(_BEHIND, {"after": after, "batch": BATCH})
        for row in behind:
            after = row["id"]
            try:
                database.transaction(partial(book_losses, payment_intent_id=row["payment_intent_id"]))
            except (psycopg.Error, Refused) as failure:
                failures.append(failure)
        seen += len(behind)
        if len(behind) < BATCH:
            break
    if failures:
        raise ExceptionGroup(f"losses of {len(failures)} payments could not be booked", failures)
    return seen


def _catch_up(connection: psycopg.Connection[Row], checkout: Row) -> None:
    payment = connection.execute(_PAYMENT, checkout).fetchone()
    if payment is None or payment["taken_cents"] is None:  # it was booked nowhere: a person was told
        return
    moved = {"disputed": DISPUTED, "stripe": STRIPE, "withdrawn": Kind.DISPUTE, "reinstated": Kind.DISPUTE_WON}
    connection.execute(_MOVED_BY_DISPUTES, {**payment, **moved})
    losses = connection.execute(_LOSSES, payment).fetchall()
    undone = set[str]()
    for loss in losses:
        booked = _book(connection, payment, loss, losses)
        if booked is not None:
            loss.update(booked)
            connection.execute(_REFUND_IS if loss["kind"] == "refund" else _DISPUTE_IS, loss)
            undone |= {loss["kind"]} if booked["booked"] == "reversed" else set()
    if payment["intake_id"] is not None:
        _adjust_refund(connection, payment, undone)
        _hold_or_release(connection, payment)


def _book(connection: psycopg.Connection[Row], payment: Row, loss: Row, losses: list[Row]) -> Row | None:
    """Bring one loss where it belongs; what stands of it in the books then, None where that did not change."""
    behind = loss["effective"] and loss["booked"] == "nothing" and _is_there(payment, loss, losses)
    if not loss["effective"] and loss["booked"] in ("held", "split"):
        return undo(connection, payment, loss)
    if payment["kind"] == "pack":
        return book_pack(connection, payment, loss, losses) if behind else None
    if payment["outcome"] != "pay":
        return book_held(connection, payment, loss) if behind else None
    return book_parts(connection, payment, loss, losses) if behind or _came_before(loss) else None


def _is_there(payment: Row, loss: Row, losses: list[Row]) -> bool:
    """Whether so much is left; if not, that an earlier loss came back was not told yet, and this one waits for it."""
    booked = sum(each["cents"] for each in losses if each["booked"] in ("held", "split"))
    return bool(booked + loss["cents"] <= payment["taken_cents"])


def _came_before(loss: Row) -> bool:
    """Whether it was taken out of what was held, before the session was settled as one that pays."""
    return bool(loss["effective"]) and loss["booked"] == "held"


def _adjust_refund(connection: psycopg.Connection[Row], payment: Row, undone: set[str]) -> None:
    """What is due shrinks by what went back: to nothing here, else when it is sent, by what Stripe says then."""
    values = {**payment, **(connection.execute(_GONE, payment).fetchone() or {})}
    connection.execute(_NEEDED_NO_MORE, values)
    if undone:
        connection.execute(_NEEDED_AGAIN, {**values, "refused": "refund" in undone})


def _hold_or_release(connection: psycopg.Connection[Row], payment: Row) -> None:
    row = connection.execute(_OPEN, payment).fetchone()
    disputed = row is not None and row["open"]
    for statement in _HOLD if disputed else _RELEASE:
        connection.execute(statement, {**payment, "after": WAIT})
