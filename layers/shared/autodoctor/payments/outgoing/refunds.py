"""Sending refunds: what is left of the amount after what was paid back by hand, once, and booked when Stripe has it."""

from functools import partial
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.losses.dashboard_refunds import CAME_BACK, note_refund
from autodoctor.payments.losses.disputes import disputes_of, note_dispute
from autodoctor.payments.losses.losses import book_losses, gone, lock_payment
from autodoctor.payments.stripe.calls import NotDone, Unknown, asked
from autodoctor.payments.stripe.lease import WAIT, Ending, Overtaken, Sent, is_last, put_off, sweep_due, wait_after

if TYPE_CHECKING:
    from collections.abc import Sequence

    import stripe

_ALREADY: Final = "charge_already_refunded"
_DISPUTED: Final = "charge_disputed"

_CLAIM: Final[LiteralString] = """
WITH due AS MATERIALIZED (
  SELECT r.id, r.keyed_at < clock_timestamp() - make_interval(hours => %(key_hours)s) AS key_is_old
    FROM refunds r
   WHERE r.state IN ('due', 'held', 'sending') AND r.next_attempt_at <= clock_timestamp()
   ORDER BY r.next_attempt_at LIMIT 1
     FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
  UPDATE refunds r
     SET state = 'sending', lease_id = new_id(), attempts = r.attempts + 1,
         next_attempt_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s),
         idempotency_key = CASE WHEN due.key_is_old THEN NULL ELSE r.idempotency_key END,
         keyed_at = CASE WHEN due.key_is_old THEN NULL ELSE r.keyed_at END,
         asked_cents = CASE WHEN due.key_is_old THEN NULL ELSE r.asked_cents END
    FROM due WHERE r.id = due.id AND r.state IN ('due', 'held', 'sending')
  RETURNING r.*
)
SELECT c.id, c.intake_id, c.kind, c.amount_cents, c.attempts, c.lease_id, c.last_error, ch.stripe_payment_intent_id
  FROM claimed c LEFT JOIN checkouts ch ON ch.intake_id = c.intake_id
"""

# An earlier key that may still count keeps its amount: under another one Stripe would refuse the key.
_INTEND: Final[LiteralString] = """
UPDATE refunds SET idempotency_key = coalesce(idempotency_key, 'refund:' || id || ':' || new_id()),
                   keyed_at = coalesce(keyed_at, clock_timestamp()), asked_cents = coalesce(asked_cents, %(cents)s)
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s RETURNING idempotency_key, asked_cents
"""

_DONE: Final[LiteralString] = """
UPDATE refunds SET state = %(state)s, stripe_refund_id = %(refund_id)s, sent_at = clock_timestamp(),
                   next_attempt_at = NULL, waits_for = NULL, last_error = NULL
 WHERE id = %(id)s AND state NOT IN ('sent', 'returned')
"""

_NOT_SENT: Final[LiteralString] = """
UPDATE refunds SET state = CASE WHEN %(waits_for)s = 'dispute' THEN 'held' ELSE 'due' END,
                   waits_for = %(waits_for)s, last_error = %(error)s,
                   attempts = attempts - %(free)s::integer, next_attempt_at = clock_timestamp() + %(after)s,
                   idempotency_key = NULL, keyed_at = NULL, asked_cents = NULL
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s
"""

_NOT_KNOWN: Final[LiteralString] = """
UPDATE refunds SET waits_for = 'retry', last_error = %(error)s, next_attempt_at = clock_timestamp() + %(after)s
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s
"""

_FAILED: Final[LiteralString] = """
UPDATE refunds SET state = 'failed', waits_for = NULL, last_error = %(error)s, next_attempt_at = NULL,
                   idempotency_key = NULL, keyed_at = NULL, asked_cents = NULL
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s
"""


def sweep_refunds(database: Database, client: "stripe.StripeClient", seconds_left: SecondsLeft) -> Sent:
    """Send the refunds that are due, until none is left or time runs short.

    Args:
        database: where.
        client: of Stripe.
        seconds_left: how many seconds this run still has.
    """
    return sweep_due(database, client, seconds_left, _CLAIM, _attempt)


def _attempt(database: Database, client: "stripe.StripeClient", refund: Row) -> Ending:
    if refund["stripe_payment_intent_id"] is None:
        return _wait(database, refund, "payment", "its payment is not known")
    try:
        return _pay_back(database, client, refund)
    except NotDone as refused:
        return _refused(database, client, refund, refused)
    except Unknown as unknown:
        return put_off(database, _NOT_KNOWN, refund, error=unknown.reason, after=wait_after(refund["attempts"]))
    except Overtaken:
        return "overtaken"


def _pay_back(database: Database, client: "stripe.StripeClient", refund: Row) -> Ending:
    """Look at what was paid back, and pay back the rest."""
    before = _paid_back(client, refund)
    left = refund["amount_cents"] - sum(each.amount for each in before)
    if left <= 0:
        return _sent(database, refund, before)
    if is_last(refund["attempts"]):
        return _give_up(database, refund, refund["last_error"] or "no attempt succeeded")
    intent = database.one(_INTEND, {**refund, "cents": left})
    if intent is None:
        raise Overtaken
    made = asked(
        lambda: client.v1.refunds.create(
            params={
                "payment_intent": refund["stripe_payment_intent_id"],
                "amount": intent["asked_cents"],
                "metadata": {"refundId": str(refund["id"]), "intakeId": str(refund["intake_id"])},
            },
            options={"idempotency_key": intent["idempotency_key"]},
        )
    )
    if made.status in CAME_BACK:
        raise NotDone(made.failure_reason or "refund_failed", "the customer's bank did not take it")
    return _sent(database, refund, [*before, made])


def _paid_back(client: "stripe.StripeClient", refund: Row) -> "list[stripe.Refund]":
    """What went back on the card already, the oldest first."""
    intent: str = refund["stripe_payment_intent_id"]
    listed = asked(lambda: client.v1.refunds.list(params={"payment_intent": intent, "limit": 100}))
    return [each for each in reversed(listed.data) if each.status not in CAME_BACK]


def _is_ours(made: "stripe.Refund", refund: Row) -> bool:
    return made.metadata is not None and made.metadata.to_dict().get("refundId") == str(refund["id"])


def _refused(database: Database, client: "stripe.StripeClient", refund: Row, refused: NotDone) -> Ending:
    """Nothing moved by this call; that all was paid back already is as good."""
    if refused.code == _ALREADY:
        try:
            before = _paid_back(client, refund)
        except (NotDone, Unknown):
            before = []
        if before:
            return _sent(database, refund, before)
    if refused.code == _DISPUTED:
        return _disputed(database, client, refund, refused)
    return _wait(database, refund, "retry", refused.reason)


def _disputed(database: Database, client: "stripe.StripeClient", refund: Row, refused: NotDone) -> Ending:
    """While it lasts, wait; once it is lost, the customer's bank has given the money back."""
    try:
        disputes = disputes_of(client, refund["stripe_payment_intent_id"])
    except (NotDone, Unknown):
        disputes = []
    if any(each.status == "lost" for each in disputes):
        return database.transaction(partial(_mark_done, refund=refund, state="returned", disputes=disputes))
    return _wait(database, refund, "dispute", refused.reason, free=True)


def _wait(database: Database, refund: Row, waits_for: str, error: str, *, free: bool = False) -> Ending:
    """Try again later; `free`: after six hours, or when a webhook says so, and without counting as an attempt."""
    if not free and is_last(refund["attempts"] + 1):
        return _give_up(database, refund, error)
    after = WAIT if free else wait_after(refund["attempts"])
    return put_off(database, _NOT_SENT, refund, waits_for=waits_for, error=error, free=free, after=after)


def _give_up(database: Database, refund: Row, reason: str) -> Ending:
    return "failed" if database.execute(_FAILED, {**refund, "error": reason}) else "overtaken"


def _sent(database: Database, refund: Row, made: "list[stripe.Refund]") -> Ending:
    return database.transaction(partial(_mark_done, refund=refund, state="sent", made=made))


def _mark_done(
    connection: psycopg.Connection[Row],
    refund: Row,
    state: str,
    made: "Sequence[stripe.Refund]" = (),
    disputes: "Sequence[stripe.Dispute]" = (),
) -> Ending:
    """Note and book what went back, whoever hears of it first, the webhook or we; done where that is all of it."""
    intent = refund["stripe_payment_intent_id"]
    lock_payment(connection, intent)
    for each in made:
        note_refund(connection, each.to_dict())
    for dispute in disputes:
        note_dispute(connection, dispute.to_dict())
    book_losses(connection, intent)
    if gone(connection, intent) < refund["amount_cents"]:
        left = {"waits_for": "retry", "error": "some of it is not paid back", "free": False}
        values = {**refund, **left, "after": wait_after(refund["attempts"])}
        return "waiting" if connection.execute(_NOT_SENT, values).rowcount else "overtaken"
    ours = next((each for each in made if _is_ours(each, refund)), made[-1] if made else None)
    values = {**refund, "state": state, "refund_id": None if ours is None else ours.id}
    return "sent" if connection.execute(_DONE, values).rowcount else "overtaken"
