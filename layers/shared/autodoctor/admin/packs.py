"""/api/admin/credit-packs: credits that customers can buy at once."""

from typing import Annotated, Final, LiteralString
from uuid import UUID

from pydantic import Field, StringConstraints

from autodoctor.admin.changes import ABSENT, AUDIT, CODE, LEAST_CENTS, MOST_CENTS, OWN, audited, columns
from autodoctor.db import Database
from autodoctor.errors import Conflict, NotFound
from autodoctor.web.schemas import Name, RequestBody, ResponseModel

type Price = Annotated[int, Field(ge=LEAST_CENTS, le=MOST_CENTS)]
type Credits = Annotated[int, Field(ge=1, le=10_000)]

_SHOWN: Final[LiteralString] = " p.code, p.name, p.credits, p.price_cents, p.currency, p.active "

_ALL: Final[LiteralString] = "SELECT" + _SHOWN + "FROM credit_packs p ORDER BY p.credits, p.code"

_ADD: Final[LiteralString] = (
    """
WITH added AS (
  INSERT INTO credit_packs (code, name, credits, price_cents, active)
  VALUES (%(code)s, %(name)s, %(credits)s, %(price_cents)s, %(active)s)
  ON CONFLICT (code) DO NOTHING
  RETURNING *
), written AS (
  SELECT added.code AS subject, '{}'::jsonb AS was, to_jsonb(added) AS is_now FROM added
)
"""
    + AUDIT
    + "SELECT"
    + _SHOWN
    + "FROM added p"
)

_THERE: Final[LiteralString] = "SELECT" + _SHOWN + "," + OWN + " FROM credit_packs p WHERE p.code = %(code)s"

_CHANGE: Final[LiteralString] = (
    """
WITH known AS MATERIALIZED (
  SELECT p AS was, jsonb_populate_record(p, %(columns)s) AS will_be
    FROM credit_packs p WHERE p.code = %(code)s
     FOR NO KEY UPDATE
), changed AS (
  UPDATE credit_packs p
     SET name = (k.will_be).name, credits = (k.will_be).credits, price_cents = (k.will_be).price_cents,
         active = (k.will_be).active
    FROM known k WHERE p.code = (k.was).code AND k.was IS DISTINCT FROM k.will_be
  RETURNING p.code
), written AS (
  SELECT changed.code AS subject, to_jsonb(k.was) AS was, to_jsonb(k.will_be) AS is_now FROM changed, known k
)
"""
    + AUDIT
    + "SELECT"
    + _SHOWN
    + "FROM known k CROSS JOIN LATERAL (SELECT (k.will_be).*) AS p"
)


class NewCreditPack(RequestBody):
    """Credits that can be bought at once; the price in cents of usd."""

    code: Annotated[str, StringConstraints(pattern=CODE)]
    name: Name
    credits: Credits
    price_cents: Price
    active: bool = True


class CreditPackPatch(RequestBody):
    """What changes; what is left out stays. One that is not active is no longer shown and sold."""

    name: Name = ABSENT
    credits: Credits = ABSENT
    price_cents: Price = ABSENT
    active: bool = ABSENT


class CreditPack(ResponseModel):
    """A pack, and whether it is sold."""

    code: str
    name: str
    credits: int
    price_cents: int
    currency: str
    active: bool


class CreditPacks(ResponseModel):
    """All packs, smallest first, also those that are not sold."""

    credit_packs: list[CreditPack]


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
    return CreditPacks(credit_packs=[CreditPack(**row) for row in database.all(_ALL, {})])


def add_pack(database: Database, actor_id: UUID, new: NewCreditPack) -> CreditPack:
    """Sell another pack.

    Args:
        database: where.
        actor_id: the admin's `sub`.
        new: what it holds and costs.

    Raises:
        CreditPackExists: there is one with this code.
    """
    parameters = {**new.model_dump(), **audited(actor_id, "credit_pack.added")}
    row = database.one(_ADD, parameters)
    if row is None:
        row = database.one(_THERE, parameters)
        if row is None or not row["own"]:
            raise CreditPackExists(new.code)
    return CreditPack(**row)


def change_pack(database: Database, actor_id: UUID, code: str, patch: CreditPackPatch) -> CreditPack:
    """Change a pack for those who buy it from now on; again changes nothing.

    Raises:
        CreditPackNotFound: there is none with this code.
    """
    parameters = {"code": code, "columns": columns(patch), **audited(actor_id, "credit_pack.changed")}
    row = database.one(_CHANGE, parameters)
    if row is None:
        raise CreditPackNotFound
    return CreditPack(**row)
