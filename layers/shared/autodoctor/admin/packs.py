"""/api/admin/credit-packs: credits that customers can buy at once."""

from typing import Annotated, Final, LiteralString
from uuid import UUID

from pydantic import Field, StringConstraints

from autodoctor.admin.changes import ABSENT, CODE, LEAST_CENTS, MOST_CENTS, OWN, audited, columns
from autodoctor.db import Database
from autodoctor.errors import Conflict, NotFound
from autodoctor.web.schemas import Name, RequestBody, ResponseModel

type Price = Annotated[int, Field(ge=LEAST_CENTS, le=MOST_CENTS)]
type Credits = Annotated[int, Field(ge=1, le=10_000)]

_SHOWN: Final[LiteralString] = " p.code, p.name, p.credits, p.price_cents, p.currency, p.active "

_ALL: Final[LiteralString] = "SELECT" + _SHOWN + "FROM credit_packs p ORDER BY p.credits, p.code"

_ADD: Final[LiteralString] = (
    """
INSERT INTO credit_packs AS p (code, name, credits, price_cents, active, change_id, changed_by)
VALUES (%(code)s, %(name)s, %(credits)s, %(price_cents)s, %(active)s, %(change_id)s, %(actor_id)s)
ON CONFLICT (code) DO NOTHING
RETURNING"""
    + _SHOWN
)

_ONE: Final[LiteralString] = "SELECT" + _SHOWN + "," + OWN + " FROM credit_packs p WHERE p.code = %(code)s"

_CHANGE: Final[LiteralString] = (
    """
UPDATE credit_packs p
   SET (name, credits, price_cents, active, change_id, changed_by) = (
         SELECT n.name, n.credits, n.price_cents, n.active, %(change_id)s, %(actor_id)s::uuid
           FROM jsonb_populate_record(p, %(columns)s) AS n)
 WHERE p.code = %(code)s AND p IS DISTINCT FROM jsonb_populate_record(p, %(columns)s)
RETURNING"""
    + _SHOWN
)


class NewCreditPack(RequestBody):
    """Credits that can be bought at once; the price in cents of usd."""

    code: Annotated[str, StringConstraints(pattern=CODE)]
    name: Name
    credits: Credits
    price_cents: Price
    active: bool = True


class CreditPackPatch(RequestBody):
    """The changes; omitted members stay. A pack that is not active is no longer shown or sold."""

    name: Name = ABSENT
    credits: Credits = ABSENT
    price_cents: Price = ABSENT
    active: bool = ABSENT


class AdminCreditPack(ResponseModel):
    """A pack, and whether it is sold."""

    code: str
    name: str
    credits: int
    price_cents: int
    currency: str
    active: bool


class CreditPacks(ResponseModel):
    """All packs, smallest first, also those that are not sold."""

    credit_packs: list[AdminCreditPack]


class CreditPackNotFound(NotFound):
    """No such pack."""

    def __init__(self) -> None:
        super().__init__("There is no such credit pack.")


class CreditPackExists(Conflict):
    """There is a pack with this code."""

    slug, title = "credit-pack-exists", "Credit pack exists"

    def __init__(self, code: str) -> None:
        super().__init__("There is a credit pack with this code.", code=code)


def all_packs(database: Database) -> CreditPacks:
    """Every pack."""
    return CreditPacks(credit_packs=[AdminCreditPack(**row) for row in database.all(_ALL, {})])


def add_pack(database: Database, actor_id: UUID, new: NewCreditPack) -> AdminCreditPack:
    """Add a pack for sale.

    Args:
        database: as the application role.
        actor_id: the admin's `sub`.
        new: its credits and price.

    Raises:
        CreditPackExists: a pack has this code.
    """
    parameters = {**new.model_dump(), **audited(actor_id)}
    row = database.one(_ADD, parameters)
    if row is None:
        row = database.one(_ONE, parameters)
        if row is None or not row["own"]:
            raise CreditPackExists(new.code)
    return AdminCreditPack(**row)


def change_pack(database: Database, actor_id: UUID, code: str, patch: CreditPackPatch) -> AdminCreditPack:
    """Change a pack for later purchases; repeating it changes nothing.

    Raises:
        CreditPackNotFound: there is none with this code.
    """
    parameters = {"code": code, "columns": columns(patch), **audited(actor_id)}
    row = database.one(_CHANGE, parameters) or database.one(_ONE, parameters)  # there, and nothing changed
    if row is None:
        raise CreditPackNotFound
    return AdminCreditPack(**row)
