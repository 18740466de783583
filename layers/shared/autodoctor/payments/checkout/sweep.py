"""The sweep of unfinished checkouts: it polls Stripe, so that a lost webhook loses nothing.

It also closes the pages of customers who have got a session otherwise: a free or credit intake does not wait for
Stripe. Whoever pays such a page in the minute before it is closed is paid back (fulfilment.py).
"""

from collections.abc import Callable
from typing import Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.errors import PaymentProcessing, PaymentsUnavailable
from autodoctor.payments.checkout.checkout import UNASKED_TOO_LONG, withdraw
from autodoctor.payments.checkout.fulfilment import CheckoutPage, Effect, apply
from autodoctor.payments.stripe.client import stripe_client, stripe_secrets
from autodoctor.payments.stripe.mismatch import MISMATCHES, report_mismatch
from autodoctor.web.schemas import ResponseModel

BATCH: Final = 20
GRACE_SECONDS: Final = 120.0
"""A checkout that was made or polled more recently is left to Stripe's events."""
MARGIN_SECONDS: Final = 20.0
"""One look-up takes at most about 15 seconds (stripe/client.py)."""
CLOSING_MARGIN_SECONDS: Final = 35.0
"""Closing a page takes two calls if Stripe refuses the first."""

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
_CLOCK: Final[LiteralString] = "SELECT clock_timestamp() AS began_at"
# Each page once per run: trying sets checked_at, and one that fails does not block the others.
_OVERTAKEN: Final[LiteralString] = """
WITH due AS MATERIALIZED (
  SELECT c.id FROM checkouts c
   WHERE c.kind = 'intake' AND c.status = 'open' AND c.checked_at < %(began_at)s
     AND EXISTS (SELECT FROM customers u JOIN sessions s ON s.customer_id = u.id
                  WHERE u.user_id = c.user_id AND s.ended_at IS NULL)
   ORDER BY c.checked_at LIMIT %(batch)s
     FOR UPDATE OF c SKIP LOCKED)
UPDATE checkouts c SET checked_at = clock_timestamp() FROM due
 WHERE c.id = due.id AND c.status = 'open'
RETURNING c.*
"""


class SweptCheckouts(ResponseModel):
    """The counts of one sweep.

    Attributes:
        asked: how many checkouts were polled.
        fulfilled: how many turned out to be paid, though no event had said so.
        closed: how many pages were closed because their customer has a session by now.
    """

    asked: int
    fulfilled: int
    closed: int


def sweep_checkouts(
    database: Database,
    seconds_left: SecondsLeft,
    publish: Callable[[UUID], None],
    grace_seconds: float = GRACE_SECONDS,
) -> SweptCheckouts:
    """Bring every unfinished checkout up to Stripe's state, until none is left or time runs short.

    Args:
        publish: called, after the commit, with each row that has events.
        grace_seconds: see GRACE_SECONDS.

    Raises:
        ExceptionGroup: what failed, after all had their turn.
    """
    database.execute(_NEVER_MADE, {})
    failures: list[Exception] = []
    asked, fulfilled = _look_all_up(database, seconds_left, publish, grace_seconds, failures)
    closed = _close_overtaken(database, seconds_left, failures)
    if failures:
        raise ExceptionGroup(f"{len(failures)} checkouts could not be looked up or closed", failures)
    return SweptCheckouts(asked=asked, fulfilled=fulfilled, closed=closed)


def _look_all_up(
    database: Database,
    seconds_left: SecondsLeft,
    publish: Callable[[UUID], None],
    grace_seconds: float,
    failures: list[Exception],
) -> tuple[int, int]:
    """How many checkouts were polled, and how many of them fulfilled; failures are added to `failures`."""
    from stripe import StripeError  # noqa: PLC0415 (the function that shares this module with routes starts without it)

    asked = fulfilled = 0
    while seconds_left() > MARGIN_SECONDS:
        due = database.all(_UNFINISHED, {"batch": BATCH, "grace_seconds": grace_seconds})
        for checkout in due:
            if seconds_left() <= MARGIN_SECONDS:
                break  # the next run finds it: it is polled again after the grace
            asked += 1
            try:
                fulfilled += look_up(database, checkout["stripe_session_id"], publish)
            except (StripeError, psycopg.Error) as failure:
                failures.append(failure)
        if len(due) < BATCH:
            break
    return asked, fulfilled


def _close_overtaken(database: Database, seconds_left: SecondsLeft, failures: list[Exception]) -> int:
    """Close the pages whose customer has a session; how many, while failures are added to `failures`."""
    closed = 0
    began = database.one(_CLOCK, {})
    while seconds_left() > CLOSING_MARGIN_SECONDS:
        overtaken = database.all(_OVERTAKEN, {"batch": BATCH, **(began or {})})
        for checkout in overtaken:
            if seconds_left() <= CLOSING_MARGIN_SECONDS:
                break
            try:
                withdraw(database, checkout)
                closed += 1
            except PaymentProcessing:
                continue  # paid just now: its event, or a later run, pays it back
            except (PaymentsUnavailable, psycopg.Error) as failure:
                failures.append(failure)
        if len(overtaken) < BATCH:
            break
    return closed


def look_up(database: Database, stripe_session_id: str, publish: Callable[[UUID], None]) -> bool:
    """Retrieve one page from Stripe, and do what its events would have done; whether that fulfilled it.

    Raises:
        StripeError: Stripe does not say.
    """
    found = stripe_client().v1.checkout.sessions.retrieve(stripe_session_id, {"expand": ["payment_intent"]}).to_dict()
    intent = found.get("payment_intent") or {}
    page = CheckoutPage.model_validate(
        {
            **found,
            "payment_intent": intent.get("id"),
            # when the bank refuses a delayed payment, the intent waits for another payment method, which never comes
            "payment_failed": found["status"] == "complete"
            and intent.get("status") in ("requires_payment_method", "canceled"),
        }
    )
    livemode = stripe_secrets().livemode

    def apply_it(connection: psycopg.Connection[Row]) -> Effect:
        return apply(connection, page, livemode=livemode)

    effect = database.transaction(apply_it)
    if effect.outcome in MISMATCHES:
        report_mismatch(effect.outcome, page.id)
    if effect.subject_id is not None:
        publish(effect.subject_id)
    return effect.outcome == "fulfilled"
