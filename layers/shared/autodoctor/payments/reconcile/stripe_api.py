"""What is retrieved from Stripe besides its statement: the balance, and how disputes ended."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from autodoctor.db import Row
from autodoctor.payments.losses.disputes import OPEN
from autodoctor.payments.stripe.calls import call_stripe

if TYPE_CHECKING:
    from collections.abc import Iterable

    import stripe

CURRENCY: Final = "usd"
_EARLIER: Final = timedelta(days=7)
"""How long before our booking a dispute may have been opened, allowing for clocks and late webhooks."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Our balance at Stripe.

    Attributes:
        cents: available and pending.
        reserved: cents that Stripe withholds because connected accounts have a negative balance.
    """

    cents: int
    reserved: int
    livemode: bool


def balance_of(client: "stripe.StripeClient") -> Balance:
    """The platform's balance.

    Raises:
        StripeRefused: Stripe refused.
        OutcomeUnknown: Stripe did not answer.
    """
    balance: dict[str, Any] = call_stripe(client.v1.balance.retrieve).to_dict()
    return Balance(
        _cents(balance["available"]) + _cents(balance["pending"]),
        _cents(balance.get("connect_reserved") or ()),
        balance["livemode"],
    )


def closed_disputes(client: "stripe.StripeClient", open_ones: list[Row]) -> frozenset[str]:
    """The disputes that are over at Stripe, as far back as the oldest one that the ledger shows as open.

    Args:
        client: of Stripe.
        open_ones: the disputes that the ledger shows as open; `created_at` is when each was booked.

    Raises:
        StripeRefused: Stripe refused.
        OutcomeUnknown: Stripe did not answer.
    """
    if not open_ones:
        return frozenset()
    since = min(row["created_at"] for row in open_ones) - _EARLIER
    params: Any = {"created": {"gte": int(since.timestamp())}, "limit": 100}
    listed = call_stripe(lambda: client.v1.disputes.list(params=params))
    return frozenset(each.id for each in call_stripe(lambda: list(listed.auto_paging_iter())) if _is_over(each))


def _is_over(dispute: "stripe.Dispute") -> bool:
    return dispute.status not in OPEN and not dispute.status.startswith("warning")


def _cents(amounts: "Iterable[dict[str, Any]]") -> int:
    return sum(each["amount"] for each in amounts if each["currency"] == CURRENCY)
