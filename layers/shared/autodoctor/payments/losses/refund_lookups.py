"""Which refunds a payment has, looked up where `charge.refunded` said only how much (dashboard_refunds.py).

That it is to be asked stands in the payment's row, so a run that ends early goes on from there, and a payment whose
look-up failed waits a while without holding up the others.
"""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.losses.dashboard_refunds import refund_told
from autodoctor.payments.losses.losses import lock_payment
from autodoctor.payments.stripe.calls import NotDone, Unknown, asked
from autodoctor.payments.stripe.lease import MARGIN_SECONDS
from autodoctor.web.schemas import ResponseModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import stripe

AGAIN_AFTER: Final = timedelta(minutes=10)
"""A call that failed; longer than the function that sweeps may run, so that two runs never ask of one payment."""

# One whose payment is not told yet is found once it is.
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
# What was told of it meanwhile may be of a refund that Stripe did not list yet.
_KNOWN: Final[LiteralString] = """
UPDATE checkouts SET refunds_due_at = NULL WHERE id = %(id)s AND refunds_due_at = %(refunds_due_at)s
"""
_UNANSWERED: Final[LiteralString] = """
SELECT count(*) AS unanswered FROM checkouts WHERE refunds_due_at IS NOT NULL AND stripe_payment_intent_id IS NOT NULL
"""


class LookedUp(ResponseModel):
    """Of how many payments Stripe was asked for the refunds, and how many of these were news."""

    asked: int = 0
    news: int = 0


def sweep_refund_lookups(database: Database, client: "stripe.StripeClient", seconds_left: SecondsLeft) -> LookedUp:
    """Learn of the refunds that are not known yet, until none is left or time runs short.

    Args:
        database: where.
        client: of Stripe.
        seconds_left: how many seconds this run still has.
    """
    counts = {"asked": 0, "news": 0}
    while seconds_left() > MARGIN_SECONDS and (row := database.one(_CLAIM, {"after": AGAIN_AFTER})) is not None:
        counts["asked"] += 1
        try:
            refunds = _refunds_of(client, row["stripe_payment_intent_id"])
        except (NotDone, Unknown):
            continue  # later again
        counts["news"] += database.transaction(partial(_tell, checkout=row, refunds=refunds))
    return LookedUp(**counts)


def lookups_unanswered(database: Database) -> int:
    """How many payments there are whose refunds are not known, for the alarm: asked of in vain, or not reached yet."""
    row = database.one(_UNANSWERED, ())
    return int(row["unanswered"]) if row is not None else 0


def _refunds_of(client: "stripe.StripeClient", payment_intent_id: str) -> "list[stripe.Refund]":
    """All of a payment, the oldest first."""
    listed = asked(
        lambda: list(
            client.v1.refunds.list(params={"payment_intent": payment_intent_id, "limit": 100}).auto_paging_iter()
        )
    )
    return listed[::-1]


def _tell(connection: psycopg.Connection[Row], checkout: Row, refunds: "Sequence[stripe.Refund]") -> int:
    """Tell of each, as its own event would have; how many were news."""
    lock_payment(connection, checkout["stripe_payment_intent_id"])
    news = sum(refund_told(connection, each.to_dict()) != "unchanged" for each in refunds)
    connection.execute(_KNOWN, checkout)  # no row where more was told meanwhile: that is looked up again
    return news
