"""Refunds and disputes: what is given back, by whom, and what Stripe refuses."""

import pytest
import stripe

from localcloud.stripe.http.errors import ApiError
from stripe_standin.till import FEE, PRICE, Till


def available(till: Till) -> int:
    """Return the platform's available cents."""
    return till.client.v1.balance.retrieve().available[0].amount


def test_a_full_refund_by_intent(till: Till) -> None:
    charge = till.paid()
    refund = till.client.v1.refunds.create(
        params={"payment_intent": str(charge.payment_intent), "metadata": {"refundId": "r1"}},
        options={"idempotency_key": "refund-r1"},
    )
    assert (refund.amount, refund.status, refund.charge) == (PRICE, "succeeded", charge.id)
    assert refund.metadata is not None
    assert refund.metadata.to_dict() == {"refundId": "r1"}
    after = till.client.v1.charges.retrieve(charge.id)
    assert (after.refunded, after.amount_refunded) == (True, PRICE)
    assert available(till) == -PRICE
    assert till.kinds()[-2:] == ["refund.created", "charge.refunded"]
    event = till.control.events("charge.refunded")[0]
    assert event["data"]["previous_attributes"] == {"amount_refunded": 0, "refunded": False}
    assert event["request"]["idempotency_key"] == "refund-r1"
    assert till.control.books().refunds == (1, PRICE)


def test_partial_refunds_up_to_the_charge(till: Till) -> None:
    charge = till.paid()
    refunds = till.client.v1.refunds
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


def test_what_cannot_be_refunded(till: Till) -> None:
    refunds = till.client.v1.refunds
    later = till.session()
    till.control.pay(later.id, "pay_later")
    for params, code in (
        ({"charge": "ch_unknown"}, "resource_missing"),
        ({"payment_intent": str(till.charge_of(later.id).payment_intent)}, "payment_intent_unexpected_state"),
        ({}, None),
        ({"charge": till.paid().id, "amount": 0}, "parameter_invalid_integer"),
    ):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            refunds.create(params=params)  # type: ignore[arg-type] # wrong ones
        assert refused.value.code == code


def test_a_refund_that_comes_back(till: Till) -> None:
    charge = till.paid()
    refund = till.control.refund(charge.id)
    till.control.fail_refund(refund["id"])
    assert till.client.v1.refunds.retrieve(refund["id"]).status == "failed"
    assert till.client.v1.charges.retrieve(charge.id).amount_refunded == 0
    assert available(till) == 0
    assert till.kinds()[-2:] == ["refund.failed", "charge.refund.updated"]
    assert till.control.imbalances() == []


def test_a_dispute_takes_the_money_and_bars_refunds_until_won(till: Till) -> None:
    charge = till.paid()
    till.control.refund(charge.id, 999)
    dispute = till.control.open_dispute(str(charge.payment_intent))
    assert (dispute["amount"], dispute["status"], dispute["charge"]) == (2000, "needs_response", charge.id)
    assert available(till) == -999 - 2000 - 1500
    assert till.client.v1.charges.retrieve(charge.id).disputed
    with pytest.raises(stripe.InvalidRequestError) as refused:
        till.client.v1.refunds.create(params={"charge": charge.id})
    assert refused.value.code == "charge_disputed"
    till.control.close_dispute(dispute["id"], won=True)
    assert available(till) == -999 - 1500
    assert till.client.v1.refunds.create(params={"charge": charge.id}).amount == 2000
    assert [kind for kind in till.kinds() if "dispute" in kind] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]
    assert till.control.events("charge.dispute.closed")[0]["data"]["object"]["status"] == "won"
    assert till.control.imbalances() == []


def test_a_dispute_given_up_is_lost(till: Till) -> None:
    charge = till.paid()
    opened = till.control.open_dispute(charge.id)
    disputes = till.client.v1.disputes
    assert disputes.list(params={"charge": charge.id}).data[0].id == opened["id"]
    answered = disputes.update(opened["id"], params={"evidence": {"uncategorized_text": "they talked"}})
    assert answered.status == "under_review"
    assert disputes.close(opened["id"]).status == "lost"
    assert disputes.retrieve(opened["id"]).is_charge_refundable is False
    with pytest.raises(stripe.InvalidRequestError) as refused:
        till.client.v1.refunds.create(params={"charge": charge.id})
    assert refused.value.code == "charge_disputed"
    with pytest.raises(ApiError, match="already closed"):
        till.control.close_dispute(opened["id"], won=True)
    with pytest.raises(ApiError, match="cannot be disputed"):
        till.control.open_dispute(charge.id)
    books = till.control.books()
    assert (books.disputes_lost, books.dispute_fees, books.charge_fees) == ((1, PRICE), 1500, FEE)
    assert till.control.imbalances() == []
