"""Sending refunds: what is left of the amount after what was paid back by hand, once, and booked when Stripe has it."""

from functools import partial
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.losses.dashboard_refunds import CAME_BACK, note_refund, taken_cents
from autodoctor.payments.losses.disputes import LOST, disputes_of, lost_of, note_dispute
from autodoctor.payments.losses.losses import book_losses, lock_payment, refunded_total
from autodoctor.payments.stripe import lease
from autodoctor.payments.stripe.calls import OutcomeUnknown, StripeRefused, call_stripe
from autodoctor.payments.stripe.lease import AttemptOutcome, JobKind, NotYet, Sent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import stripe

_ALREADY: Final = "charge_already_refunded"
_DISPUTED: Final = "charge_disputed"

_READ: Final[LiteralString] = """
SELECT r.intake_id, r.kind, r.amount_cents, ch.stripe_payment_intent_id
  FROM refunds r LEFT JOIN checkouts ch ON ch.intake_id = r.intake_id
 WHERE r.id = %(id)s
"""

_DONE: Final[LiteralString] = """
UPDATE refunds SET state = %(state)s, stripe_refund_id = %(refund_id)s, sent_at = clock_timestamp(),
                   next_attempt_at = NULL, waits_for = NULL, last_error = NULL
 WHERE id = %(id)s AND state NOT IN ('sent', 'returned')
"""


def sweep_refunds(database: Database, client: "stripe.StripeClient", seconds_left: SecondsLeft) -> Sent:
    """Send the refunds that are due, until none is left or time runs short.

    Args:
        client: of Stripe.
    """
    return lease.sweep_jobs(database, client, seconds_left, _REFUND)


def _attempt(database: Database, client: "stripe.StripeClient", refund: Row) -> AttemptOutcome | NotYet:
    if refund["stripe_payment_intent_id"] is None:
        return NotYet("payment", "its payment is not known")
    try:
        return _pay_back(database, client, refund)
    except StripeRefused as refused:
        return _refused(database, client, refund, refused)


def _pay_back(database: Database, client: "stripe.StripeClient", refund: Row) -> AttemptOutcome | NotYet:
    """Look at what was paid back, by refunds or by lost disputes, and pay back the rest."""
    before, disputes = _paid_back(client, refund), disputes_of(client, refund["stripe_payment_intent_id"])
    lost = lost_of(disputes)
    taken = [taken_cents(each.to_dict()) for each in before]
    if None in taken:
        return NotYet("retry", "what a refund in another currency took is not known yet", uncounted=True)
    left = refund["amount_cents"] - lost - sum(cents or 0 for cents in taken)
    if left <= 0:
        state = "returned" if lost else "sent"
        return database.transaction(partial(_mark_done, refund=refund, state=state, made=before, disputes=disputes))
    if given_up := lease.after_the_last(refund):
        return given_up
    intent = lease.intend(database, refund, left)
    made = call_stripe(
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
        raise StripeRefused(made.failure_reason or "refund_failed", "the customer's bank did not take it")
    return _sent(database, refund, [*before, made])


def _paid_back(client: "stripe.StripeClient", refund: Row) -> "list[stripe.Refund]":
    """The refunds of its payment that moved money, ours and others', the oldest first."""
    intent: str = refund["stripe_payment_intent_id"]
    listed = call_stripe(
        lambda: client.v1.refunds.list(
            params={"payment_intent": intent, "limit": 100, "expand": ["data.balance_transaction"]}
        )
    )
    return [each for each in reversed(listed.data) if each.status not in CAME_BACK]


def _is_ours(made: "stripe.Refund", refund: Row) -> bool:
    return made.metadata is not None and made.metadata.to_dict().get("refundId") == str(refund["id"])


def _refused(
    database: Database, client: "stripe.StripeClient", refund: Row, refused: StripeRefused
) -> AttemptOutcome | NotYet:
    """This call moved nothing; but if everything was paid back before, the refund is done."""
    if refused.code == _ALREADY:
        try:
            before = _paid_back(client, refund)
        except (StripeRefused, OutcomeUnknown):
            before = []
        if before:
            return _sent(database, refund, before)
    if refused.code in lease.BALANCE_SHORT:
        return lease.until_there_is_money(refused)
    if refused.code == _DISPUTED:
        return _disputed(database, client, refund, refused)
    return NotYet("retry", refused.reason)


def _disputed(
    database: Database, client: "stripe.StripeClient", refund: Row, refused: StripeRefused
) -> AttemptOutcome | NotYet:
    """Wait while the dispute is open; once it is lost, the customer's bank has given the money back."""
    try:
        disputes = disputes_of(client, refund["stripe_payment_intent_id"])
    except (StripeRefused, OutcomeUnknown):
        disputes = []
    if any(each.status in LOST for each in disputes):
        return database.transaction(partial(_mark_done, refund=refund, state="returned", disputes=disputes))
    return NotYet("dispute", refused.reason, uncounted=True)


def _sent(database: Database, refund: Row, made: "list[stripe.Refund]") -> AttemptOutcome:
    return database.transaction(partial(_mark_done, refund=refund, state="sent", made=made))


def _mark_done(
    connection: psycopg.Connection[Row],
    refund: Row,
    state: str,
    made: "Sequence[stripe.Refund]" = (),
    disputes: "Sequence[stripe.Dispute]" = (),
) -> AttemptOutcome:
    """Note and book what the customer got back, unless a webhook did so first; done where that is the whole amount."""
    intent = refund["stripe_payment_intent_id"]
    lock_payment(connection, intent)
    for each in made:
        note_refund(connection, each.to_dict())
    for dispute in disputes:
        note_dispute(connection, dispute.to_dict())
    book_losses(connection, intent)
    if refunded_total(connection, intent) < refund["amount_cents"]:
        return lease.reschedule(connection, refund, NotYet("retry", "some of it is not paid back"))
    ours = next((each for each in made if _is_ours(each, refund)), made[-1] if made else None)
    values = {**refund, "state": state, "refund_id": None if ours is None else ours.id}
    return "sent" if connection.execute(_DONE, values).rowcount else "lost_lease"


_REFUND: Final = JobKind("refund", _READ, _attempt, lease.give_up)
