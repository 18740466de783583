"""Intake in each way to pay: the place where sessions and payments meet, which do not know each other."""

from dataclasses import replace
from typing import Final
from uuid import UUID

import psycopg

from autodoctor.db import Database
from autodoctor.intake import create as session_intake
from autodoctor.intake.card import NOTHING_PROCESSING, CheckoutOpened, refuse_while_processing, start_card_intake
from autodoctor.intake.create import Funding, SessionCreated, start_intake
from autodoctor.intake.request import IntakeRequest
from autodoctor.payments.ledger import credits as credit_account

# A payment page that is still open blocks nobody: the sweep closes it (payments/checkout/sweep.py).
FREE: Final = replace(session_intake.FREE, only_if=NOTHING_PROCESSING, objects=refuse_while_processing)
CREDIT: Final = Funding(
    "p.credits > 0",
    "this plan is not sold for credits",
    credit_account.HOLD_CTES,
    NOTHING_PROCESSING,
    objects=refuse_while_processing,
)


def start_funded_intake(
    database: Database,
    user_id: UUID,
    intake: IntakeRequest,
    idempotency_key: str | None = None,
    verified_email: str | None = None,
) -> SessionCreated | CheckoutOpened:
    """Create the session, free or for credits, which the same statement takes; by card, open a page to pay on.

    Args:
        user_id: the customer's `sub`.
        intake: what they ask for and how they pay.
        idempotency_key: the same key and request within 24 hours give the first answer again, and take nothing.
        verified_email: the address that the customer's sign-in has verified.

    Raises:
        InsufficientCredits: the customer has fewer credits than the plan costs; nothing was created.
        PaymentProcessing: an intake is paid but not confirmed yet.
        Problem: whatever `start_intake` and `start_card_intake` raise.
    """
    match intake.pay_with:
        case "free":
            return start_intake(database, user_id, intake, idempotency_key, FREE, verified_email=verified_email)
        case "credit":
            return _paid_with_credits(database, user_id, intake, idempotency_key, verified_email)
        case "card":
            return start_card_intake(database, user_id, intake, idempotency_key, verified_email)


def _paid_with_credits(
    database: Database, user_id: UUID, intake: IntakeRequest, key: str | None, verified_email: str | None
) -> SessionCreated:
    try:
        return start_intake(database, user_id, intake, key, CREDIT, verified_email=verified_email)
    except psycopg.errors.CheckViolation as refused:
        if refused.diag.constraint_name != credit_account.NEVER_NEGATIVE:
            raise
        raise credit_account.insufficient_credits(database, user_id, intake.plan) from None
