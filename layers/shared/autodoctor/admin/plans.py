"""/api/admin/plans: the plans for sale, their prices, and the mechanics' shares.

An intake keeps the terms that its plan had when it was made, so a change here affects later intakes only.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field, StringConstraints

from autodoctor.admin.changes import ABSENT, CODE, LEAST_CENTS, MOST_CENTS, OWN, audited, columns
from autodoctor.db import Database, Row
from autodoctor.errors import Conflict, NotFound, Unprocessable
from autodoctor.web.schemas import Name, RequestBody, ResponseModel

FREE: Final = "free"
"""The plan that is always free; the schema enforces it too."""

type Cents = Annotated[int, Field(ge=0, le=MOST_CENTS)]
type Credits = Annotated[int, Field(ge=0, le=10_000)]
type Minutes = Annotated[int, Field(ge=1, le=1440)]
type BasisPoints = Annotated[int, Field(ge=0, le=10_000)]
type Uses = Annotated[int, Field(ge=1, le=1_000_000)]
type SessionType = Literal["chat", "video", "diagnostic"]

_SHOWN: Final[LiteralString] = """
       p.code, p.name, p.session_types, p.price_cents, p.currency, p.credits, p.included_minutes, p.max_minutes,
       p.mechanic_share_bp, p.mechanic_fixed_pay_cents, p.uses_per_customer, p.minute_packs
"""

_ALL: Final[LiteralString] = "SELECT " + _SHOWN + " FROM plans p ORDER BY p.price_cents, p.code"

_ADD: Final[LiteralString] = (
    """
INSERT INTO plans AS p
  (code, name, session_types, price_cents, credits, included_minutes, max_minutes,
   mechanic_share_bp, mechanic_fixed_pay_cents, uses_per_customer, minute_packs, change_id, changed_by)
VALUES
  (%(code)s, %(name)s, %(session_types)s, %(price_cents)s, %(credits)s, %(included_minutes)s, %(max_minutes)s,
   %(mechanic_share_bp)s, %(mechanic_fixed_pay_cents)s, %(uses_per_customer)s, %(minute_packs)s,
   %(change_id)s, %(actor_id)s)
ON CONFLICT (code) DO NOTHING
RETURNING """
    + _SHOWN
)

_THERE: Final[LiteralString] = "SELECT " + _SHOWN + ", " + OWN + " FROM plans p WHERE p.code = %(code)s"

_LOCKED: Final[LiteralString] = "SELECT " + _SHOWN + " FROM plans p WHERE p.code = %(code)s FOR NO KEY UPDATE"

_CHANGE: Final[LiteralString] = (
    """
UPDATE plans p
   SET (name, price_cents, credits, included_minutes, max_minutes, mechanic_share_bp, mechanic_fixed_pay_cents,
        uses_per_customer, minute_packs, change_id, changed_by) = (
         SELECT n.name, n.price_cents, n.credits, n.included_minutes, n.max_minutes, n.mechanic_share_bp,
                n.mechanic_fixed_pay_cents, n.uses_per_customer, n.minute_packs, %(change_id)s, %(actor_id)s::uuid
           FROM jsonb_populate_record(p, %(columns)s) AS n)
 WHERE p.code = %(code)s AND p IS DISTINCT FROM jsonb_populate_record(p, %(columns)s)
RETURNING """
    + _SHOWN
)


class MinutePackTerms(RequestBody):
    """Minutes by which a talk can be extended, and what they cost: by card, and in credits where that is above 0."""

    code: Annotated[str, StringConstraints(pattern=CODE)]
    minutes: Minutes
    price_cents: Annotated[int, Field(ge=LEAST_CENTS, le=MOST_CENTS)]
    credits: Credits


type MinutePacks = Annotated[list[MinutePackTerms], Field(max_length=10)]


class NewPlan(RequestBody):
    """A new plan; prices in cents of usd, the share in basis points."""

    code: Annotated[str, StringConstraints(pattern=CODE)]
    name: Name
    session_types: Annotated[list[SessionType], Field(min_length=1, max_length=3)]
    price_cents: Cents
    credits: Credits = 0
    included_minutes: Minutes
    max_minutes: Minutes = 180
    mechanic_share_bp: BasisPoints
    mechanic_fixed_pay_cents: Cents = 0
    uses_per_customer: Uses | None = None
    minute_packs: MinutePacks = Field(default_factory=list)


class PlanPatch(RequestBody):
    """The changes; omitted members stay. A `uses_per_customer` of null means no limit."""

    name: Name = ABSENT
    price_cents: Cents = ABSENT
    credits: Credits = ABSENT
    included_minutes: Minutes = ABSENT
    max_minutes: Minutes = ABSENT
    mechanic_share_bp: BasisPoints = ABSENT
    mechanic_fixed_pay_cents: Cents = ABSENT
    uses_per_customer: Uses | None = None
    minute_packs: MinutePacks = ABSENT


class AdminMinutePack(ResponseModel):
    """Minutes by which a talk of a plan can be extended; `credits` of 0: by card only."""

    code: str
    minutes: int
    price_cents: int
    credits: int


class AdminPlan(ResponseModel):
    """A plan with all its terms; `mechanic_fixed_pay_cents` is the mechanic's pay for a free session."""

    code: str
    name: str
    session_types: list[str]
    price_cents: int
    currency: str
    credits: int
    included_minutes: int
    max_minutes: int
    mechanic_share_bp: int
    mechanic_fixed_pay_cents: int
    uses_per_customer: int | None
    minute_packs: list[AdminMinutePack]


class AdminPlans(ResponseModel):
    """All plans, cheapest first."""

    plans: list[AdminPlan]


class PlanNotFound(NotFound):
    """No such plan."""

    def __init__(self) -> None:
        super().__init__("There is no such plan.")


class PlanExists(Conflict):
    """There is a plan with this code."""

    slug, title = "plan-exists", "Plan exists"

    def __init__(self, code: str) -> None:
        super().__init__("There is a plan with this code.", code=code)


def all_plans(database: Database) -> AdminPlans:
    """Return every plan, as admins see it."""
    return AdminPlans(plans=[AdminPlan(**row) for row in database.all(_ALL, {})])


def add_plan(database: Database, actor_id: UUID, new: NewPlan) -> AdminPlan:
    """Add a plan for sale.

    Args:
        database: as the application role.
        actor_id: the admin's `sub`.
        new: its terms. Its code, its session types, and being free or not never change.

    Raises:
        PlanExists: a plan has this code.
        Unprocessable: the terms do not fit each other.
    """
    terms = new.model_dump()
    terms["session_types"] = sorted(set(new.session_types))
    _refuse_what_does_not_fit(terms, new.minute_packs)
    parameters = {**terms, "minute_packs": Jsonb(terms["minute_packs"]), **audited(actor_id)}
    row = database.one(_ADD, parameters)
    if row is None:
        row = database.one(_THERE, parameters)
        if row is None or not row["own"]:
            raise PlanExists(new.code)
    return AdminPlan(**row)


def change_plan(database: Database, actor_id: UUID, code: str, patch: PlanPatch) -> AdminPlan:
    """Change a plan for later intakes; repeating it changes nothing.

    Args:
        database: as the application role.
        actor_id: the admin's `sub`.
        code: the plan's code.
        patch: the changes.

    Raises:
        PlanNotFound: there is none with this code.
        Unprocessable: the terms would not fit each other, or a free plan would cost something.
    """
    parameters = {"code": code, "columns": columns(patch), **audited(actor_id)}

    def change(connection: psycopg.Connection[Row]) -> Row | None:
        was = connection.execute(_LOCKED, parameters).fetchone()
        if was is None:
            return None
        will_be = {**was, **patch.model_dump(exclude_unset=True)}
        if bool(was["price_cents"]) is not bool(will_be["price_cents"]):
            raise Unprocessable(
                ("/priceCents", "must stay 0 for a free plan and above 0 for any other; add another plan")
            )
        _refuse_what_does_not_fit(will_be, patch.minute_packs if "minute_packs" in patch.model_fields_set else ())
        return connection.execute(_CHANGE, parameters).fetchone() or was  # nothing changed

    row = database.transaction(change)
    if row is None:
        raise PlanNotFound
    return AdminPlan(**row)


def _refuse_what_does_not_fit(terms: Row, packs: Sequence[MinutePackTerms]) -> None:
    """Check the terms against each other, and the packs that are set with them.

    Packs that stay as they were may have become too long: they are not offered then.

    Raises:
        Unprocessable: with every contradiction.
    """
    wrong: list[tuple[str, str]] = []
    if 0 < terms["price_cents"] < LEAST_CENTS:
        wrong.append(("/priceCents", f"must be 0, or at least {LEAST_CENTS}, the smallest charge to a card"))
    if terms["code"] == FREE and terms["price_cents"] > 0:
        wrong.append(("/priceCents", "must be 0 for the plan `free`"))
    if terms["price_cents"] == 0 and terms["credits"] > 0:
        wrong.append(("/credits", "must be 0 for a free plan"))
    if terms["max_minutes"] < terms["included_minutes"]:
        wrong.append(("/maxMinutes", "must not be less than includedMinutes"))
    wrong += _packs_that_do_not_fit(packs, terms["max_minutes"] - terms["included_minutes"])
    if wrong:
        raise Unprocessable(*wrong)


def _packs_that_do_not_fit(packs: Sequence[MinutePackTerms], left: int) -> Iterator[tuple[str, str]]:
    """Packs of one code, and those that could never be bought: pointers and reasons."""
    codes = [pack.code for pack in packs]
    for index, pack in enumerate(packs):
        if pack.code in codes[:index]:
            yield f"/minutePacks/{index}/code", "must be another than those of the packs before"
        if 0 <= left < pack.minutes:
            yield f"/minutePacks/{index}/minutes", f"must be at most the {left} that maxMinutes leaves"
