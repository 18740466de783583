"""Connected accounts, transfers to them, reversals, payouts, balances."""

import httpx
import pytest
import stripe

from localcloud.stripe.http.errors import ApiError
from stripe_standin.till import FEE, PRICE, Till

DAYS = 24 * 3600


def transfer(till: Till, account: str, amount: int = 2000, **more: str) -> stripe.Transfer:
    """Send money to an account."""
    return till.client.v1.transfers.create(
        params={"amount": amount, "currency": "usd", "destination": account, **more}  # type: ignore[typeddict-item]
    )


def test_an_account_can_take_money_once_onboarded(till: Till) -> None:
    account = till.mechanic(onboarded=False)
    assert (account.payouts_enabled, account.details_submitted) == (False, False)
    assert account.capabilities is not None
    assert account.capabilities.transfers == "inactive"
    till.control.add_funds(5000)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        transfer(till, account.id)
    assert refused.value.code == "insufficient_capabilities_for_transfer"
    till.control.onboard(account.id)
    assert transfer(till, account.id).amount == 2000
    till.control.restrict(account.id)
    with pytest.raises(stripe.InvalidRequestError):
        transfer(till, account.id)
    updated = till.client.v1.accounts.update(account.id, params={"metadata": {"mechanicId": "m1"}})
    assert updated.metadata is not None
    assert updated.metadata.to_dict() == {"mechanicId": "m1"}
    events = till.control.events("account.updated")
    assert [event["account"] for event in events] == [account.id] * len(events)
    assert events[1]["data"]["object"]["payouts_enabled"] is True
    assert [each.id for each in till.client.v1.accounts.list().data] == [account.id]
    with pytest.raises(stripe.PermissionError):
        till.client.v1.accounts.retrieve("acct_nobody")


def test_onboarding_by_hand(till: Till) -> None:
    account = till.mechanic(onboarded=False)

    def link() -> str:
        made = till.client.v1.account_links.create(
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
        assert till.client.v1.accounts.retrieve(account.id).payouts_enabled is False
        assert browser.get(url).headers["location"] == "http://shop.test/again"
        url = link()
        assert browser.post(url, data={"action": "finish"}).headers["location"] == "http://shop.test/back"
        late = link()
        till.control.advance(600)
        assert browser.post(late, data={"action": "finish"}).headers["location"] == "http://shop.test/again"
        assert browser.get(late + "x").status_code == 404
    assert till.client.v1.accounts.retrieve(account.id).payouts_enabled is True


def test_a_charge_pays_for_a_transfer_while_its_money_is_pending(till: Till) -> None:
    account, charge = till.mechanic(), till.paid()
    with pytest.raises(stripe.InvalidRequestError) as refused:
        transfer(till, account.id)
    assert refused.value.code == "balance_insufficient"
    made = transfer(till, account.id, source_transaction=charge.id, transfer_group="payout-1")
    assert (made.amount, made.destination, made.source_transaction) == (2000, account.id, charge.id)
    with pytest.raises(stripe.InvalidRequestError, match=r"must not exceed the source amount of \$29\.99.*\$20\.00"):
        transfer(till, account.id, 1000, source_transaction=charge.id)
    theirs = till.client.v1.balance.retrieve(options={"stripe_account": account.id})
    assert (theirs.available[0].amount, theirs.pending[0].amount) == (0, 2000)
    till.control.advance(3 * DAYS)
    theirs = till.client.v1.balance.retrieve(options={"stripe_account": account.id})
    assert (theirs.available[0].amount, theirs.pending[0].amount) == (2000, 0)
    assert till.client.v1.balance.retrieve().available[0].amount == PRICE - FEE - 2000
    assert till.kinds()[-1] == "transfer.created"


def test_transfers_are_found_by_group_and_by_destination(till: Till) -> None:
    first, second = till.mechanic(), till.mechanic()
    till.control.add_funds(10_000)
    one, two, _ = (
        transfer(till, first.id, transfer_group="a"),
        transfer(till, second.id, transfer_group="b"),
        transfer(till, second.id, 1),
    )
    transfers = till.client.v1.transfers
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
def test_what_stripe_refuses_of_a_transfer(till: Till, change: dict[str, object], param: str, code: str) -> None:
    wanted = {"amount": 100, "currency": "usd", "destination": till.mechanic().id, **change}
    params = {name: value for name, value in wanted.items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        till.client.v1.transfers.create(params=params)  # type: ignore[arg-type] # wrong ones
    assert (refused.value.param, refused.value.code) == (param, code)


def test_reversals_up_to_the_transfer_and_to_what_is_left_there(till: Till) -> None:
    account, charge = till.mechanic(), till.paid()
    made = transfer(till, account.id, source_transaction=charge.id)
    reversals = till.client.v1.transfers.reversals
    first = reversals.create(made.id, params={"amount": 500, "metadata": {"why": "dispute"}})
    assert (first.amount, first.transfer) == (500, made.id)
    with pytest.raises(stripe.InvalidRequestError):
        reversals.create(made.id, params={"amount": 1501})
    till.control.advance(3 * DAYS)
    till.control.pay_out(account.id, 1000)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        reversals.create(made.id)
    assert refused.value.code == "balance_insufficient"
    till.control.reverse(made.id, 500)
    after = till.client.v1.transfers.retrieve(made.id)
    assert (after.amount_reversed, after.reversed, len(after.reversals.data)) == (1000, False, 2)
    assert [each.amount for each in reversals.list(made.id).data] == [500, 500]
    assert reversals.retrieve(made.id, first.id).amount == 500
    assert till.kinds().count("transfer.reversed") == 2
    assert till.control.imbalances() == []


def test_a_payout_that_the_bank_refuses(till: Till) -> None:
    account = till.mechanic()
    till.control.add_funds(2000)
    transfer(till, account.id)
    with pytest.raises(ApiError):
        till.control.pay_out(account.id, 2001)
    payout = till.control.pay_out(account.id)
    till.control.arrive(payout["id"])
    till.control.fail_payout(payout["id"])
    options: stripe.RequestOptions = {"stripe_account": account.id}
    shown = till.client.v1.payouts.retrieve(payout["id"], options=options)
    assert (shown.status, shown.failure_code) == ("failed", "account_closed")
    assert till.client.v1.payouts.list(params={"status": "failed"}, options=options).data[0].id == payout["id"]
    assert till.client.v1.balance.retrieve(options=options).available[0].amount == 2000
    event = till.control.events("payout.failed")[0]
    assert (event["account"], event["data"]["object"]["failure_code"]) == (account.id, "account_closed")
    with pytest.raises(stripe.InvalidRequestError):
        till.client.v1.payouts.retrieve(payout["id"])
    assert till.client.v1.payouts.create(params={"amount": 2000, "currency": "usd"}, options=options).amount == 2000
    assert till.control.imbalances() == []


def test_balance_transactions_tell_every_movement(till: Till) -> None:
    account, charge = till.mechanic(), till.paid()
    till.control.refund(charge.id, 100)
    transfer(till, account.id, 500, source_transaction=charge.id)
    listed = till.client.v1.balance_transactions.list().data
    assert [(each.type, each.amount, each.fee) for each in listed] == [
        ("transfer", -500, 0),
        ("refund", -100, 0),
        ("charge", PRICE, FEE),
    ]
    assert till.client.v1.balance_transactions.list(params={"source": charge.id}).data[0].net == PRICE - FEE
    assert till.client.v1.balance_transactions.retrieve(listed[0].id).status == "pending"
    till.control.available_after(0)
    assert till.client.v1.balance_transactions.list(params={"source": till.paid().id}).data[0].status == "available"
