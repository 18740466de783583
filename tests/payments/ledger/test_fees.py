"""Stripe's fees: booked only by the sweep, from balance transactions, each once, whatever interrupts it."""

from concurrent.futures import ThreadPoolExecutor

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import STRIPE, STRIPE_FEES
from autodoctor.payments.ledger.fees import SweptFees, sweep_fees
from autodoctor.payments.stripe.client import stripe_client
from support.money.refund_env import DISPUTE_FEE, PRICE, RefundEnv

FEE = 59  # 2.9 % of 999 and 30 cents
PACK_FEE = 160


def test_the_fee_of_a_payment_is_booked_by_the_sweep_and_once(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy()
    assert refund_env.has(STRIPE_FEES) == 0
    assert [refund_env.fees(), refund_env.fees()] == [SweptFees(asked=1, booked=1), SweptFees()]
    assert (refund_env.has(STRIPE_FEES), refund_env.has(STRIPE)) == (-FEE, FEE - PRICE)
    (transaction,) = refund_env.checkout_env.stripe.objects("balance_transaction")
    query = "SELECT key FROM ledger_transfer WHERE kind = 'fee' AND intake_id = %s"
    assert refund_env.checkout_env.one(query, session_id) == f"fee:{transaction['id']}"
    refund_env.balanced()


def test_packs_and_disputes_have_fees_too(refund_env: RefundEnv) -> None:
    refund_env.pack(new_id())
    dispute = refund_env.dispute(refund_env.buy())
    assert refund_env.fees() == SweptFees(asked=3, booked=3)
    assert refund_env.has(STRIPE_FEES) == -FEE - PACK_FEE - DISPUTE_FEE
    refund_env.decide(dispute, won=True)
    assert refund_env.fees() == SweptFees(asked=1, booked=1)  # its end might have had another
    assert refund_env.has(STRIPE_FEES) == -FEE - PACK_FEE - DISPUTE_FEE
    refund_env.balanced()


def test_a_look_up_that_fails_waits_an_hour_and_holds_up_no_other(refund_env: RefundEnv) -> None:
    for _ in range(3):
        refund_env.buy()
    refund_env.checkout_env.stripe.fail(mode="error", path="/v1/payment_intents/*", method="GET", times=3)
    swept = refund_env.fees()
    assert (swept.asked, swept.booked >= 1) == (3, True)
    assert refund_env.fees() == SweptFees()
    refund_env.checkout_env.stripe.clear_faults()
    refund_env.checkout_env.stripe.disturb(held=True)
    refund_env.checkout_env.world.owner.execute("UPDATE checkouts SET fee_due_at = fee_due_at - interval '1 hour'")
    assert refund_env.fees().booked == 3 - swept.booked
    assert refund_env.has(STRIPE_FEES) == -3 * FEE


def test_a_run_without_time_leaves_all_to_the_next(refund_env: RefundEnv) -> None:
    refund_env.buy()
    assert sweep_fees(refund_env.checkout_env.world.app, stripe_client(), lambda: 30.0) == SweptFees()
    assert refund_env.fees() == SweptFees(asked=1, booked=1)


def test_sweeps_at_once_book_each_fee_once(refund_env: RefundEnv) -> None:
    for _ in range(6):
        refund_env.buy()

    def sweep(_number: int) -> SweptFees:
        with refund_env.checkout_env.world.elsewhere() as own:
            return sweep_fees(own, stripe_client(), lambda: 60.0)

    with ThreadPoolExecutor(3) as pool:
        assert sum(each.booked for each in pool.map(sweep, range(3))) == 6
    assert refund_env.has(STRIPE_FEES) == -6 * FEE
    refund_env.balanced()
