"""What Stripe is asked beside its statement: the balance, and how disputes ended."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from autodoctor.db import Row
from autodoctor.payments.stripe.calls import asked

if TYPE_CHECKING:
    from collections.abc import Iterable

    import stripe

CURRENCY: Final = "usd"
_EARLIER: Final = timedelta(days=7)
"""How long before our booking a dispute may have been opened, clocks and late webhooks included."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What Stripe keeps for us.

    Attributes:
        cents: available and pending.
        reserved: cents that it keeps back because of connected accounts that are in the red.
    """

    cents: int
    reserved: int
    livemode: bool


def balance_of(client: "stripe.StripeClient") -> Balance:
    """The platform's balance.

    Raises:
        NotDone: Stripe refused.
        Unknown: Stripe did not answer.
    """
    told: dict[str, Any] = asked(client.v1.balance.retrieve).to_dict()
    return Balance(
        _cents(told["available"]) + _cents(told["pending"]),
        _cents(told.get("connect_reserved") or ()),
        told["livemode"],
    )


def lost_disputes(client: "stripe.StripeClient", open_ones: list[Row]) -> frozenset[str]:
    """Which disputes are lost at Stripe, of those opened since the oldest that the ledger has as open.

    Args:
        client: of Stripe.
        open_ones: rows with `created_at`, when they were booked.

    Raises:
        NotDone: Stripe refused.
        Unknown: Stripe did not answer.
    """
    if not open_ones:
        return frozenset()
    since = min(row["created_at"] for row in open_ones) - _EARLIER
    params: Any = {"created": {"gte": int(since.timestamp())}, "limit": 100}
    listed = asked(lambda: client.v1.disputes.list(params=params))
    return frozenset(each.id for each in asked(lambda: list(listed.auto_paging_iter())) if each.status == "lost")


def _cents(amounts: "Iterable[dict[str, Any]]") -> int:
    return sum(each["amount"] for each in amounts if each["currency"] == CURRENCY)
