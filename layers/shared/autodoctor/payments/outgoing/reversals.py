"""Taking back what was sent of a payout whose payment's dispute was lost; what Stripe cannot take back stays owed."""

from functools import partial
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.losses.losses import lock_payment_of
from autodoctor.payments.outgoing.transfer_events import book_reversals
from autodoctor.payments.stripe import lease
from autodoctor.payments.stripe.calls import OutcomeUnknown, StripeRefused, call_stripe
from autodoctor.payments.stripe.lease import BACK_OFF, AttemptOutcome, JobKind, NotYet, Sent

if TYPE_CHECKING:
    import stripe

_READ: Final[LiteralString] = """
SELECT r.payout_id, r.dispute_id, r.amount_cents, p.intake_id, p.stripe_transfer_id
  FROM payout_reversals r JOIN payouts p ON p.id = r.payout_id
 WHERE r.id = %(id)s
"""
_OWED: Final[LiteralString] = """
SELECT least(%(amount_cents)s, mechanic_owes(%(mechanic_id)s, %(intake_id)s)) AS cents,
       EXISTS (SELECT FROM payout_reversals o WHERE o.payout_id = %(payout_id)s AND o.id <> %(reversal_id)s
                  AND o.state = 'sending' AND o.asked_at IS NOT NULL) AS another
"""

_DONE: Final[LiteralString] = """
UPDATE payout_reversals SET state = 'done', stripe_reversal_id = %(reversal_id)s, done_at = clock_timestamp(),
                            next_attempt_at = NULL, waits_for = NULL, last_error = NULL
 WHERE id = %(id)s AND state <> 'done'
"""

_PAID_OFF: Final[LiteralString] = """
UPDATE payout_reversals SET state = 'cancelled', next_attempt_at = NULL, waits_for = NULL, last_error = NULL
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s
"""

_ANOTHER_FIRST: Final = NotYet(None, "another reversal of the payout is under way", uncounted=True, after=BACK_OFF[0])

_PAYOUT: Final[LiteralString] = """
SELECT id, session_id, intake_id, mechanic_id, state, kind FROM payouts WHERE id = %(payout_id)s FOR NO KEY UPDATE
"""


def sweep_reversals(database: Database, client: "stripe.StripeClient", seconds_left: SecondsLeft) -> Sent:
    """Take back what is due, until none is left or time runs short; what is given up stays as the mechanic's debt.

    Args:
        client: of Stripe.
    """
    return lease.sweep_jobs(database, client, seconds_left, _REVERSAL)


def _attempt(database: Database, client: "stripe.StripeClient", reversal: Row) -> AttemptOutcome | NotYet:
    try:
        return _take_back(database, client, reversal)
    except StripeRefused as refused:
        return NotYet("retry", refused.reason)


def _take_back(database: Database, client: "stripe.StripeClient", reversal: Row) -> AttemptOutcome | NotYet:
    """Look at what was taken back, by us or by hand, and take back the rest."""
    transfer_id: str = reversal["stripe_transfer_id"]
    listed = call_stripe(lambda: client.v1.transfers.reversals.list(transfer_id, params={"limit": 100})).data
    transfer = call_stripe(lambda: client.v1.transfers.retrieve(transfer_id))
    left = transfer.amount - transfer.amount_reversed
    if left == 0 or any(_is_ours(each, reversal) for each in listed):
        return _done(database, reversal, listed)
    if given_up := lease.after_the_last(reversal):
        return given_up
    intent = database.transaction(partial(_intend, reversal=reversal, made=listed, left=left))
    if not isinstance(intent, dict):
        return intent
    if intent["asked_cents"] > intent["cents"]:  # until Stripe has forgotten that key: less is asked for then
        raise OutcomeUnknown("an earlier call asked for more than is owed by now")
    made = call_stripe(
        lambda: client.v1.transfers.reversals.create(
            transfer_id,
            params={"amount": intent["asked_cents"], "metadata": {"reversalId": str(reversal["id"])}},
            options={"idempotency_key": intent["idempotency_key"]},
        )
    )
    return _done(database, reversal, [*listed, made])


def _intend(
    connection: psycopg.Connection[Row], reversal: Row, made: "list[stripe.TransferReversal]", left: int
) -> Row | AttemptOutcome | NotYet:
    """Book what others took back, whose webhook may be late; then store what is asked for: no more than is owed."""
    payout = _book(connection, reversal, made)
    values = {**payout, **reversal, "reversal_id": reversal["id"]}
    owed = connection.execute(_OWED, values).fetchone()
    if owed is None or owed["cents"] <= 0:
        return "netted" if connection.execute(_PAID_OFF, reversal).rowcount else "lost_lease"
    if owed["another"]:
        return _ANOTHER_FIRST
    cents = min(left, owed["cents"])
    return {**lease.intend_within(connection, reversal, cents), "cents": cents}


def _is_ours(made: "stripe.TransferReversal", reversal: Row) -> bool:
    return made.metadata is not None and made.metadata.to_dict().get("reversalId") == str(reversal["id"])


def _done(database: Database, reversal: Row, made: "list[stripe.TransferReversal]") -> AttemptOutcome:
    return database.transaction(partial(_mark_done, reversal=reversal, made=made))


def _mark_done(
    connection: psycopg.Connection[Row], reversal: Row, made: "list[stripe.TransferReversal]"
) -> AttemptOutcome:
    _book(connection, reversal, made)
    ours = next((each.id for each in made if _is_ours(each, reversal)), None)
    return "sent" if connection.execute(_DONE, {**reversal, "reversal_id": ours}).rowcount else "lost_lease"


def _book(connection: psycopg.Connection[Row], reversal: Row, made: "list[stripe.TransferReversal]") -> Row:
    """Book what was taken back, unless a webhook did so first; the payout, locked."""
    lock_payment_of(connection, reversal["intake_id"])
    payout = connection.execute(_PAYOUT, reversal).fetchone()
    if payout is None:
        raise RuntimeError(f"payout {reversal['payout_id']} is gone")
    book_reversals(connection, payout, {each.id: each.amount for each in made})
    return payout


_REVERSAL: Final = JobKind("reversal", _READ, _attempt, lease.give_up)
