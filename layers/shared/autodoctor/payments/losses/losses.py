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
from autodoctor.payments.ledger.accounts import DISPUTED, PLATFORM_REVENUE, STRIPE, TransferKind
from autodoctor.payments.losses.booking import (
    BOOKED,
    book_held,
    book_pack,
    book_split,
    return_taken_back,
    reverse_booking,
)
from autodoctor.payments.stripe.lease import MARGIN_SECONDS, hold, release

BATCH: Final = 50

_LOCK_BY_INTENT: Final[LiteralString] = """
SELECT id FROM checkouts WHERE stripe_payment_intent_id = %(payment_intent_id)s FOR NO KEY UPDATE
"""
_LOCK_BY_INTAKE: Final[LiteralString] = "SELECT id FROM checkouts WHERE intake_id = %(intake_id)s FOR NO KEY UPDATE"

_PAYMENT: Final[LiteralString] = """
SELECT c.id AS checkout_id, c.kind, c.user_id, c.intake_id, c.credits, c.amount_cents AS price_cents,
       c.stripe_payment_intent_id AS payment_intent_id, coalesce(st.outcome, e.outcome) AS outcome,
       (SELECT t.amount FROM ledger_transfer t
         WHERE t.key = CASE c.kind WHEN 'pack' THEN 'pack:' || c.id || ':sale'
                                   ELSE 'session:' || c.intake_id || ':charge' END) AS taken_cents
  FROM checkouts c LEFT JOIN settlements st ON st.session_id = c.intake_id
  LEFT JOIN extension_settlements e ON e.extension_id = c.intake_id
 WHERE c.id = %(id)s
"""

_LOSSES: Final[LiteralString] = """
SELECT kind, id, cents, booked_cents, effective, booked, part, bookings FROM losses
 WHERE payment_intent_id = %(payment_intent_id)s
 ORDER BY effective, created_at, id -- bookings are reversed first: that makes room for new ones
"""

# Stripe may take or give back in several parts: each later one is a row of its own, with the sum so far in its key.
_MOVED_BY_DISPUTES: Final[LiteralString] = """
INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)
SELECT 'dispute:' || d.id || CASE WHEN booked.cents = 0 THEN moved.first ELSE moved.later || moved.cents END,
       moved.debit, moved.credit, moved.cents - booked.cents, 'usd', moved.kind, %(intake_id)s
  FROM stripe_disputes d
  CROSS JOIN LATERAL (VALUES
    ('', ':withdrawn:', %(disputed)s, %(stripe)s, d.withdrawn_cents, %(withdrawn)s),
    (':won', ':won:', %(stripe)s, %(disputed)s, d.reinstated_cents, %(reinstated)s)
  ) AS moved (first, later, debit, credit, cents, kind)
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(t.amount), 0)::bigint AS cents FROM ledger_transfer t
     WHERE statement_subject(t.key) = 'dispute:' || d.id AND (t.debit_account = 'stripe' OR t.credit_account = 'stripe')
       AND t.debit_account = moved.debit AND t.credit_account = moved.credit AND t.kind = moved.kind
  ) AS booked
 WHERE d.payment_intent_id = %(payment_intent_id)s AND moved.cents > booked.cents
"""

# A dispute that was won need not give back exactly what it took (two conversions of a currency, say). The difference is
# the platform's.
_REST_OF_WON: Final[LiteralString] = """
INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)
SELECT 'dispute:' || d.id || ':rest:' || rest.number + 1,
       CASE WHEN rest.cents > 0 THEN %(platform)s ELSE %(disputed)s END,
       CASE WHEN rest.cents > 0 THEN %(disputed)s ELSE %(platform)s END,
       abs(rest.cents), 'usd', CASE WHEN rest.cents > 0 THEN %(lost)s ELSE %(reinstated)s END, %(intake_id)s
  FROM stripe_disputes d
  CROSS JOIN LATERAL (
    SELECT sum(CASE WHEN t.debit_account = 'disputed' THEN t.amount ELSE -t.amount END)::bigint AS cents,
           count(*) FILTER (WHERE starts_with(t.key, 'dispute:' || d.id || ':rest:')) AS number
      FROM ledger_transfer t
     WHERE (t.debit_account = 'disputed' OR t.credit_account = 'disputed')
       AND statement_subject(t.key) = 'dispute:' || d.id
  ) AS rest
 WHERE d.payment_intent_id = %(payment_intent_id)s AND d.status = 'won' AND d.booked NOT IN ('held', 'split')
   AND rest.cents <> 0
"""

_REFUND_IS: Final[LiteralString] = """
UPDATE stripe_refunds SET booked = %(booked)s, part = %(part)s, bookings = %(bookings)s WHERE id = %(id)s
"""
_DISPUTE_IS: Final[LiteralString] = """
UPDATE stripe_disputes SET booked = %(booked)s, part = %(part)s, bookings = %(bookings)s, lost_cents = %(booked_cents)s
 WHERE id = %(id)s
"""

_OPEN: Final[LiteralString] = """
SELECT EXISTS (SELECT FROM stripe_disputes
                WHERE payment_intent_id = %(payment_intent_id)s
                  AND status IN ('needs_response', 'under_review')) AS open
"""

_HOLD_WHAT_ITS_CREDITS_PAID_FOR: Final[LiteralString] = "SELECT hold_disputed_credits(%(user_id)s)"

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
                   last_error = CASE WHEN %(refused)s THEN 'the customer''s bank did not take it: ask for another way,'
                                                           ' or for another card and retry_stripe_job()' END,
                   sent_at = NULL,
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
         WHERE dispute_is_behind(status, withdrawn_cents, reinstated_cents, booked, lost_cents)
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
        "platform": PLATFORM_REVENUE,
        "withdrawn": TransferKind.DISPUTE,
        "reinstated": TransferKind.DISPUTE_WON,
        "lost": TransferKind.DISPUTE_LOST,
    }
    connection.execute(_MOVED_BY_DISPUTES, {**payment, **moved})
    losses = connection.execute(_LOSSES, payment).fetchall()
    undone = _undo(connection, payment, losses)
    for loss in losses:
        _book(connection, payment, loss, losses)
    connection.execute(_REST_OF_WON, {**payment, **moved})
    if payment["kind"] == "pack":
        connection.execute(_HOLD_WHAT_ITS_CREDITS_PAID_FOR, payment)
    if payment["intake_id"] is not None:
        return_taken_back(connection, payment)
        _adjust_refund(connection, payment, undone)
        _hold_or_release(connection, payment)


def _undo(connection: psycopg.Connection[Row], payment: Row, losses: list[Row]) -> set[str]:
    """Reverse the bookings that are no longer what happened; the kinds of those that did not happen in the end.

    Where more was lost than was paid, all are reversed: it is shared out anew between what is left of the payment and
    the platform.
    """
    booked = [each for each in losses if each["booked"] in BOOKED]
    stale = [each for each in booked if not each["effective"] or each["cents"] != each["booked_cents"]]
    too_much = sum(each["booked_cents"] for each in booked) > payment["taken_cents"]
    undone = set[str]()
    for loss in booked if stale and too_much else stale:
        is_now = reverse_booking(connection, payment, loss)
        if is_now is not None:
            _store(connection, loss, is_now)
            undone |= set() if loss["effective"] else {loss["kind"]}
    return undone


def _book(connection: psycopg.Connection[Row], payment: Row, loss: Row, losses: list[Row]) -> None:
    """Book one loss, unless it is booked, or has to wait for a payout that is being sent."""
    came_before = loss["booked"] == "held" and payment["outcome"] == "pay"
    if not loss["effective"] or (loss["booked"] in BOOKED and not came_before):
        return
    numbered = {**loss, "bookings": loss["bookings"] + (not came_before)}
    is_now: Row | None
    if payment["kind"] == "pack":
        is_now = book_pack(connection, payment, numbered, losses)
    elif payment["outcome"] != "pay":
        is_now = book_held(connection, payment, numbered)
    else:
        is_now = book_split(connection, payment, numbered, losses)
    if is_now is not None:
        _store(connection, loss, {**is_now, "bookings": numbered["bookings"], "booked_cents": loss["cents"]})


def _store(connection: psycopg.Connection[Row], loss: Row, is_now: Row) -> None:
    loss.update(is_now)
    connection.execute(_REFUND_IS if loss["kind"] == "refund" else _DISPUTE_IS, loss)


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
