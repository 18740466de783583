"""Refunds, over the API or by hand in the dashboard."""

from typing import Final

from localcloud.stripe.http.errors import ApiError, Json, invalid
from localcloud.stripe.http.lists import listed
from localcloud.stripe.objects.balance import Movement, available, insufficient, move
from localcloud.stripe.objects.metadata import merged
from localcloud.stripe.state.state import Call, State

NEED_BALANCE: Final = "refunds_need_balance"
STAY_PENDING: Final = "refunds_stay_pending"


def create_refund(state: State, call: Call) -> Json:
    """`POST /v1/refunds`, by charge or PaymentIntent: the whole rest, or `amount`."""
    params = call.params
    charge = _charge_of(state, params)
    left = charge["amount"] - charge["amount_refunded"]
    unlost = left - charge.get("_lost", 0)
    if charge.get("_disputed_now") or (unlost <= 0 < left) or params.get("amount", left) > unlost < left:
        raise ApiError(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if left == 0:
        raise ApiError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = params.get("amount", left)
    if amount < 1:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    if amount > left:
        message = (
            f"Refund amount ({_dollars(amount)}) is greater than unrefunded amount on charge ({_dollars(left)})"
            if charge["amount_refunded"]
            else f"Refund amount ({_dollars(amount)}) is greater than charge amount ({_dollars(left)})"
        )
        raise ApiError(message, param="amount")
    if state.store.setting(NEED_BALANCE, 0) and available(state, charge["currency"]) < amount:
        raise insufficient()
    more = {"reason": params.get("reason"), "_told": params.get("_told", {})}
    return refund(state, charge, amount, more, merged({}, params.get("metadata")))


def refund(state: State, charge: Json, amount: int, more: Json, metadata: dict[str, str]) -> Json:
    """Refund part of a charge from the available balance, which may become negative; Stripe keeps its fee."""
    made = state.create(
        "re_",
        "refund",
        {
            "amount": amount,
            "balance_transaction": None,
            "charge": charge["id"],
            "currency": charge["currency"],
            "destination_details": {"card": {"reference_status": "pending", "type": "refund"}, "type": "card"},
            "metadata": metadata,
            "payment_intent": charge["payment_intent"],
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": "pending",
            "transfer_reversal": None,
            **more,
        },
    )
    if not state.store.setting(STAY_PENDING, 0):
        _take(state, made)
    previous = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    _count(state, charge, amount)
    state.emit("refund.created", made)
    state.emit("charge.refunded", charge, previous=previous)
    return made


def settle_refund(state: State, refund_id: str) -> Json:
    """Let a pending refund succeed. Raises ApiError."""
    made = state.require("refund", refund_id)
    if made["status"] != "pending":
        raise ApiError(f"Refund {refund_id} is {made['status']}.")
    _take(state, made)
    state.emit("refund.updated", made)
    return made


def _take(state: State, made: Json) -> None:
    booked = move(state, Movement("refund", -made["amount"], made["currency"], made["id"], int(state.now())))
    made.update(status="succeeded", balance_transaction=booked["id"])
    state.save(made)


def fail_refund(state: State, refund_id: str) -> Json:
    """Let the customer's bank refuse a refund; its money comes back to us. Raises ApiError."""
    made = state.require("refund", refund_id)
    if made["status"] not in ("succeeded", "pending"):
        raise ApiError(f"Refund {refund_id} is {made['status']}.")
    charge = state.require("charge", made["charge"])
    kind, now = "refund_failure", int(state.now())
    if made["status"] == "succeeded":
        booked = move(state, Movement(kind, made["amount"], made["currency"], made["id"], now))
        made["failure_balance_transaction"] = booked["id"]
    made.update(status="failed", failure_reason="expired_or_canceled_card")
    state.save(made)
    _count(state, charge, -made["amount"])
    state.emit("refund.failed", made)
    state.emit("charge.refund.updated", made)
    return made


def _count(state: State, charge: Json, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    state.save(charge)


def _charge_of(state: State, params: Json) -> Json:
    """Return the charge that a request names, which must have succeeded. Raises ApiError."""
    if charge_id := params.get("charge"):
        charge = state.require("charge", charge_id, "charge")
        if (intent_id := params.get("payment_intent")) and charge["payment_intent"] != intent_id:
            raise invalid("The charge is not of this payment_intent.", "payment_intent")
    elif intent_id := params.get("payment_intent"):
        intent = state.require("payment_intent", intent_id, "payment_intent")
        if intent["status"] != "succeeded":
            message = f"This PaymentIntent ({intent_id}) does not have a successful charge to refund."
            raise ApiError(message, code="payment_intent_unexpected_state", param="payment_intent")
        charge = state.require("charge", intent["latest_charge"])
    else:
        raise invalid("One of the following params should be provided: payment_intent or charge.", None)
    if charge["status"] != "succeeded":
        raise ApiError(f"Charge {charge['id']} has not succeeded and cannot be refunded.", param="charge")
    return charge


def retrieve_refund(state: State, call: Call) -> Json:
    """`GET /v1/refunds/{id}`."""
    return state.require("refund", call.ids[0])


def list_refunds(state: State, call: Call) -> Json:
    """`GET /v1/refunds`."""
    return listed(state, call, "refund", ("charge", "payment_intent"))


def update_refund(state: State, call: Call) -> Json:
    """`POST /v1/refunds/{id}`: only metadata can change."""
    made = state.require("refund", call.ids[0])
    made["metadata"] = merged(made["metadata"], call.params.get("metadata"))
    return state.save(made)


def _dollars(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02}"
