"""What Stripe says that does not match what was asked for: nothing is given for it, and a person has to look."""

from typing import Final

from autodoctor.observability import count, logger

MISMATCHES: Final = frozenset({"mismatch", "other_mode", "other_endpoint"})
"""The outcomes of an event or a look-up that are reported."""


def report_mismatch(outcome: str, stripe_id: str) -> None:
    """Log it and raise the alarm."""
    logger.error("payment mismatch", extra={"outcome": outcome, "stripeId": stripe_id})
    count("PaymentMismatch")
