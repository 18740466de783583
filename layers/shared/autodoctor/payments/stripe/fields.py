"""Fields of Stripe's objects, within the bounds of our columns: what is beyond them is no object of Stripe's."""

from typing import Annotated, Final

from pydantic import BaseModel, Field, StringConstraints

SETTLED_IN: Final = "usd"
"""Of our balance. A bank may tell an amount in its own currency; what counts is what our balance loses and gets."""
_MOST: Final = 10**12

type StripeId = Annotated[str, StringConstraints(min_length=1, max_length=255)]
type Status = Annotated[str, StringConstraints(min_length=1, max_length=64)]
type Cents = Annotated[int, Field(ge=0, le=_MOST)]
"""At most ten thousand million in the currency."""


class BalanceMovement(BaseModel):
    """A balance transaction, as far as it counts here: what our balance gained, or lost where it is negative."""

    amount: Annotated[int, Field(ge=-_MOST, le=_MOST)]
    currency: str = SETTLED_IN
