"""Payouts of connected accounts to their banks; controls make them and let them fail, the API shows them."""

from localcloud.stripe.http.errors import ApiError, Json, invalid
from localcloud.stripe.http.lists import listed
from localcloud.stripe.objects.balance import DEFAULT_CURRENCY, Movement, available, insufficient, move
from localcloud.stripe.state.state import Call, State

_FAILURE_CODE = "account_closed"
_FAILURE = "The bank account has been closed."


def pay_out(state: State, account_id: str, amount: int | None = None, *, automatic: bool = True) -> Json:
    """Pay an account's available balance (or `amount` cents of it) to its bank. Raises ApiError."""
    have = available(state, DEFAULT_CURRENCY, account_id)
    wanted = have if amount is None else amount
    if not 0 < wanted <= have:
        raise insufficient()
    now = int(state.now())
    made = state.create(
        "po_",
        "payout",
        {
            "amount": wanted,
            "arrival_date": now,
            "automatic": automatic,
            "balance_transaction": None,
            "currency": DEFAULT_CURRENCY,
            "description": None,
            "destination": state.new_id("ba_"),
            "failure_balance_transaction": None,
            "failure_code": None,
            "failure_message": None,
            "metadata": {},
            "method": "standard",
            "source_type": "card",
            "status": "in_transit",
            "type": "bank_account",
        },
        account_id,
    )
    booked = move(state, Movement("payout", -wanted, DEFAULT_CURRENCY, made["id"], now), account_id)
    made["balance_transaction"] = booked["id"]
    state.save(made)
    state.emit("payout.created", made, account=account_id)
    return made


def arrive(state: State, payout_id: str) -> Json:
    """Let a payout arrive. Raises ApiError."""
    account, made = _payout(state, payout_id)
    made["status"] = "paid"
    state.save(made)
    state.emit("payout.paid", made, account=account)
    return made


def fail_payout(state: State, payout_id: str, code: str = _FAILURE_CODE, message: str = _FAILURE) -> Json:
    """Let the bank refuse a payout, also one that had arrived; the account gets the money back. Raises ApiError."""
    account, made = _payout(state, payout_id)
    if made["status"] == "failed":
        raise ApiError(f"Payout {payout_id} has already failed.")
    back = Movement("payout_failure", made["amount"], made["currency"], payout_id, int(state.now()), 0, "payout")
    booked = move(state, back, account)
    made.update(status="failed", failure_balance_transaction=booked["id"], failure_code=code, failure_message=message)
    state.save(made)
    state.emit("payout.failed", made, account=account)
    return made


def _payout(state: State, payout_id: str) -> tuple[str, Json]:
    found = state.store.get(payout_id)
    if found is None or found[1]["object"] != "payout":
        raise ApiError(f"No such payout: '{payout_id}'", status=404, code="resource_missing")
    return found


def create_payout(state: State, call: Call) -> Json:
    """`POST /v1/payouts`."""
    if call.params["amount"] < 1:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    return pay_out(state, call.account, call.params["amount"], automatic=False)


def retrieve_payout(state: State, call: Call) -> Json:
    """`GET /v1/payouts/{id}`."""
    return state.require("payout", call.ids[0], account=call.account)


def list_payouts(state: State, call: Call) -> Json:
    """`GET /v1/payouts`."""
    return listed(state, call, "payout", ("status", "destination"))
