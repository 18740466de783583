"""How a price is divided: integers only, half to even; the remainder is the platform's."""

from dataclasses import dataclass
from typing import Final

BASIS_POINTS: Final = 10_000
"""Basis points of a whole."""
REFERRAL_BP: Final = 200
"""Basis points of the price for the mechanic who referred the customer, unless the settings say otherwise."""
ESCALATION_BP: Final = 500
"""Basis points of an approved quote for the mechanic who escalated, unless the settings say otherwise."""


@dataclass(frozen=True, slots=True)
class Split:
    """A price, divided without remainder.

    Attributes:
        mechanic: cents for the mechanic who held the session.
        referral: cents for the mechanic who referred the customer, out of the platform's share.
        platform: the remaining cents.
    """

    mechanic: int
    referral: int
    platform: int


def share_of(amount: int, part: int, of: int = BASIS_POINTS) -> int:
    """A share of an amount, rounded half to even, as the schema's `share_of()` does.

    Args:
        amount: cents, or credits, 0 or more.
        part: how many parts, 0 to `of`.
        of: how many there are.

    Returns:
        0 to `amount`.

    Raises:
        ValueError: an argument is out of its range.
    """
    if amount < 0 or not 0 <= part <= of or of == 0:
        raise ValueError(f"no share: {part} of {of} parts of {amount}")
    whole, rest = divmod(amount * part, of)
    up = 2 * rest > of or (2 * rest == of and whole % 2 == 1)
    return whole + up


def split(price: int, mechanic_share_bp: int, referral_bp: int = 0) -> Split:
    """Divide the price of a completed session.

    Args:
        price: cents, 0 or more.
        mechanic_share_bp: the mechanic's share in basis points.
        referral_bp: the referrer's, of the whole price; 0 where nobody referred the customer. It comes out of the
            platform's share and is cut down to it: referral = min(2 % of the price, the platform's share).

    Returns:
        Parts that add up to the price, none negative.

    Raises:
        ValueError: an argument is out of its range.
    """
    mechanic = share_of(price, mechanic_share_bp)
    referral = min(share_of(price, referral_bp), price - mechanic)
    return Split(mechanic, referral, price - mechanic - referral)
