"""Balances: every movement of money is a balance transaction of one account; a balance is their sum."""

from dataclasses import dataclass
from typing import Final

from localcloud.stripe.http.errors import ApiError, Json
from localcloud.stripe.http.lists import listed
from localcloud.stripe.state.state import Call, State

CHARGE_FEE_BASIS_POINTS: Final = 290
CHARGE_FEE_CENTS: Final = 30
DISPUTE_FEE_CENTS: Final = 1500
DEFAULT_CURRENCY: Final = "usd"
_WHOLE: Final = 10_000


@dataclass(frozen=True)
class Movement:
    """Money that enters an account (`amount` above 0) or leaves it, and Stripe's fee for that, in cents."""

    kind: str
    amount: int
    currency: str
    source: str
    available_on: int
    fee: int = 0
    category: str = ""


def charge_fee(amount: int) -> int:
    """Stripe's fee for a charge, in cents: 2.9 % rounded half up, plus 30 cents."""
    return (amount * CHARGE_FEE_BASIS_POINTS + _WHOLE // 2) // _WHOLE + CHARGE_FEE_CENTS


def move(state: State, movement: Movement, account: str | None = None) -> Json:
    """Book a movement in an account (None: the platform's) and return its balance transaction."""
    details = (
        [{"amount": movement.fee, "currency": movement.currency, "type": "stripe_fee", "description": "Stripe fees"}]
        if movement.fee
        else []
    )
    made = state.create(
        "txn_",
        "balance_transaction",
        {
            "amount": movement.amount,
            "available_on": movement.available_on,
            "currency": movement.currency,
            "description": None,
            "exchange_rate": None,
            "fee": movement.fee,
            "fee_details": details,
            "net": movement.amount - movement.fee,
            "reporting_category": movement.category or movement.kind,
            "source": movement.source,
            "type": movement.kind,
        },
        account,
    )
    state.store.write(
        "INSERT INTO movement VALUES (?, ?, ?, ?, ?)",
        *(made["id"], account or state.platform, movement.currency, made["net"], movement.available_on),
    )
    return made


def totals(state: State, account: str | None = None) -> dict[str, tuple[int, int]]:
    """Return available and pending cents of an account by currency."""
    rows = state.store.rows(
        "SELECT currency, coalesce(sum(net) FILTER (WHERE available_on <= ?1), 0) AS available,"
        " coalesce(sum(net) FILTER (WHERE available_on > ?1), 0) AS pending"
        " FROM movement WHERE account = ?2 GROUP BY currency ORDER BY currency",
        *(int(state.now()), account or state.platform),
    )
    return {row["currency"]: (row["available"], row["pending"]) for row in rows}


def available(state: State, currency: str, account: str | None = None) -> int:
    """Return an account's available cents."""
    return totals(state, account).get(currency, (0, 0))[0]


def insufficient() -> ApiError:
    """The balance is too small; sentence and code are Stripe's."""
    return ApiError(
        "You have insufficient available funds in your Stripe account. You can use the /v1/balance endpoint to view "
        "your Stripe balance (for more details, see stripe.com/docs/api#balance).",
        code="balance_insufficient",
    )


def retrieve_balance(state: State, call: Call) -> Json:
    """`GET /v1/balance`."""
    sums = totals(state, call.account) or {DEFAULT_CURRENCY: (0, 0)}

    def amounts(place: int) -> list[Json]:
        return [
            {"amount": both[place], "currency": currency, "source_types": {"card": both[place]}}
            for currency, both in sums.items()
        ]

    return {"object": "balance", "available": amounts(0), "livemode": False, "pending": amounts(1)}


def retrieve_transaction(state: State, call: Call) -> Json:
    """`GET /v1/balance_transactions/{id}`."""
    return state.require("balance_transaction", call.ids[0], account=call.account)


def list_transactions(state: State, call: Call) -> Json:
    """`GET /v1/balance_transactions`."""
    return listed(state, call, "balance_transaction", ("source", "type", "currency"))
