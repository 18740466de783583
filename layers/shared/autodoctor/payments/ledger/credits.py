"""Credits: spent at intake, granted by admins, and shown to the customer."""

from typing import Annotated, Any, Final, Literal, LiteralString
from uuid import UUID

from pydantic import Field, StringConstraints

from autodoctor.db import Database, Row
from autodoctor.errors import InsufficientCredits, Unprocessable
from autodoctor.ids import LAST
from autodoctor.payments.ledger.accounts import CREDITS_ISSUED, TransferKind, customer_credits
from autodoctor.web.paging import id_of, page_size
from autodoctor.web.schemas import Reason, RequestBody, ResponseModel, Utc

NEVER_NEGATIVE: Final = "credit_balances_not_negative"
"""The constraint that keeps a customer's credits from being overdrawn."""

HOLD_CTES: Final[LiteralString] = """
, held AS (
  INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)
  SELECT 'session:' || intake.id || ':credit_hold', 'customer:' || %(user_id)s::uuid || ':credits',
         'session:' || intake.id || ':credits', intake.credits, 'credit', 'credit_hold', intake.id
    FROM intake
)
"""
"""Continues the factory's WITH: takes the session's price in credits. The balance is checked at the end of the
statement, so a customer who has an active session gets that error, and not the one about credits."""

type MovementKind = Literal["bought", "granted", "spent", "returned", "withdrawn", "corrected"]
_MOVEMENTS: Final[dict[str, MovementKind]] = {
    TransferKind.CREDIT_ISSUE: "bought",
    TransferKind.CREDIT_GRANT: "granted",
    TransferKind.CREDIT_HOLD: "spent",
    TransferKind.CREDIT_RETURN: "returned",
    TransferKind.CONTEST: "returned",
    TransferKind.CREDIT_WITHDRAWAL: "withdrawn",
    TransferKind.CORRECTION: "corrected",
}

_BALANCE: Final[LiteralString] = """
SELECT coalesce((SELECT greatest(b.balance - frozen_credits(b.user_id), 0) FROM credit_balances b
                  WHERE b.user_id = %(user_id)s), 0) AS balance,
       (SELECT p.credits FROM plans p WHERE p.code = %(plan)s) AS price
"""

_HISTORY: Final[LiteralString] = """
WITH page AS (
  (SELECT id, kind, -amount AS credits, intake_id, created_at FROM ledger_transfer
    WHERE debit_account = %(account)s AND id < %(before)s ORDER BY id DESC LIMIT %(limit)s + 1)
  UNION ALL
  (SELECT id, kind, amount, intake_id, created_at FROM ledger_transfer
    WHERE credit_account = %(account)s AND id < %(before)s ORDER BY id DESC LIMIT %(limit)s + 1)
)
SELECT page.id, page.kind, page.credits, page.created_at, coalesce(x.session_id, page.intake_id) AS session_id,
       coalesce((SELECT b.balance FROM credit_balances b WHERE b.user_id = %(user_id)s), 0) AS balance,
       coalesce((SELECT least(b.balance, frozen_credits(b.user_id)) FROM credit_balances b
                  WHERE b.user_id = %(user_id)s), 0) AS frozen
  FROM (SELECT) AS always LEFT JOIN page ON true LEFT JOIN session_extensions x ON x.id = page.intake_id
 ORDER BY page.id DESC LIMIT %(limit)s + 1
"""

_WHOSE: Final[LiteralString] = """
SELECT coalesce((SELECT c.user_id FROM customers c WHERE c.id = %(customer_id)s), %(customer_id)s) AS user_id
"""

_GRANT: Final[LiteralString] = """
INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, actor_id, reason)
VALUES (%(key)s, %(debit)s, %(account)s, %(credits)s, 'credit', %(kind)s, %(admin_id)s, %(reason)s)
ON CONFLICT (key) DO NOTHING
"""

_GRANTED: Final[LiteralString] = """
SELECT t.credit_account = %(account)s AND t.amount = %(credits)s AS same,
       (SELECT b.balance FROM credit_balances b WHERE b.user_id = %(user_id)s) AS balance
  FROM ledger_transfer t WHERE t.key = %(key)s
"""


class GrantRequest(RequestBody):
    """Credits for a customer, and why.

    Attributes:
        customer_id: the `sub` of the customer's token, which works before their first intake too; or the id of their
            row of `customers`.
        key: the same key grants only once.
    """

    customer_id: Annotated[UUID, Field(strict=False)]
    credits: Annotated[int, Field(ge=1, le=10_000)]
    reason: Reason
    key: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class CreditsGranted(ResponseModel):
    """What was granted under this key, and the customer's balance now; `customer_id` is the `sub`."""

    customer_id: UUID
    credits: int
    balance: int


class CreditMovement(ResponseModel):
    """One change of the balance; `credits` is negative if they were spent or withdrawn."""

    movement: MovementKind
    credits: int
    session_id: UUID | None
    created_at: Utc


class Credits(ResponseModel):
    """What a customer has, and how the balance came about, newest first.

    Attributes:
        frozen: as many of the balance cannot be spent, as the payment of their pack is disputed.
    """

    balance: int
    frozen: int
    history: list[CreditMovement]
    next_cursor: str | None


def insufficient_credits(database: Database, user_id: UUID, plan: str) -> InsufficientCredits:
    """The problem that says how many credits there are and how many the plan costs."""
    found: Any = database.one(_BALANCE, {"user_id": user_id, "plan": plan})
    return InsufficientCredits(found["balance"], found["price"])


def credits_of(database: Database, user_id: UUID, limit: str | None = None, cursor: str | None = None) -> Credits:
    """A customer's credits.

    Args:
        user_id: the customer's `sub`.
        limit: movements per page, 1 to 100; 20 where absent.
        cursor: `nextCursor` of the page before.

    Raises:
        Unprocessable: limit or cursor is not one of ours.
    """
    size = page_size(limit)
    rows = database.all(
        _HISTORY,
        {
            "user_id": user_id,
            "account": customer_credits(user_id),
            "limit": size,
            "before": id_of(cursor, LAST),
        },
    )
    shown = [row for row in rows[:size] if row["id"] is not None]
    return Credits(
        balance=rows[0]["balance"],
        frozen=rows[0]["frozen"],
        history=[_movement(row) for row in shown],
        next_cursor=str(shown[-1]["id"]) if len(rows) > size else None,
    )


def grant_credits(database: Database, admin_id: UUID, grant: GrantRequest) -> CreditsGranted:
    """Give a customer credits; the ledger records who gave them, and why.

    Args:
        admin_id: the admin's `sub`.
        grant: to whom, how many, and why.

    Returns:
        The grant; the same one again if its key is repeated.

    Raises:
        Unprocessable: the key was used for another grant.
    """
    whose: Any = database.one(_WHOSE, {"customer_id": grant.customer_id})
    parameters = {
        "key": f"grant:{grant.key}",
        "debit": CREDITS_ISSUED,
        "account": customer_credits(whose["user_id"]),
        "user_id": whose["user_id"],
        "credits": grant.credits,
        "kind": TransferKind.CREDIT_GRANT,
        "admin_id": admin_id,
        "reason": grant.reason,
    }
    database.execute(_GRANT, parameters)  # no row if the key was used before; what it was used for is read below
    granted: Any = database.one(_GRANTED, parameters)
    if not granted["same"]:
        raise Unprocessable(("/key", "was used for another grant"))
    return CreditsGranted(customer_id=whose["user_id"], credits=grant.credits, balance=granted["balance"])


def _movement(row: Row) -> CreditMovement:
    return CreditMovement(**row, movement=_MOVEMENTS[row["kind"]])
