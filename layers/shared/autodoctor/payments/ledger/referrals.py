"""GET /api/mechanic/referral-code: the code that a mechanic gives to customers, and what it has earned them."""

from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.errors import MechanicNotActive
from autodoctor.web.schemas import ResponseModel

_REFERRAL: Final[LiteralString] = """
SELECT m.referral_code,
       (SELECT count(*) FROM customers c WHERE c.referrer_id = m.id) AS referred_customers,
       (SELECT coalesce(sum(p.amount_cents - p.withheld_cents), 0)::bigint FROM payouts p
         WHERE p.mechanic_id = m.id AND p.kind = 'referral' AND p.state <> 'reversed') AS earned_cents
  FROM mechanics m WHERE m.user_id = %(user_id)s AND m.status = 'active'
"""


class Referral(ResponseModel):
    """A mechanic's referral code, and what came of it.

    Attributes:
        referral_code: this mechanic's own; customers give it as `referralCode` at intake.
        referred_customers: how many customers gave this code before any other.
        earned_cents: for their completed sessions, paid out or not; less what customers got back.
    """

    referral_code: str
    referred_customers: int
    earned_cents: int


def referral_code(database: Database, user_id: UUID) -> Referral:
    """The mechanic's referral code.

    Args:
        user_id: the mechanic's `sub`.

    Raises:
        MechanicNotActive: no such mechanic, or suspended: then the code refers nobody.
    """
    row = database.one(_REFERRAL, {"user_id": user_id})
    if row is None:
        raise MechanicNotActive
    return Referral(**row)
