"""Transfers to connected accounts, and their reversals."""

from localcloud.stripe.http.errors import ApiError, Json, invalid, missing_object
from localcloud.stripe.http.lists import listed
from localcloud.stripe.objects.balance import Movement, available, insufficient, move, totals
from localcloud.stripe.objects.connect import require_destination
from localcloud.stripe.objects.metadata import merged
from localcloud.stripe.state.state import Call, Criteria, State


def create_transfer(state: State, call: Call) -> Json:
    """`POST /v1/transfers`: from the available balance, or from a charge whose money may still be pending."""
    params = call.params
    amount, currency = params.get("amount"), params["currency"].lower()
    if amount is None:
        raise invalid("Missing required param: amount.", "amount", "parameter_missing")
    if amount < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    destination = require_destination(state, params["destination"])
    metadata = merged({}, params.get("metadata"))
    available_on, group = int(state.now()), params.get("transfer_group")
    if source := params.get("source_transaction"):
        charge = _source(state, source, amount, currency)
        available_on = max(available_on, _booked(state, charge)["available_on"])
        group = group or _group_of(state, charge)
    elif available(state, currency) < amount:
        raise insufficient()
    made = state.create(
        "tr_",
        "transfer",
        {
            "amount": amount,
            "amount_reversed": 0,
            "balance_transaction": None,
            "currency": currency,
            "description": params.get("description"),
            "destination": destination["id"],
            "destination_payment": state.new_id("py_"),
            "metadata": metadata,
            "reversals": None,
            "reversed": False,
            "source_transaction": source,
            "source_type": "card",
            "transfer_group": group,
        },
    )
    url = f"/v1/transfers/{made['id']}/reversals"
    made["reversals"] = {"object": "list", "data": [], "has_more": False, "total_count": 0, "url": url}
    made["balance_transaction"] = move(state, Movement("transfer", -amount, currency, made["id"], available_on))["id"]
    payment = made["destination_payment"]
    move(state, Movement("payment", amount, currency, payment, available_on, 0, "charge"), destination["id"])
    state.save(made)
    state.emit("transfer.created", made)
    return made


def _source(state: State, charge_id: str, amount: int, currency: str) -> Json:
    """Return a transfer's source charge. Raises ApiError."""
    charge = state.find("charge", charge_id)
    if charge is None:
        raise missing_object("charge", charge_id, "source_transaction")
    if charge["status"] != "succeeded":
        raise ApiError("The source_transaction has not succeeded.", param="source_transaction")
    if charge["currency"] != currency:
        message = f"The currency of source_transaction ({charge['currency']}) must match the transfer's ({currency})."
        raise ApiError(message, param="currency")
    others = state.matching("transfer", Criteria({"source_transaction": charge_id}))
    used = sum(each["amount"] - each["amount_reversed"] for each in others)
    if used + amount > charge["amount"]:
        rest = f" (There is already a transfer using this source, amounting to {_dollars(used)}.)" if used else ""
        message = "Transfers using this transaction as a source must not exceed the source amount of"
        raise ApiError(f"{message} {_dollars(charge['amount'])}.{rest}", param="amount")
    return charge


def _booked(state: State, charge: Json) -> Json:
    return state.require("balance_transaction", charge["balance_transaction"])


def _group_of(state: State, charge: Json) -> str:
    """Return the charge's group; a charge without one gets one, as at the real Stripe."""
    if not charge["transfer_group"]:
        charge["transfer_group"] = f"group_{charge['payment_intent']}"
        state.save(charge)
    return str(charge["transfer_group"])


def retrieve_transfer(state: State, call: Call) -> Json:
    """`GET /v1/transfers/{id}`."""
    return state.require("transfer", call.ids[0])


def list_transfers(state: State, call: Call) -> Json:
    """`GET /v1/transfers`."""
    return listed(state, call, "transfer", ("transfer_group", "destination"))


def update_transfer(state: State, call: Call) -> Json:
    """`POST /v1/transfers/{id}`."""
    made = state.require("transfer", call.ids[0])
    made["metadata"] = merged(made["metadata"], call.params.get("metadata"))
    if "description" in call.params:
        made["description"] = call.params["description"]
    state.save(made)
    state.emit("transfer.updated", made)
    return made


def create_reversal(state: State, call: Call) -> Json:
    """`POST /v1/transfers/{id}/reversals`: the whole rest, or `amount`."""
    made = state.require("transfer", call.ids[0])
    left = made["amount"] - made["amount_reversed"]
    amount = call.params.get("amount", left)
    if left == 0:
        raise ApiError(f"Transfer {made['id']} is already fully reversed.", code="transfer_already_reversed")
    if not 1 <= amount <= left:
        message = f"Reversal amount ({_dollars(amount)}) is greater than unreversed amount ({_dollars(left)})."
        raise ApiError(message, param="amount")
    return reverse(state, made, amount, merged({}, call.params.get("metadata")), call.params.get("description"))


def reverse(state: State, made: Json, amount: int, metadata: dict[str, str], description: str | None = None) -> Json:
    """Take back part of a transfer, out of the account's balance. Raises ApiError."""
    owner, currency = made["destination"], made["currency"]
    if sum(totals(state, owner).get(currency, (0, 0))) < amount:
        raise insufficient()
    # Pending money comes back when it would have become available there.
    available_on = max(int(state.now()), _booked(state, made)["available_on"])
    reversal = state.create(
        "trr_",
        "transfer_reversal",
        {
            "amount": amount,
            "balance_transaction": None,
            "currency": currency,
            "description": description,
            "destination_payment_refund": state.new_id("pyr_"),
            "metadata": metadata,
            "source_refund": None,
            "transfer": made["id"],
        },
    )
    back = move(state, Movement("transfer_refund", amount, currency, reversal["id"], available_on))
    refund_id = reversal["destination_payment_refund"]
    move(state, Movement("payment_refund", -amount, currency, refund_id, available_on, 0, "refund"), owner)
    reversal["balance_transaction"] = back["id"]
    state.save(reversal)
    previous = {"amount_reversed": made["amount_reversed"], "reversed": made["reversed"]}
    made["amount_reversed"] += amount
    made["reversed"] = made["amount_reversed"] == made["amount"]
    made["reversals"]["data"] = [reversal, *made["reversals"]["data"]]
    made["reversals"]["total_count"] += 1
    state.save(made)
    state.emit("transfer.reversed", made, previous=previous)
    return reversal


def retrieve_reversal(state: State, call: Call) -> Json:
    """`GET /v1/transfers/{id}/reversals/{id}`."""
    reversal = state.require("transfer_reversal", call.ids[1])
    if reversal["transfer"] != call.ids[0]:
        raise missing_object("transfer_reversal", call.ids[1])
    return reversal


def list_reversals(state: State, call: Call) -> Json:
    """`GET /v1/transfers/{id}/reversals`."""
    state.require("transfer", call.ids[0])
    narrowed = Call({**call.params, "transfer": call.ids[0]}, call.ids, call.account)
    return listed(state, narrowed, "transfer_reversal", ("transfer",), f"/v1/transfers/{call.ids[0]}/reversals")


def _dollars(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02}"
