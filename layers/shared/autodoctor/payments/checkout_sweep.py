"""The sweep of unfinished checkouts: it asks Stripe itself, so that a webhook that never came loses nothing."""

from collections.abc import Callable
from typing import Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.db import Database, Row
from autodoctor.payments.checkout import UNASKED_TOO_LONG
from autodoctor.payments.fulfilment import CheckoutPage, Effect, apply
from autodoctor.payments.inbox import ALARMING, alarm
from autodoctor.payments.stripe_client import stripe_client, stripe_secrets
from autodoctor.wire import Answer

BATCH: Final = 20
MARGIN_SECONDS: Final = 20.0
"""One look-up takes at most about 15 seconds (stripe_client.py)."""

_UNFINISHED: Final[LiteralString] = """
WITH due AS MATERIALIZED (
  SELECT id FROM checkouts
   WHERE status IN ('open', 'processing') AND stripe_session_id IS NOT NULL
     AND checked_at <= clock_timestamp() - make_interval(secs => %(grace_seconds)s)
   ORDER BY checked_at LIMIT %(batch)s
     FOR UPDATE SKIP LOCKED)
UPDATE checkouts c SET checked_at = clock_timestamp() FROM due
 WHERE c.id = due.id AND c.status IN ('open', 'processing')
RETURNING c.id, c.stripe_session_id
"""
_NEVER_MADE: Final[LiteralString] = (
    "WITH closed AS (UPDATE checkouts SET status = 'failed' WHERE " + UNASKED_TOO_LONG + " RETURNING *"
    ") DELETE FROM idempotency_keys k USING closed WHERE k.user_id = closed.user_id AND k.intake_id = closed.intake_id"
)


class SweptCheckouts(Answer):
    """What the sweep did.

    Attributes:
        asked: how many checkouts Stripe was asked about.
        fulfilled: how many had been paid, and no event had said so.
    """

    asked: int
    fulfilled: int


def sweep_checkouts(
    database: Database,
    seconds_left: Callable[[], float],
    publish: Callable[[UUID], None],
    grace_seconds: float = 120,
) -> SweptCheckouts:
    """Bring every unfinished checkout to where Stripe's is, until it is done or time runs short.

    Args:
        database: where.
        seconds_left: how many seconds this run still has.
        publish: called with each row that has events after its commit.
        grace_seconds: what was made or asked about more recently is left to Stripe's events.

    Raises:
        ExceptionGroup: what failed, after all had their turn.
    """
    from stripe import StripeError  # noqa: PLC0415 (the function that shares this module with routes starts without it)

    database.execute(_NEVER_MADE, {})
    asked = fulfilled = 0
    failures: list[Exception] = []
    while seconds_left() > MARGIN_SECONDS:
        due = database.all(_UNFINISHED, {"batch": BATCH, "grace_seconds": grace_seconds})
        for checkout in due:
            if seconds_left() <= MARGIN_SECONDS:
                break  # the next run finds it: it is asked about again after the grace
            asked += 1
            try:
                fulfilled += _look_up(database, checkout["stripe_session_id"], publish)
            except (StripeError, psycopg.Error) as failure:
                failures.append(failure)
        if len(due) < BATCH:
            break
    if failures:
        raise ExceptionGroup(f"{len(failures)} checkouts could not be looked up", failures)
    return SweptCheckouts(asked=asked, fulfilled=fulfilled)


def _look_up(database: Database, stripe_session_id: str, publish: Callable[[UUID], None]) -> bool:
    """Ask Stripe about one page, and do what its events would have done; whether that fulfilled it."""
    found = stripe_client().v1.checkout.sessions.retrieve(stripe_session_id, {"expand": ["payment_intent"]}).to_dict()
    intent = found.get("payment_intent") or {}
    page = CheckoutPage.model_validate(
        {
            **found,
            "payment_intent": intent.get("id"),
            # where the bank refuses what was to come later, the intent waits for another way to pay, and gets none
            "payment_failed": found["status"] == "complete"
            and intent.get("status") in ("requires_payment_method", "canceled"),
        }
    )
    livemode = stripe_secrets().livemode

    def apply_it(connection: psycopg.Connection[Row]) -> Effect:
        return apply(connection, page, livemode=livemode)

    effect = database.transaction(apply_it)
    if effect.outcome in ALARMING:
        alarm(effect.outcome, page.id)
    if effect.subject_id is not None:
        publish(effect.subject_id)
    return effect.outcome == "fulfilled"
