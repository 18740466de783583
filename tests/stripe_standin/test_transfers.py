"""Connected accounts, transfers to them, reversals, payouts, balances."""

import httpx
import pytest
import stripe

from localcloud.stripe.http.errors import ApiError
from support.money.stripe_shop import FEE, PRICE, StripeShop

DAYS = 24 * 3600


def transfer(stripe_shop: StripeShop, account: str, amount: int = 2000, **more: str) -> stripe.Transfer:
    """Send money to an account."""
    return stripe_shop.client.v1.transfers.create(
        params={"amount": amount, "currency": "usd", "destination": account, **more}  # type: ignore[typeddict-item]
    )


def test_an_account_can_take_money_once_onboarded(stripe_shop: StripeShop) -> None:
    account = stripe_shop.mechanic(onboarded=False)
    assert (account.payouts_enabled, account.details_submitted) == (False, False)
    assert account.capabilities is not None
    assert account.capabilities.transfers == "inactive"
    stripe_shop.control.add_funds(5000)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        transfer(stripe_shop, account.id)
    assert refused.value.code == "insufficient_capabilities_for_transfer"
    stripe_shop.control.onboard(account.id)
    assert transfer(stripe_shop, account.id).amount == 2000
    stripe_shop.control.restrict(account.id)
    with pytest.raises(stripe.InvalidRequestError):
        transfer(stripe_shop, account.id)
    updated = stripe_shop.client.v1.accounts.update(account.id, params={"metadata": {"mechanicId": "m1"}})
    assert updated.metadata is not None
    assert updated.metadata.to_dict() == {"mechanicId": "m1"}
    events = stripe_shop.control.events("account.updated")
    assert [event["account"] for event in events] == [account.id] * len(events)
    assert events[1]["data"]["object"]["payouts_enabled"] is True
    assert [each.id for each in stripe_shop.client.v1.accounts.list().data] == [account.id]
    with pytest.raises(stripe.PermissionError):
        stripe_shop.client.v1.accounts.retrieve("acct_nobody")


def test_onboarding_by_hand(stripe_shop: StripeShop) -> None:
    account = stripe_shop.mechanic(onboarded=False)

    def link() -> str:
        made = stripe_shop.client.v1.account_links.create(
            params={
                "account": account.id,
                "type": "account_onboarding",
                "refresh_url": "http://shop.test/again",
                "return_url": "http://shop.test/back",
            }
        )
        return made.url

    with httpx.Client(trust_env=False) as browser:
        url = link()
        shown = browser.get(url)
        assert shown.status_code == 200
        assert "form-action 'self' http://shop.test" in shown.headers["content-security-policy"]
        assert browser.post(url, data={"action": "leave"}).headers["location"] == "http://shop.test/back"
        assert stripe_shop.client.v1.accounts.retrieve(account.id).payouts_enabled is False
        assert browser.get(url).headers["location"] == "http://shop.test/again"
        url = link()
        assert browser.post(url, data={"action": "finish"}).headers["location"] == "http://shop.test/back"
        late = link()
        stripe_shop.control.advance(600)
        assert browser.post(late, data={"action": "finish"}).headers["location"] == "http://shop.test/again"
        assert browser.get(late + "x").status_code == 404
    assert stripe_shop.client.v1.accounts.retrieve(account.id).payouts_enabled is True


def test_a_charge_pays_for_a_transfer_while_its_money_is_pending(stripe_shop: StripeShop) -> None:
    account, charge = stripe_shop.mechanic(), stripe_shop.paid()
    with pytest.raises(stripe.InvalidRequestError) as refused:
        transfer(stripe_shop, account.id)
    assert refused.value.code == "balance_insufficient"
    made = transfer(stripe_shop, account.id, source_transaction=charge.id, transfer_group="payout-1")
    assert (made.amount, made.destination, made.source_transaction) == (2000, account.id, charge.id)
    with pytest.raises(stripe.InvalidRequestError, match=r"must not exceed the source amount of \$29\.99.*\$20\.00"):
        transfer(stripe_shop, account.id, 1000, source_transaction=charge.id)
    theirs = stripe_shop.client.v1.balance.retrieve(options={"stripe_account": account.id})
    assert (theirs.available[0].amount, theirs.pending[0].amount) == (0, 2000)
    stripe_shop.control.advance(3 * DAYS)
    theirs = stripe_shop.client.v1.balance.retrieve(options={"stripe_account": account.id})
    assert (theirs.available[0].amount, theirs.pending[0].amount) == (2000, 0)
    assert stripe_shop.client.v1.balance.retrieve().available[0].amount == PRICE - FEE - 2000
    assert stripe_shop.kinds()[-1] == "transfer.created"


def test_transfers_are_found_by_group_and_by_destination(stripe_shop: StripeShop) -> None:
    first, second = stripe_shop.mechanic(), stripe_shop.mechanic()
    stripe_shop.control.add_funds(10_000)
    one, two, _ = (
        transfer(stripe_shop, first.id, transfer_group="a"),
        transfer(stripe_shop, second.id, transfer_group="b"),
        transfer(stripe_shop, second.id, 1),
    )
    transfers = stripe_shop.client.v1.transfers
    assert [each.id for each in transfers.list(params={"transfer_group": "a"}).data] == [one.id]
    assert [each.id for each in transfers.list(params={"destination": second.id, "limit": 1}).auto_paging_iter()][
        -1
    ] == two.id
    assert transfers.list(params={"transfer_group": "c"}).data == []
    assert transfers.retrieve(one.id).transfer_group == "a"
    assert transfers.update(one.id, params={"description": "for the session"}).description == "for the session"


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"amount": 0}, "amount", "parameter_invalid_integer"),
        ({"amount": None}, "amount", "parameter_missing"),
        ({"currency": None}, "currency", "parameter_missing"),
        ({"destination": "acct_nobody"}, "destination", "resource_missing"),
        ({"source_transaction": "ch_nothing"}, "source_transaction", "resource_missing"),
        ({"transferGroup": "x"}, "transferGroup", "parameter_unknown"),
    ],
)
def test_what_stripe_refuses_of_a_transfer(
    stripe_shop: StripeShop, change: dict[str, object], param: str, code: str
) -> None:
    wanted = {"amount": 100, "currency": "usd", "destination": stripe_shop.mechanic().id, **change}
    params = {name: value for name, value in wanted.items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_shop.client.v1.transfers.create(params=params)  # type: ignore[arg-type] # wrong ones
    assert (refused.value.param, refused.value.code) == (param, code)


def test_reversals_up_to_the_transfer_and_to_what_is_left_there(stripe_shop: StripeShop) -> None:
    account, charge = stripe_shop.mechanic(), stripe_shop.paid()
    made = transfer(stripe_shop, account.id, source_transaction=charge.id)
    reversals = stripe_shop.client.v1.transfers.reversals
    first = reversals.create(made.id, params={"amount": 500, "metadata": {"why": "dispute"}})
    assert (first.amount, first.transfer) == (500, made.id)
    with pytest.raises(stripe.InvalidRequestError):
        reversals.create(made.id, params={"amount": 1501})
    stripe_shop.control.advance(3 * DAYS)
    stripe_shop.control.pay_out(account.id, 1000)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        reversals.create(made.id)
    assert refused.value.code == "balance_insufficient"
    stripe_shop.control.reverse(made.id, 500)
    after = stripe_shop.client.v1.transfers.retrieve(made.id)
    assert (after.amount_reversed, after.reversed, len(after.reversals.data)) == (1000, False, 2)
    assert [each.amount for each in reversals.list(made.id).data] == [500, 500]
    assert reversals.retrieve(made.id, first.id).amount == 500
    assert stripe_shop.kinds().count("transfer.reversed") == 2
    assert stripe_shop.control.imbalances() == []


def test_a_payout_that_the_bank_refuses(stripe_shop: StripeShop) -> None:
    account = stripe_shop.mechanic()
    stripe_shop.control.add_funds(2000)
    transfer(stripe_shop, account.id)
    with pytest.raises(ApiError):
        stripe_shop.control.pay_out(account.id, 2001)
    payout = stripe_shop.control.pay_out(account.id)
    stripe_shop.control.arrive(payout["id"])
    stripe_shop.control.fail_payout(payout["id"])
    options: stripe.RequestOptions = {"stripe_account": account.id}
    shown = stripe_shop.client.v1.payouts.retrieve(payout["id"], options=options)
    assert (shown.status, shown.failure_code) == ("failed", "account_closed")
    assert stripe_shop.client.v1.payouts.list(params={"status": "failed"}, options=options).data[0].id == payout["id"]
    assert stripe_shop.client.v1.balance.retrieve(options=options).available[0].amount == 2000
    event = stripe_shop.control.events("payout.failed")[0]
    assert (event["account"], event["data"]["object"]["failure_code"]) == (account.id, "account_closed")
    with pytest.raises(stripe.InvalidRequestError):
        stripe_shop.client.v1.payouts.retrieve(payout["id"])
    assert (
        stripe_shop.client.v1.payouts.create(params={"amount": 2000, "currency": "usd"}, options=options).amount == 2000
    )
    assert stripe_shop.control.imbalances() == []


def test_balance_transactions_tell_every_movement(stripe_shop: StripeShop) -> None:
    account, charge = stripe_shop.mechanic(), stripe_shop.paid()
    stripe_shop.control.refund(charge.id, 100)
    transfer(stripe_shop, account.id, 500, source_transaction=charge.id)
    listed = stripe_shop.client.v1.balance_transactions.list().data
    assert [(each.type, each.amount, each.fee) for each in listed] == [
        ("transfer", -500, 0),
        ("refund", -100, 0),
        ("charge", PRICE, FEE),
    ]
    assert stripe_shop.client.v1.balance_transactions.list(params={"source": charge.id}).data[0].net == PRICE - FEE
    assert stripe_shop.client.v1.balance_transactions.retrieve(listed[0].id).status == "pending"
    stripe_shop.control.available_after(0)
    assert (
        stripe_shop.client.v1.balance_transactions.list(params={"source": stripe_shop.paid().id}).data[0].status
        == "available"
    )
