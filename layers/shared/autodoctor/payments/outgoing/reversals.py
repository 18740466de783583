"""Taking back what was sent of a payout whose payment's dispute was lost; what Stripe cannot take back stays owed."""

from functools import partial
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.losses.losses import lock_payment_of
from autodoctor.payments.outgoing.transfer_events import book_reversals
from autodoctor.payments.stripe import lease
from autodoctor.payments.stripe.calls import StripeRefused, call_stripe
from autodoctor.payments.stripe.lease import AttemptOutcome, JobKind, NotYet, Sent

if TYPE_CHECKING:
    import stripe

_READ: Final[LiteralString] = """
SELECT r.payout_id, r.dispute_id, p.intake_id, p.stripe_transfer_id,
       least(r.amount_cents, mechanic_owes(p.mechanic_id, p.intake_id)) AS amount_cents
  FROM payout_reversals r JOIN payouts p ON p.id = r.payout_id
 WHERE r.id = %(id)s
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
    if reversal["amount_cents"] <= 0:  # netted meanwhile
        return "netted" if database.execute(_PAID_OFF, reversal) else "lost_lease"
    intent = lease.intend(database, reversal, min(left, reversal["amount_cents"]))
    made = call_stripe(
        lambda: client.v1.transfers.reversals.create(
            transfer_id,
            params={"amount": intent["asked_cents"], "metadata": {"reversalId": str(reversal["id"])}},
            options={"idempotency_key": intent["idempotency_key"]},
        )
    )
    return _done(database, reversal, [*listed, made])


def _is_ours(made: "stripe.TransferReversal", reversal: Row) -> bool:
    return made.metadata is not None and made.metadata.to_dict().get("reversalId") == str(reversal["id"])


def _done(database: Database, reversal: Row, made: "list[stripe.TransferReversal]") -> AttemptOutcome:
    return database.transaction(partial(_mark_done, reversal=reversal, made=made))


def _mark_done(
    connection: psycopg.Connection[Row], reversal: Row, made: "list[stripe.TransferReversal]"
) -> AttemptOutcome:
    """Book what was taken back, unless a webhook did so first."""
    lock_payment_of(connection, reversal["intake_id"])
    payout = connection.execute(_PAYOUT, reversal).fetchone()
    if payout is None:
        raise RuntimeError(f"payout {reversal['payout_id']} is gone")
    book_reversals(connection, payout, {each.id: each.amount for each in made})
    ours = next((each.id for each in made if _is_ours(each, reversal)), None)
    return "sent" if connection.execute(_DONE, {**reversal, "reversal_id": ours}).rowcount else "lost_lease"


_REVERSAL: Final = JobKind("reversal", _READ, _attempt, lease.give_up)
