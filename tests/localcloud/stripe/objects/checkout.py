"""Checkout Sessions: created over the API, paid on our page, expired by time."""

import re
from typing import Final, Literal
from urllib.parse import urlsplit

from localcloud.stripe.http.errors import ApiError, Json, invalid
from localcloud.stripe.http.lists import listed
from localcloud.stripe.objects import payments, tax
from localcloud.stripe.objects.metadata import merged
from localcloud.stripe.objects.payments import Payer
from localcloud.stripe.state.state import Call, State

KIND: Final = "checkout.session"
_SHORTEST_SECONDS: Final = 30 * 60
_LONGEST_SECONDS: Final = 24 * 3600
_SLACK_SECONDS: Final = 60  # the difference between the caller's clock and this one
_SMALLEST_CENTS: Final = 50
_LARGEST_CENTS: Final = 99_999_999
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_PLACEHOLDER: Final = "{CHECKOUT_SESSION_ID}"

type Choice = Literal["pay", "fail", "pay_later"]


class NotOpen(Exception):
    """The session is complete or expired, so nobody can pay it."""


def create_session(state: State, call: Call) -> Json:
    """`POST /v1/checkout/sessions`: one payment of line items priced in the request."""
    params = call.params
    _check(params)
    items = [_line_item(number, item) for number, item in enumerate(params["line_items"])]
    currencies = {item["currency"] for item in items}
    if len(currencies) > 1:
        raise invalid("All line items must have the same currency.", "line_items")
    amount = sum(item["amount_total"] for item in items)
    if amount < _SMALLEST_CENTS:
        message = "The Checkout Session's total amount must convert to at least 50 cents."
        raise ApiError(message, code="amount_too_small", param="line_items", began=False)
    if amount > _LARGEST_CENTS:
        message = "The Checkout Session's total amount must be no more than $999,999.99."
        raise ApiError(message, code="amount_too_large", param="line_items", began=False)
    if customer := params.get("customer"):
        state.require("customer", customer, "customer")
    wanted = dict(params.get("payment_intent_data", {}))
    wanted["metadata"] = merged({}, wanted.get("metadata"))
    with_tax = tax.asked_for(params)
    made = state.create(
        "cs_test_",
        KIND,
        {
            "amount_subtotal": amount,
            "amount_total": amount,
            "automatic_tax": tax.before_payment(wanted=with_tax),
            "cancel_url": params.get("cancel_url"),
            "client_reference_id": params.get("client_reference_id"),
            "currency": currencies.pop(),
            "customer": params.get("customer"),
            "customer_creation": "if_required",
            "customer_details": None,
            "customer_email": params.get("customer_email"),
            "invoice_creation": {"enabled": _enabled(params, "invoice_creation"), "invoice_data": {}},
            "expires_at": _expiry(state, params.get("expires_at")),
            "locale": params.get("locale"),
            "metadata": merged({}, params.get("metadata")),
            "mode": "payment",
            "payment_intent": None,
            "payment_method_types": params.get("payment_method_types", ["card", "us_bank_account"]),
            "payment_status": "unpaid",
            "status": "open",
            "submit_type": params.get("submit_type"),
            "success_url": params["success_url"],
            "tax_id_collection": {"enabled": _enabled(params, "tax_id_collection"), "required": "never"},
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
            "ui_mode": "hosted_page",
            "url": None,
            "_line_items": items,
            "_payment_intent_data": wanted,
        },
    )
    return _with_url(state, made)


def _check(params: Json) -> None:
    """Refuse requests that the stand-in does not support or Stripe would refuse."""
    if params.get("mode") is None:
        raise invalid("You must provide `mode`: payment, setup or subscription.", "mode", "parameter_missing")
    if params["mode"] != "payment":
        raise invalid("The stand-in supports mode payment only", "mode")
    if params.get("ui_mode") not in (None, "hosted", "hosted_page"):
        raise invalid("The stand-in supports ui_mode hosted_page only", "ui_mode")
    for name in ("line_items", "success_url"):
        if not params.get(name):
            raise invalid(f"Missing required param: {name}.", name, "parameter_missing")
    addresses = (
        ("customer_email", params.get("customer_email")),
        (
            "payment_intent_data[receipt_email]",
            params.get("payment_intent_data", {}).get("receipt_email"),
        ),
    )
    for name, address in addresses:
        if address is not None and not _ADDRESS.fullmatch(address):
            raise invalid(f"Invalid email address: {address}", name, "email_invalid")
    for name in ("success_url", "cancel_url"):
        if params.get(name) and not urlsplit(params[name].replace(_PLACEHOLDER, "")).scheme.startswith("http"):
            raise invalid("Not a valid URL", name, "url_invalid")


def _enabled(params: Json, name: str) -> bool:
    return bool(params.get(name, {}).get("enabled", False))


def _line_item(number: int, item: Json) -> Json:
    where = f"line_items[{number}]"
    price = item.get("price_data")
    if price is None:
        raise invalid("The stand-in has no prices: send price_data", f"{where}[price_data]", "parameter_missing")
    if price.get("product_data") is None:
        name = f"{where}[price_data][product_data]"
        raise invalid(f"Missing required param: {name}.", name, "parameter_missing")
    amount, quantity = price.get("unit_amount"), item.get("quantity", 1)
    if amount is None:
        name = f"{where}[price_data][unit_amount]"
        raise invalid(f"Missing required param: {name}.", name, "parameter_missing")
    if amount < 0 or quantity < 1:
        raise invalid("Invalid integer", f"{where}[quantity]", "parameter_invalid_integer")
    return {
        "amount_total": amount * quantity,
        "currency": price["currency"].lower(),
        "description": price["product_data"]["name"],
        "quantity": quantity,
        "unit_amount": amount,
    }


def _expiry(state: State, wanted: int | None) -> int:
    now = state.now()
    if wanted is None:
        return int(now) + _LONGEST_SECONDS
    moment = state.inward(wanted)
    if not now + _SHORTEST_SECONDS - _SLACK_SECONDS <= moment <= now + _LONGEST_SECONDS + _SLACK_SECONDS:
        message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
        raise invalid(message, "expires_at")
    return moment


def retrieve_session(state: State, call: Call) -> Json:
    """`GET /v1/checkout/sessions/{id}`."""
    return _with_url(state, state.require(KIND, call.ids[0]))


def list_sessions(state: State, call: Call) -> Json:
    """`GET /v1/checkout/sessions`."""
    found = listed(state, call, KIND, ("payment_intent", "status", "customer"))
    return {**found, "data": [_with_url(state, each) for each in found["data"]]}


def list_line_items(state: State, call: Call) -> Json:
    """`GET /v1/checkout/sessions/{id}/line_items`."""
    session = state.require(KIND, call.ids[0])
    items = [
        {
            "id": f"li_{session['id'][8:]}{number}",
            "object": "item",
            "amount_discount": 0,
            "amount_subtotal": item["amount_total"],
            "amount_tax": 0,
            "amount_total": item["amount_total"],
            "currency": item["currency"],
            "description": item["description"],
            "quantity": item["quantity"],
        }
        for number, item in enumerate(session["_line_items"])
    ]
    return {"object": "list", "url": f"/v1/checkout/sessions/{session['id']}/line_items", "has_more": False} | {
        "data": items
    }


def expire_session(state: State, call: Call) -> Json:
    """`POST /v1/checkout/sessions/{id}/expire`."""
    session = state.require(KIND, call.ids[0])
    if session["status"] != "open":
        message = (
            f'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of `{session['status']}`."
        )
        raise ApiError(message)
    return _expire(state, session)


def expire_due(state: State) -> int:
    """Expire open sessions past their time, and return their number."""
    due = state.store.open_until(int(state.now()))
    for session in due:
        _expire(state, session)
    return len(due)


def _expire(state: State, session: Json) -> Json:
    session["status"] = "expired"
    state.save(_with_url(state, session))
    state.emit("checkout.session.expired", session)
    return session


def choose(state: State, session_id: str, choice: Choice, payer: Payer) -> Json:
    """Press a button of the page as a person would. Raises NotOpen, and ApiError when there is no such session.

    After `fail` the session stays open for another try.
    """
    expire_due(state)
    session = state.require(KIND, session_id)
    if session["status"] != "open":
        raise NotOpen(session_id)
    payer = Payer(payer.email or session["customer_email"] or "customer@example.com", payer.name)
    intent = _intent(state, session)
    session["payment_intent"] = intent["id"]
    if choice == "fail":
        payments.decline(state, intent, payments.create_charge(state, intent, "failed", payer))
        return state.save(session)
    _complete(session, payer)
    if choice == "pay":
        payments.succeed(state, intent, payments.create_charge(state, intent, "succeeded", payer))
        session["payment_status"] = "paid"
    else:
        payments.await_bank(state, intent, payments.create_charge(state, intent, "pending", payer))
    state.save(session)
    state.emit("checkout.session.completed", session)
    return session


def answer_of_bank(state: State, session_id: str, *, paid: bool) -> Json:
    """Let the bank answer a delayed payment. Raises NotOpen when none is awaited, and ApiError."""
    session = state.require(KIND, session_id)
    if (session["status"], session["payment_status"]) != ("complete", "unpaid") or session.get("_refused"):
        raise NotOpen(session_id)
    intent = state.require("payment_intent", session["payment_intent"])
    charge = state.require("charge", intent["latest_charge"])
    if paid:
        payments.succeed(state, intent, charge)
        session["payment_status"] = "paid"
        state.save(session)
        state.emit("checkout.session.async_payment_succeeded", session)
    else:
        payments.decline(state, intent, charge)
        session["_refused"] = True
        state.save(session)
        state.emit("checkout.session.async_payment_failed", session)
    return session


def _intent(state: State, session: Json) -> Json:
    if session["payment_intent"]:
        return state.require("payment_intent", session["payment_intent"])
    return payments.create_intent(state, session)


def _complete(session: Json, payer: Payer) -> None:
    details = {"address": None, "email": payer.email, "name": payer.name, "phone": None, "tax_exempt": "none"}
    tax.reckon(session)
    session.update(status="complete", customer_details={**details, "tax_ids": []}, url=None)


def _with_url(state: State, session: Json) -> Json:
    """Add the address of the payment page while the session is open; its port changes with the process."""
    session["url"] = f"{state.public_url}/pay/{session['id']}" if session["status"] == "open" else None
    return session


def success_url(session: Json) -> str:
    """Return the address for a customer who has paid."""
    return str(session["success_url"]).replace(_PLACEHOLDER, session["id"])
