"""Looks up which refunds a payment has, and what they took, where no event said so (dashboard_refunds.py).

The row of the payment says that a look-up is due, so a run that ends early is continued by the next one, and a payment
whose look-up failed waits a while without delaying the others.
"""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.losses.dashboard_refunds import RefundOutcome, book_refund
from autodoctor.payments.losses.losses import lock_payment
from autodoctor.payments.stripe.calls import OutcomeUnknown, StripeRefused, call_stripe
from autodoctor.payments.stripe.lease import MARGIN_SECONDS
from autodoctor.payments.stripe.mismatch import report_mismatch
from autodoctor.web.schemas import ResponseModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import stripe

AGAIN_AFTER: Final = timedelta(minutes=10)
"""After a call that failed. Longer than the sweeping function may run, so that no two runs look up one payment."""

_NEW: Final = frozenset({"refunded", "refund_failed"})

# A checkout whose payment is not known yet is claimed once it is.
_CLAIM: Final[LiteralString] = """
WITH due AS MATERIALIZED (
  SELECT c.id FROM checkouts c
   WHERE c.refunds_due_at <= clock_timestamp() AND c.stripe_payment_intent_id IS NOT NULL
   ORDER BY c.refunds_due_at LIMIT 1
     FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE checkouts c SET refunds_due_at = clock_timestamp() + %(after)s
  FROM due WHERE c.id = due.id AND c.refunds_due_at <= clock_timestamp()
RETURNING c.id, c.stripe_payment_intent_id, c.refunds_due_at
"""
# Not if another `charge.refunded` came meanwhile: its refund may not have been listed yet.
_KNOWN: Final[LiteralString] = """
UPDATE checkouts SET refunds_due_at = NULL WHERE id = %(id)s AND refunds_due_at = %(refunds_due_at)s
"""
_UNANSWERED: Final[LiteralString] = """
SELECT count(*) AS unanswered FROM checkouts WHERE refunds_due_at IS NOT NULL AND stripe_payment_intent_id IS NOT NULL
"""


class LookedUp(ResponseModel):
    """How many payments were looked up, and how many of their refunds were not known before."""

    asked: int = 0
    new: int = 0


def sweep_refund_lookups(database: Database, client: "stripe.StripeClient", seconds_left: SecondsLeft) -> LookedUp:
    """Look up the refunds that are not known yet, until no payment is left or time runs short.

    Args:
        client: of Stripe.
    """
    counts = {"asked": 0, "new": 0}
    while seconds_left() > MARGIN_SECONDS and (row := database.one(_CLAIM, {"after": AGAIN_AFTER})) is not None:
        counts["asked"] += 1
        try:
            refunds = _refunds_of(client, row["stripe_payment_intent_id"])
        except (StripeRefused, OutcomeUnknown):
            continue  # later again
        outcomes = database.transaction(partial(_report, checkout=row, refunds=refunds))
        counts["new"] += sum(outcome in _NEW for outcome in outcomes.values())
        for refund_id in [each for each, outcome in outcomes.items() if outcome == "mismatch"]:
            report_mismatch("mismatch", refund_id)
    return LookedUp(**counts)


def lookups_unanswered(database: Database) -> int:
    """How many payments still have to be looked up, for the alarm: the call failed, or no run has reached them."""
    row = database.one(_UNANSWERED, ())
    return int(row["unanswered"]) if row is not None else 0


def _refunds_of(client: "stripe.StripeClient", payment_intent_id: str) -> "list[stripe.Refund]":
    """All refunds of a payment, the oldest first."""
    listed = call_stripe(
        lambda: list(
            client.v1.refunds.list(
                params={"payment_intent": payment_intent_id, "limit": 100, "expand": ["data.balance_transaction"]}
            ).auto_paging_iter()
        )
    )
    return listed[::-1]


def _report(
    connection: psycopg.Connection[Row], checkout: Row, refunds: "Sequence[stripe.Refund]"
) -> dict[str, RefundOutcome]:
    """Handle each refund as its own event would have been; what that did, by Stripe's id."""
    lock_payment(connection, checkout["stripe_payment_intent_id"])
    outcomes = {each.id: book_refund(connection, each.to_dict()) for each in refunds}
    if "refund_noted" not in outcomes.values():  # else it has taken nothing yet, and is looked up again
        connection.execute(_KNOWN, checkout)  # no row if more was reported meanwhile: that is looked up again
    return outcomes
