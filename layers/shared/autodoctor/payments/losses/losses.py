"""Brings what customers got back of a payment, by refunds and disputes, into the books.

The same code serves whoever learns something new: a webhook, a sweep that called Stripe, the settlement of a session
whose customer had got money back before. The facts are rows of `stripe_refunds` and `stripe_disputes`; the ledger is
brought up to them, and with it a payout or refund that was not sent yet. The caller holds the payment's row of
`checkouts`; the payout is locked after it. While a payout is being sent nobody knows whether the money is still ours:
its losses are booked once that is known.
"""

from functools import partial
from typing import Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.db import Database, Refused, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.ids import FIRST
from autodoctor.payments.ledger.accounts import DISPUTED, STRIPE, TransferKind
from autodoctor.payments.losses.booking import book_held, book_pack, book_split, reverse_booking
from autodoctor.payments.stripe.lease import MARGIN_SECONDS, hold, release

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
 WHERE payment_intent_id = %(payment_intent_id)s
 ORDER BY effective, created_at, id -- bookings are reversed first: that makes room for new ones
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

_REFUNDED_TOTAL: Final[LiteralString] = """
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
# A refund that the customer's bank refused needs a person, as the card takes none. After a dispute that was won in the
# end the refund only has to be sent.
_NEEDED_AGAIN: Final[LiteralString] = """
UPDATE refunds SET state = CASE WHEN %(refused)s THEN 'failed' ELSE 'due' END, attempts = 0, stripe_refund_id = NULL,
                   last_error = CASE WHEN %(refused)s THEN 'the customer''s bank did not take it' END, sent_at = NULL,
                   next_attempt_at = CASE WHEN %(refused)s THEN NULL ELSE clock_timestamp() END,
                   idempotency_key = NULL, keyed_at = NULL, asked_cents = NULL
 WHERE intake_id = %(intake_id)s AND state IN ('sent', 'returned') AND amount_cents > %(cents)s
"""

_UNBOOKED: Final[LiteralString] = """
SELECT DISTINCT c.id, c.stripe_payment_intent_id AS payment_intent_id
  FROM (SELECT payment_intent_id FROM stripe_refunds
         WHERE (NOT failed AND booked = 'nothing') OR (failed AND booked IN ('held', 'split'))
        UNION ALL
        SELECT payment_intent_id FROM stripe_disputes
         WHERE (status = 'lost' AND booked = 'nothing') OR (status <> 'lost' AND booked IN ('held', 'split'))
       ) AS unbooked
  JOIN checkouts c ON c.stripe_payment_intent_id = unbooked.payment_intent_id
 WHERE c.id > %(after)s ORDER BY c.id LIMIT %(batch)s
"""


def lock_payment(connection: psycopg.Connection[Row], payment_intent_id: str) -> bool:
    """Lock a payment before its facts are written; False where it is not ours, or not known yet.

    Args:
        connection: in a transaction.
        payment_intent_id: Stripe's id.
    """
    return connection.execute(_LOCK_BY_INTENT, {"payment_intent_id": payment_intent_id}).fetchone() is not None


def lock_payment_of(connection: psycopg.Connection[Row], intake_id: UUID) -> bool:
    """Lock the payment of an intake; False where it was not paid by card."""
    return connection.execute(_LOCK_BY_INTAKE, {"intake_id": intake_id}).fetchone() is not None


def book_losses(connection: psycopg.Connection[Row], payment_intent_id: str) -> bool:
    """Bring the books up to the facts of a payment; False where it is not ours, or not known yet.

    Args:
        connection: in the transaction that learnt something new.
        payment_intent_id: Stripe's id.
    """
    row = connection.execute(_LOCK_BY_INTENT, {"payment_intent_id": payment_intent_id}).fetchone()
    if row is not None:
        _catch_up(connection, row)
    return row is not None


def book_losses_of(connection: psycopg.Connection[Row], intake_id: UUID) -> None:
    """The same for the payment of an intake, if it was paid by card."""
    row = connection.execute(_LOCK_BY_INTAKE, {"intake_id": intake_id}).fetchone()
    if row is not None:
        _catch_up(connection, row)


def refunded_total(connection: psycopg.Connection[Row], payment_intent_id: str) -> int:
    """Cents of a payment that its customer got back: by refunds that took effect, and by disputes that were lost."""
    row = connection.execute(_REFUNDED_TOTAL, {"payment_intent_id": payment_intent_id}).fetchone()
    return 0 if row is None else int(row["cents"])


def sweep_losses(database: Database, seconds_left: SecondsLeft) -> int:
    """Book what could not be booked when it was reported: its payment was not known, or its payout was being sent.

    Returns:
        How many payments were looked at.

    Raises:
        ExceptionGroup: what failed, after all had their turn.
    """
    failures: list[Exception] = []
    seen, after = 0, FIRST
    while seconds_left() > MARGIN_SECONDS:
        unbooked = database.all(_UNBOOKED, {"after": after, "batch": BATCH})
        for row in unbooked:
            after = row["id"]
            try:
                database.transaction(partial(book_losses, payment_intent_id=row["payment_intent_id"]))
            except (psycopg.Error, Refused) as failure:
                failures.append(failure)
        seen += len(unbooked)
        if len(unbooked) < BATCH:
            break
    if failures:
        raise ExceptionGroup(f"losses of {len(failures)} payments could not be booked", failures)
    return seen


def _catch_up(connection: psycopg.Connection[Row], checkout: Row) -> None:
    payment = connection.execute(_PAYMENT, checkout).fetchone()
    if payment is None or payment["taken_cents"] is None:  # the charge was never booked: an alarm went off for it
        return
    moved = {
        "disputed": DISPUTED,
        "stripe": STRIPE,
        "withdrawn": TransferKind.DISPUTE,
        "reinstated": TransferKind.DISPUTE_WON,
    }
    connection.execute(_MOVED_BY_DISPUTES, {**payment, **moved})
    losses = connection.execute(_LOSSES, payment).fetchall()
    reversed_kinds = set[str]()
    for loss in losses:
        booked = _book(connection, payment, loss, losses)
        if booked is not None:
            loss.update(booked)
            connection.execute(_REFUND_IS if loss["kind"] == "refund" else _DISPUTE_IS, loss)
            reversed_kinds |= {loss["kind"]} if booked["booked"] == "reversed" else set()
    if payment["intake_id"] is not None:
        _adjust_refund(connection, payment, reversed_kinds)
        _hold_or_release(connection, payment)


def _book(connection: psycopg.Connection[Row], payment: Row, loss: Row, losses: list[Row]) -> Row | None:
    """Book one loss, or reverse its booking; how it is booked then, None where that did not change."""
    unbooked = loss["effective"] and loss["booked"] == "nothing" and _is_there(payment, loss, losses)
    if not loss["effective"] and loss["booked"] in ("held", "split"):
        return reverse_booking(connection, payment, loss)
    if payment["kind"] == "pack":
        return book_pack(connection, payment, loss, losses) if unbooked else None
    if payment["outcome"] != "pay":
        return book_held(connection, payment, loss) if unbooked else None
    return book_split(connection, payment, loss, losses) if unbooked or _came_before(loss) else None


def _is_there(payment: Row, loss: Row, losses: list[Row]) -> bool:
    """Whether the payment has so much left to lose; if not, an earlier loss failed and Stripe has not said so yet."""
    booked = sum(each["cents"] for each in losses if each["booked"] in ("held", "split"))
    return bool(booked + loss["cents"] <= payment["taken_cents"])


def _came_before(loss: Row) -> bool:
    """Whether it was taken from what was held, before the session was settled as one that pays its mechanic."""
    return bool(loss["effective"]) and loss["booked"] == "held"


def _adjust_refund(connection: psycopg.Connection[Row], payment: Row, reversed_kinds: set[str]) -> None:
    """Close a refund that is due where the customer has all of it back; a part is subtracted when it is sent."""
    values = {**payment, **(connection.execute(_REFUNDED_TOTAL, payment).fetchone() or {})}
    connection.execute(_NEEDED_NO_MORE, values)
    if reversed_kinds:
        connection.execute(_NEEDED_AGAIN, {**values, "refused": "refund" in reversed_kinds})


def _hold_or_release(connection: psycopg.Connection[Row], payment: Row) -> None:
    row = connection.execute(_OPEN, payment).fetchone()
    park_or_send = hold if row is not None and row["open"] else release
    park_or_send(connection, payment["intake_id"])
