"""Refunds and disputes: the money returned, by whom, and Stripe's refusals."""

import pytest
import stripe

from localcloud.stripe.http.errors import ApiError
from support.money.stripe_shop import FEE, PRICE, StripeShop


def available(stripe_shop: StripeShop) -> int:
    """Return the platform's available cents."""
    return stripe_shop.client.v1.balance.retrieve().available[0].amount


def test_a_full_refund_by_intent(stripe_shop: StripeShop) -> None:
    charge = stripe_shop.paid()
    refund = stripe_shop.client.v1.refunds.create(
        params={"payment_intent": str(charge.payment_intent), "metadata": {"refundId": "r1"}},
        options={"idempotency_key": "refund-r1"},
    )
    assert (refund.amount, refund.status, refund.charge) == (PRICE, "succeeded", charge.id)
    assert refund.metadata is not None
    assert refund.metadata.to_dict() == {"refundId": "r1"}
    after = stripe_shop.client.v1.charges.retrieve(charge.id)
    assert (after.refunded, after.amount_refunded) == (True, PRICE)
    assert available(stripe_shop) == -PRICE
    assert stripe_shop.kinds()[-2:] == ["refund.created", "charge.refunded"]
    event = stripe_shop.control.events("charge.refunded")[0]
    assert event["data"]["previous_attributes"] == {"amount_refunded": 0, "refunded": False}
    assert event["request"]["idempotency_key"] == "refund-r1"
    assert stripe_shop.control.books().refunds == (1, PRICE)


def test_partial_refunds_up_to_the_charge(stripe_shop: StripeShop) -> None:
    charge = stripe_shop.paid()
    refunds = stripe_shop.client.v1.refunds
    first = refunds.create(params={"charge": charge.id, "amount": 1000, "reason": "requested_by_customer"})
    with pytest.raises(stripe.InvalidRequestError, match=r"\$20\.00.*greater than unrefunded.*\$19\.99") as refused:
        refunds.create(params={"charge": charge.id, "amount": 2000})
    assert refused.value.param == "amount"
    second = refunds.create(params={"charge": charge.id})
    assert second.amount == 1999
    with pytest.raises(stripe.InvalidRequestError) as refused:
        refunds.create(params={"charge": charge.id})
    assert refused.value.code == "charge_already_refunded"
    assert [each.id for each in refunds.list(params={"charge": charge.id}).data] == [second.id, first.id]
    assert refunds.retrieve(first.id).reason == "requested_by_customer"
    updated = refunds.update(first.id, params={"metadata": {"seen": "yes"}})
    assert updated.metadata is not None
    assert updated.metadata.to_dict() == {"seen": "yes"}


def test_what_cannot_be_refunded(stripe_shop: StripeShop) -> None:
    refunds = stripe_shop.client.v1.refunds
    later = stripe_shop.session()
    stripe_shop.control.pay(later.id, "pay_later")
    for params, code in (
        ({"charge": "ch_unknown"}, "resource_missing"),
        ({"payment_intent": str(stripe_shop.charge_of(later.id).payment_intent)}, "payment_intent_unexpected_state"),
        ({}, None),
        ({"charge": stripe_shop.paid().id, "amount": 0}, "parameter_invalid_integer"),
    ):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            refunds.create(params=params)  # type: ignore[arg-type] # wrong ones
        assert refused.value.code == code


def test_a_refund_that_comes_back(stripe_shop: StripeShop) -> None:
    charge = stripe_shop.paid()
    refund = stripe_shop.control.refund(charge.id)
    stripe_shop.control.fail_refund(refund["id"])
    assert stripe_shop.client.v1.refunds.retrieve(refund["id"]).status == "failed"
    assert stripe_shop.client.v1.charges.retrieve(charge.id).amount_refunded == 0
    assert available(stripe_shop) == 0
    assert stripe_shop.kinds()[-2:] == ["refund.failed", "charge.refund.updated"]
    assert stripe_shop.control.imbalances() == []


def test_a_dispute_takes_the_money_and_bars_refunds_until_won(stripe_shop: StripeShop) -> None:
    charge = stripe_shop.paid()
    stripe_shop.control.refund(charge.id, 999)
    dispute = stripe_shop.control.open_dispute(str(charge.payment_intent))
    assert (dispute["amount"], dispute["status"], dispute["charge"]) == (2000, "needs_response", charge.id)
    assert available(stripe_shop) == -999 - 2000 - 1500
    assert stripe_shop.client.v1.charges.retrieve(charge.id).disputed
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_shop.client.v1.refunds.create(params={"charge": charge.id})
    assert refused.value.code == "charge_disputed"
    stripe_shop.control.close_dispute(dispute["id"], won=True)
    assert available(stripe_shop) == -999 - 1500
    assert stripe_shop.client.v1.refunds.create(params={"charge": charge.id}).amount == 2000
    assert [kind for kind in stripe_shop.kinds() if "dispute" in kind] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]
    assert stripe_shop.control.events("charge.dispute.closed")[0]["data"]["object"]["status"] == "won"
    assert stripe_shop.control.imbalances() == []


def test_a_dispute_given_up_is_lost(stripe_shop: StripeShop) -> None:
    charge = stripe_shop.paid()
    opened = stripe_shop.control.open_dispute(charge.id)
    disputes = stripe_shop.client.v1.disputes
    assert disputes.list(params={"charge": charge.id}).data[0].id == opened["id"]
    answered = disputes.update(opened["id"], params={"evidence": {"uncategorized_text": "they talked"}})
    assert answered.status == "under_review"
    assert disputes.close(opened["id"]).status == "lost"
    assert disputes.retrieve(opened["id"]).is_charge_refundable is False
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_shop.client.v1.refunds.create(params={"charge": charge.id})
    assert refused.value.code == "charge_disputed"
    with pytest.raises(ApiError, match="already closed"):
        stripe_shop.control.close_dispute(opened["id"], won=True)
    with pytest.raises(ApiError, match="cannot be disputed"):
        stripe_shop.control.open_dispute(charge.id)
    books = stripe_shop.control.books()
    assert (books.disputes_lost, books.dispute_fees, books.charge_fees) == ((1, PRICE), 1500, FEE)
    assert stripe_shop.control.imbalances() == []
