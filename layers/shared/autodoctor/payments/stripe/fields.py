"""Fields of Stripe's objects, within the bounds of our columns: what is beyond them is no object of Stripe's."""

from typing import Annotated

from pydantic import Field, StringConstraints

type StripeId = Annotated[str, StringConstraints(min_length=1, max_length=255)]
type Status = Annotated[str, StringConstraints(min_length=1, max_length=64)]
type Cents = Annotated[int, Field(ge=0, le=10**12)]
"""At most ten thousand million in the currency."""
