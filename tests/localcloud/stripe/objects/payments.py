"""PaymentIntents and charges, as Checkout makes them for a payment and the API shows them."""

import time
from dataclasses import dataclass
from typing import Final

from localcloud.stripe.http.errors import Json
from localcloud.stripe.http.lists import listed
from localcloud.stripe.objects.balance import Movement, charge_fee, move
from localcloud.stripe.state.state import Call, State

AVAILABLE_AFTER: Final = "available_after_seconds"
AVAILABLE_AFTER_SECONDS: Final = 2 * 24 * 3600
BUSINESS_DAYS: Final = "business_days"
FIRST_DAYS: Final = "first_days"
_DAY: Final = 24 * 3600
_SATURDAY: Final = 5
DECLINED: Final = "Your card was declined."


@dataclass(frozen=True)
class Payer:
    """The person who pays at the checkout page."""

    email: str | None = None
    name: str | None = None


def create_intent(state: State, session: Json) -> Json:
    """Make the PaymentIntent of a Checkout Session, as Stripe does at the first attempt to pay."""
    wanted: Json = session["_payment_intent_data"]
    intent = state.create(
        "pi_",
        "payment_intent",
        {
            "amount": session["amount_total"],
            "amount_capturable": 0,
            "amount_received": 0,
            "application": None,
            "application_fee_amount": None,
            "canceled_at": None,
            "capture_method": "automatic_async",
            "confirmation_method": "automatic",
            "currency": session["currency"],
            "customer": session["customer"],
            "description": wanted.get("description"),
            "last_payment_error": None,
            "latest_charge": None,
            "metadata": wanted.get("metadata") or {},
            "next_action": None,
            "on_behalf_of": None,
            "payment_method": None,
            "payment_method_types": session["payment_method_types"],
            "receipt_email": wanted.get("receipt_email"),
            "statement_descriptor": wanted.get("statement_descriptor"),
            "status": "requires_payment_method",
            "transfer_data": None,
            "transfer_group": wanted.get("transfer_group"),
        },
    )
    state.emit("payment_intent.created", intent)
    return intent


def create_charge(state: State, intent: Json, status: str, payer: Payer) -> Json:
    """Make a charge of an intent: `succeeded`, `pending` (a bank's answer is awaited) or `failed`."""
    bank = status == "pending"
    charge = state.create(
        "py_" if bank else "ch_",
        "charge",
        {
            "amount": intent["amount"],
            "amount_captured": 0,
            "amount_refunded": 0,
            "application_fee": None,
            "application_fee_amount": None,
            "balance_transaction": None,
            "billing_details": {"address": None, "email": payer.email, "name": payer.name, "phone": None},
            "captured": status == "succeeded",
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "destination": None,
            "dispute": None,
            "disputed": False,
            "failure_balance_transaction": None,
            "failure_code": None,
            "failure_message": None,
            "fraud_details": {},
            "metadata": intent["metadata"],
            "outcome": None,
            "paid": status == "succeeded",
            "payment_intent": intent["id"],
            "payment_method": state.new_id("pm_"),
            "payment_method_details": {"type": "us_bank_account"}
            if bank
            else {"card": {"brand": "visa", "country": "US", "last4": "4242"}, "type": "card"},
            "receipt_email": intent["receipt_email"],
            "receipt_url": None,
            "refunded": False,
            "source_transfer": None,
            "status": status,
            "transfer_data": None,
            "transfer_group": intent["transfer_group"],
        },
    )
    intent.update(latest_charge=charge["id"], payment_method=charge["payment_method"])
    return charge


def succeed(state: State, intent: Json, charge: Json) -> None:
    """Book the money of a charge and emit its events."""
    now = int(state.now())
    transaction = move(
        state,
        Movement(
            "payment" if charge["id"].startswith("py_") else "charge",
            charge["amount"],
            charge["currency"],
            charge["id"],
            available_on(state, now),
            charge_fee(charge["amount"]),
            "charge",
        ),
    )
    charge.update(
        status="succeeded",
        paid=True,
        captured=True,
        amount_captured=charge["amount"],
        balance_transaction=transaction["id"],
        outcome={"network_status": "approved_by_network", "risk_level": "normal", "type": "authorized"},
    )
    intent.update(status="succeeded", amount_received=charge["amount"], last_payment_error=None)
    state.save(charge)
    state.save(intent)
    state.emit("charge.succeeded", charge)
    state.emit("payment_intent.succeeded", intent)


def available_on(state: State, now: int) -> int:
    """Return when a charge's money is available: after seconds, or business days (longer for the first charges)."""
    days: int | None = state.store.setting(BUSINESS_DAYS, None)
    if days is None:
        return now + int(state.store.setting(AVAILABLE_AFTER, AVAILABLE_AFTER_SECONDS))
    charges = state.store.rows("SELECT min(available_on) AS first FROM movement WHERE net > 0")
    first: int | None = charges[0]["first"]
    if first is None or now < first:  # until the first money is there, a new platform waits for all of it
        return first or now + int(state.store.setting(FIRST_DAYS, 14)) * _DAY
    moment = now
    while days > 0:
        moment += _DAY
        days -= time.gmtime(moment).tm_wday < _SATURDAY
    return moment


def await_bank(state: State, intent: Json, charge: Json) -> None:
    """Let a payment wait for the bank, which takes days at the real Stripe."""
    intent["status"] = "processing"
    state.save(charge)
    state.save(intent)
    state.emit("charge.pending", charge)
    state.emit("payment_intent.processing", intent)


def decline(state: State, intent: Json, charge: Json) -> None:
    """Refuse a payment."""
    charge.update(
        status="failed",
        failure_code="card_declined",
        failure_message=DECLINED,
        outcome={"network_status": "declined_by_network", "risk_level": "normal", "type": "issuer_declined"},
    )
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        last_payment_error={
            "charge": charge["id"],
            "code": "card_declined",
            "decline_code": "generic_decline",
            "message": DECLINED,
            "type": "card_error",
        },
    )
    state.save(charge)
    state.save(intent)
    state.emit("charge.failed", charge)
    state.emit("payment_intent.payment_failed", intent)


def retrieve_intent(state: State, call: Call) -> Json:
    """`GET /v1/payment_intents/{id}`."""
    return state.require("payment_intent", call.ids[0], account=call.account)


def list_intents(state: State, call: Call) -> Json:
    """`GET /v1/payment_intents`."""
    return listed(state, call, "payment_intent", ("customer",))


def retrieve_charge(state: State, call: Call) -> Json:
    """`GET /v1/charges/{id}`."""
    return state.require("charge", call.ids[0], account=call.account)


def list_charges(state: State, call: Call) -> Json:
    """`GET /v1/charges`."""
    return listed(state, call, "charge", ("payment_intent", "transfer_group", "customer"))
