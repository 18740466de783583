"""Checkout Sessions: requests, answers, and final states."""

import time
from typing import Any

import pytest
import stripe

from localcloud.stripe.objects.checkout import NotOpen
from support.money.stripe_shop import FEE, PRICE, StripeShop, order


def test_a_session_says_what_was_asked_and_where_to_pay(stripe_shop: StripeShop) -> None:
    session = stripe_shop.session(customer_email="ann@example.com", client_reference_id="c1")
    assert (session.status, session.payment_status, session.amount_total, session.currency) == (
        *("open", "unpaid", PRICE, "usd"),
    )
    assert session.id.startswith("cs_test_")
    assert session.livemode is False
    assert session.url == f"{stripe_shop.control.url}/pay/{session.id}"
    assert session.metadata is not None
    assert session.metadata.to_dict() == {"intakeId": "intake-1"}
    assert session.payment_intent is None
    assert session.client_reference_id == "c1"
    (item,) = stripe_shop.client.v1.checkout.sessions.line_items.list(session.id).data
    assert (item.description, item.amount_total) == ("Standard", PRICE)


def test_paying_makes_intent_charge_and_fee(stripe_shop: StripeShop) -> None:
    session = stripe_shop.session(payment_intent_data={"metadata": {"a": "b"}, "transfer_group": "g"})
    stripe_shop.control.pay(session.id, email="ann@example.com", name="Ann")
    after = stripe_shop.client.v1.checkout.sessions.retrieve(
        session.id, params={"expand": ["payment_intent.latest_charge.balance_transaction"]}
    )
    assert (after.status, after.payment_status, after.url) == ("complete", "paid", None)
    assert after.customer_details is not None
    assert after.customer_details.email == "ann@example.com"
    intent = after.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert (intent.status, intent.amount_received, intent.metadata.to_dict(), intent.transfer_group) == (
        *("succeeded", PRICE, {"a": "b"}, "g"),
    )
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert (charge.status, charge.paid, charge.amount, charge.transfer_group) == ("succeeded", True, PRICE, "g")
    booked = charge.balance_transaction
    assert isinstance(booked, stripe.BalanceTransaction)
    assert (booked.amount, booked.fee, booked.net, booked.status) == (PRICE, FEE, PRICE - FEE, "pending")
    assert stripe_shop.kinds() == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]


def test_a_declined_card_leaves_the_session_open(stripe_shop: StripeShop) -> None:
    session = stripe_shop.session()
    stripe_shop.control.pay(session.id, "fail")
    after = stripe_shop.client.v1.checkout.sessions.retrieve(session.id)
    assert (after.status, after.payment_status) == ("open", "unpaid")
    charge = stripe_shop.charge_of(session.id)
    assert (charge.status, charge.failure_code, charge.balance_transaction) == ("failed", "card_declined", None)
    stripe_shop.control.pay(session.id)
    assert stripe_shop.charge_of(session.id).status == "succeeded"
    assert len(stripe_shop.client.v1.charges.list(params={"payment_intent": str(charge.payment_intent)}).data) == 2


@pytest.mark.parametrize(
    ("paid", "payment_status", "event", "charge"),
    [(True, "paid", "async_payment_succeeded", "succeeded"), (False, "unpaid", "async_payment_failed", "failed")],
)
def test_a_bank_that_answers_later(
    stripe_shop: StripeShop,
    paid: bool,  # noqa: FBT001
    payment_status: str,
    event: str,
    charge: str,
) -> None:
    session = stripe_shop.session()
    stripe_shop.control.pay(session.id, "pay_later")
    before = stripe_shop.client.v1.checkout.sessions.retrieve(session.id)
    assert (before.status, before.payment_status) == ("complete", "unpaid")
    assert stripe_shop.charge_of(session.id).status == "pending"
    assert stripe_shop.kinds()[-1] == "checkout.session.completed"
    stripe_shop.control.bank_answers(session.id, paid=paid)
    after = stripe_shop.client.v1.checkout.sessions.retrieve(session.id)
    assert (after.status, after.payment_status) == ("complete", payment_status)
    assert stripe_shop.charge_of(session.id).status == charge
    assert stripe_shop.kinds()[-1] == f"checkout.session.{event}"
    with pytest.raises(NotOpen):
        stripe_shop.control.bank_answers(session.id)


def test_nobody_pays_twice(stripe_shop: StripeShop) -> None:
    session = stripe_shop.session()
    stripe_shop.control.pay(session.id)
    with pytest.raises(NotOpen):
        stripe_shop.control.pay(session.id)
    assert stripe_shop.control.books().charges == (1, PRICE)


def test_a_session_expires_by_call_or_by_time(stripe_shop: StripeShop) -> None:
    sessions = stripe_shop.client.v1.checkout.sessions
    first, second = stripe_shop.session(), stripe_shop.session(expires_at=int(time.time()) + 31 * 60)
    assert sessions.expire(first.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match="status of `expired`"):
        sessions.expire(first.id)
    stripe_shop.control.advance(32 * 60)
    assert sessions.retrieve(second.id).status == "expired"
    assert sessions.retrieve(second.id).url is None
    assert stripe_shop.kinds() == ["checkout.session.expired"] * 2
    with pytest.raises(NotOpen):
        stripe_shop.control.pay(second.id)


def test_lists_of_sessions(stripe_shop: StripeShop) -> None:
    sessions = stripe_shop.client.v1.checkout.sessions
    old = stripe_shop.session()
    stripe_shop.control.pay(old.id)
    stripe_shop.control.advance(3600)
    new = stripe_shop.session()
    intent = str(sessions.retrieve(old.id).payment_intent)
    assert [each.id for each in sessions.list(params={"payment_intent": intent}).data] == [old.id]
    assert [each.id for each in sessions.list(params={"status": "open"}).data] == [new.id]
    assert [each.id for each in sessions.list(params={"created": {"gte": int(time.time()) - 60}}).data] == [new.id]
    assert [each.id for each in sessions.list(params={"created": {"lt": int(time.time()) - 60}}).data] == [old.id]


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"mode": None}, "mode", "parameter_missing"),
        ({"mode": "lending"}, "mode", None),
        ({"success_url": None}, "success_url", "parameter_missing"),
        ({"success_url": "done"}, "success_url", "url_invalid"),
        ({"line_items": None}, "line_items", "parameter_missing"),
        ({"expires_at": 1}, "expires_at", None),
        ({"expires_at": "soon"}, "expires_at", "parameter_invalid_integer"),
        ({"lineItems": ["x"]}, "lineItems", "parameter_unknown"),
        ({"customer": "cus_nobody"}, "customer", "resource_missing"),
        ({"metadata": {"key": "x" * 501}}, "metadata[key]", None),
        (
            {"line_items": [{"price_data": {"currency": "usd", "unit_amount": 49, "product_data": {"name": "x"}}}]},
            *("line_items", "amount_too_small"),
        ),
        (
            {"line_items": [{"price_data": {"currency": "usd", "unit_amount": 499, "product_data": {"title": "x"}}}]},
            *("line_items[0][price_data][product_data][title]", "parameter_unknown"),
        ),
        (
            {"line_items": [{"price_data": {"unit_amount": 499, "product_data": {"name": "x"}}}]},
            *("line_items[0][price_data][currency]", "parameter_missing"),
        ),
    ],
)
def test_what_stripe_refuses_of_a_session(
    stripe_shop: StripeShop, change: dict[str, Any], param: str, code: str | None
) -> None:
    params = {name: value for name, value in order(**change).items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_shop.client.v1.checkout.sessions.create(params=params)  # type: ignore[arg-type] # wrong ones
    assert (refused.value.param, refused.value.code, refused.value.http_status) == (param, code, 400)


def test_customers(stripe_shop: StripeShop) -> None:
    customer = stripe_shop.client.v1.customers.create(params={"email": "ann@example.com", "metadata": {"id": "1"}})
    assert stripe_shop.client.v1.customers.retrieve(customer.id).email == "ann@example.com"
    assert [each.id for each in stripe_shop.client.v1.customers.list(params={"email": "ann@example.com"}).data] == [
        customer.id
    ]
    session = stripe_shop.session(customer=customer.id)
    stripe_shop.control.pay(session.id)
    assert stripe_shop.charge_of(session.id).customer == customer.id
