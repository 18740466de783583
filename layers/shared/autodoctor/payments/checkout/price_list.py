"""GET /api/plans: what can be bought; public."""

from typing import Final, LiteralString

from autodoctor.db import Database
from autodoctor.sessions.minutes import MinutePack
from autodoctor.web.schemas import ResponseModel

_PLANS: Final[LiteralString] = """
SELECT code, name, session_types, price_cents, currency, credits, included_minutes, max_minutes, uses_per_customer,
       minute_packs
  FROM plans ORDER BY price_cents, code
"""
_PACKS: Final[LiteralString] = """
SELECT code, name, credits, price_cents, currency FROM credit_packs WHERE active ORDER BY credits, code
"""


class Plan(ResponseModel):
    """One plan: its price in cents and in credits, and how many sessions of it a customer may have (null: any).

    Attributes:
        minute_packs: by what a talk of it can be extended.
    """

    code: str
    name: str
    session_types: list[str]
    price_cents: int
    currency: str
    credits: int
    included_minutes: int
    max_minutes: int
    uses_per_customer: int | None
    minute_packs: list[MinutePack]


class CreditPack(ResponseModel):
    """A number of credits that is bought at once."""

    code: str
    name: str
    credits: int
    price_cents: int
    currency: str


class Plans(ResponseModel):
    """Everything that can be bought, cheapest first."""

    plans: list[Plan]
    credit_packs: list[CreditPack]


def plans(database: Database) -> Plans:
    """What can be bought now."""
    return Plans(
        plans=[Plan(**row) for row in database.all(_PLANS, {})],
        credit_packs=[CreditPack(**row) for row in database.all(_PACKS, {})],
    )
