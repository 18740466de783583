"""Stripe's fees: booked by the sweep alone, from its balance transactions, each once, whatever interrupts it."""

from concurrent.futures import ThreadPoolExecutor

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import STRIPE, STRIPE_FEES
from autodoctor.payments.ledger.fees import SweptFees, sweep_fees
from autodoctor.payments.stripe.client import stripe_client
from payments.desk import DISPUTE_FEE, PRICE, Desk

FEE = 59  # 2.9 % of 999 and 30 cents
PACK_FEE = 160


def test_the_fee_of_a_payment_is_booked_by_the_sweep_and_once(desk: Desk) -> None:
    session_id = desk.buy()
    assert desk.has(STRIPE_FEES) == 0
    assert [desk.fees(), desk.fees()] == [SweptFees(asked=1, booked=1), SweptFees()]
    assert (desk.has(STRIPE_FEES), desk.has(STRIPE)) == (-FEE, FEE - PRICE)
    (transaction,) = desk.counter.stripe.objects("balance_transaction")
    query = "SELECT key FROM ledger_transfer WHERE kind = 'fee' AND intake_id = %s"
    assert desk.counter.one(query, session_id) == f"fee:{transaction['id']}"
    desk.balanced()


def test_packs_and_disputes_have_fees_too(desk: Desk) -> None:
    desk.pack(new_id())
    dispute = desk.dispute(desk.buy())
    assert desk.fees() == SweptFees(asked=3, booked=3)
    assert desk.has(STRIPE_FEES) == -FEE - PACK_FEE - DISPUTE_FEE
    desk.decide(dispute, won=True)
    assert desk.fees() == SweptFees(asked=1, booked=1)  # its end might have had another
    assert desk.has(STRIPE_FEES) == -FEE - PACK_FEE - DISPUTE_FEE
    desk.balanced()


def test_a_look_up_that_fails_waits_an_hour_and_holds_up_no_other(desk: Desk) -> None:
    for _ in range(3):
        desk.buy()
    desk.counter.stripe.fail(mode="error", path="/v1/payment_intents/*", method="GET", times=3)
    swept = desk.fees()
    assert (swept.asked, swept.booked >= 1) == (3, True)
    assert desk.fees() == SweptFees()
    desk.counter.stripe.clear_faults()
    desk.counter.stripe.disturb(held=True)
    desk.counter.stage.owner.execute("UPDATE checkouts SET fee_due_at = fee_due_at - interval '1 hour'")
    assert desk.fees().booked == 3 - swept.booked
    assert desk.has(STRIPE_FEES) == -3 * FEE


def test_a_run_without_time_leaves_all_to_the_next(desk: Desk) -> None:
    desk.buy()
    assert sweep_fees(desk.counter.stage.app, stripe_client(), lambda: 30.0) == SweptFees()
    assert desk.fees() == SweptFees(asked=1, booked=1)


def test_sweeps_at_once_book_each_fee_once(desk: Desk) -> None:
    for _ in range(6):
        desk.buy()

    def sweep(_number: int) -> SweptFees:
        with desk.counter.stage.elsewhere() as own:
            return sweep_fees(own, stripe_client(), lambda: 60.0)

    with ThreadPoolExecutor(3) as pool:
        assert sum(each.booked for each in pool.map(sweep, range(3))) == 6
    assert desk.has(STRIPE_FEES) == -6 * FEE
    desk.balanced()
