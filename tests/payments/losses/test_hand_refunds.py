"""Refunds by hand at Stripe, through the handler: booked once each, in any order, nothing refunded twice."""

import json

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import CREDIT_SALES, PLATFORM_REVENUE, customer_receivable, session_held
from autodoctor.payments.ledger.earnings import earnings
from autodoctor.payments.stripe.lease import Sent
from support.money.purchases import buy, give, spendable
from support.money.refund_env import PRICE, SHARE, Order, RefundEnv

ORDERS: list[Order] = ["backwards", "shuffled"]


# --- before the outcome is known ------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_parts_paid_back_by_hand_are_booked_once_each(refund_env: RefundEnv, order: Order) -> None:
    session_id = refund_env.buy()
    for cents in (100, 250, 100):
        refund_env.refund(session_id, cents, delivered=False)
    refund_env.tell(order, times=3)
    assert refund_env.has(session_held(session_id)) == PRICE - 450
    refund_env.balanced()


def test_a_refund_whose_charge_is_told_too_is_booked_once(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy()
    refund_env.refund(session_id, 100, delivered=False)
    assert refund_env.checkout_env.tell("refund.created").json["outcome"] == "refunded"
    assert refund_env.checkout_env.tell("refund.created").json["outcome"] == "duplicate"
    assert refund_env.checkout_env.tell("charge.refunded").json["outcome"] == "unchanged"
    assert refund_env.has(session_held(session_id)) == PRICE - 100


def test_what_is_due_after_a_cancellation_shrinks_by_it(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy()
    refund_env.refund(session_id, 100)
    refund_env.cancel(session_id)
    assert refund_env.refunds() == Sent(sent=1)
    assert [each["amount"] for each in refund_env.checkout_env.stripe.objects("refund")] == [100, PRICE - 100]
    assert refund_env.has(session_held(session_id)) == 0
    refund_env.balanced()


def test_nothing_is_due_any_more_where_all_was_paid_back(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy()
    refund_env.refund(session_id)
    refund_env.cancel(session_id)
    assert (refund_env.refund_row()["state"], refund_env.refunds()) == ("sent", Sent())
    refund_env.balanced()


def test_what_was_paid_back_before_the_session_completed_is_not_paid_out(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.buy()
    refund_env.refund(session_id, 333)
    refund_env.complete(session_id)
    assert refund_env.payout()["withheld_cents"] == 233
    assert refund_env.payouts() == Sent(sent=1)
    assert refund_env.sent() == [SHARE - 233]
    assert (refund_env.has(session_held(session_id)), refund_env.has(PLATFORM_REVENUE)) == (0, PRICE - SHARE - 100)
    assert refund_env.of_mechanic() == (0, 0)
    refund_env.balanced()


# --- once it is settled ---------------------------------------------------------------------------


def test_an_unsent_payout_shrinks_and_is_cancelled_with_the_last_cent(refund_env: RefundEnv) -> None:
    session_id = refund_env.earned()
    for cents in (1, 332, 333):
        refund_env.refund(session_id, cents)
    assert (refund_env.payout()["state"], refund_env.payout()["withheld_cents"]) == ("due", 466)
    refund_env.refund(session_id)
    assert (refund_env.payout()["state"], refund_env.payout()["withheld_cents"]) == ("cancelled", SHARE)
    refund_env.onboard()
    refund_env.later()
    assert (refund_env.payouts(), refund_env.sent(), refund_env.of_mechanic()) == (Sent(), [], (0, 0))
    shown = earnings(refund_env.checkout_env.world.app, refund_env.mechanic.user_id)
    assert ([each.status for each in shown.earnings], shown.totals.reversed_cents) == (["reversed"], SHARE)
    assert refund_env.has(PLATFORM_REVENUE) == 0
    refund_env.balanced()


@pytest.mark.parametrize("order", ORDERS[:1])
def test_after_a_payout_the_mechanic_owes_their_part(refund_env: RefundEnv, order: Order) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    assert refund_env.payouts() == Sent(sent=1)
    refund_env.refund(session_id, 500, delivered=False)
    refund_env.refund(session_id, delivered=False)
    refund_env.tell(order, times=2)
    assert (refund_env.payout()["state"], refund_env.of_mechanic()) == ("sent", (0, SHARE))
    assert (refund_env.payouts(), refund_env.refunds(), refund_env.reversals()) == (Sent(), Sent(), Sent())
    refund_env.balanced()


@pytest.mark.parametrize("first", ["refund", "reversal"])
def test_a_transfer_taken_back_by_hand_pays_what_is_owed(refund_env: RefundEnv, first: str) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.payouts()
    if first == "refund":
        refund_env.refund(session_id)
    refund_env.checkout_env.stripe.reverse(str(refund_env.payout()["stripe_transfer_id"]), 200)
    refund_env.tell()
    assert refund_env.of_mechanic() == ((0, SHARE - 200) if first == "refund" else (200, 0))
    if first == "reversal":
        refund_env.refund(session_id)
    refund_env.checkout_env.stripe.reverse(str(refund_env.payout()["stripe_transfer_id"]))
    refund_env.tell()
    assert (refund_env.payout()["state"], refund_env.of_mechanic()) == ("reversed", (0, 0))
    refund_env.balanced()


def test_while_a_payout_is_on_its_way_the_books_wait_for_its_end(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.checkout_env.stripe.fail(mode="error_after", method="POST", path="/v1/transfers", times=3)
    assert refund_env.payouts() == Sent(waiting=1)
    assert refund_env.payout()["state"] == "sending"
    refund_env.refund(session_id)
    assert refund_env.of_mechanic() == (SHARE, 0)
    refund_env.later()
    assert refund_env.payouts() == Sent(sent=1)
    assert (refund_env.sent(), refund_env.of_mechanic()) == ([SHARE], (0, SHARE))
    refund_env.balanced()


def test_a_payout_that_was_not_sent_after_all_knows_what_went_back(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.checkout_env.stripe.fail(mode="cut", method="POST", path="/v1/transfers", times=3)
    assert refund_env.payouts() == Sent(waiting=1)
    refund_env.refund(session_id, 333)
    refund_env.later()
    assert refund_env.payouts() == Sent(waiting=1)  # surely not sent: it shrinks first
    refund_env.later()
    assert refund_env.payouts() == Sent(sent=1)
    assert (refund_env.sent(), refund_env.of_mechanic()) == ([SHARE - 233], (0, 0))
    refund_env.balanced()


# --- beside a refund of ours ----------------------------------------------------------------------


def test_by_hand_while_ours_is_on_its_way(refund_env: RefundEnv) -> None:
    session_id = refund_env.cancelled()
    refund_env.checkout_env.stripe.fail(mode="cut", method="POST", path="/v1/refunds", times=3)
    assert refund_env.refunds() == Sent(waiting=1)
    refund_env.refund(session_id, 400)
    refund_env.later()
    assert refund_env.refunds() == Sent(waiting=1)  # the key is for all of it
    refund_env.later()
    assert refund_env.refunds() == Sent(sent=1)
    assert [each["amount"] for each in refund_env.checkout_env.stripe.objects("refund")] == [400, PRICE - 400]
    refund_env.balanced()


def test_by_hand_after_ours_there_is_nothing_left(refund_env: RefundEnv) -> None:
    session_id = refund_env.cancelled()
    assert refund_env.refunds() == Sent(sent=1)
    assert refund_env.tell("shuffled", times=2).count("refunded") == 0  # we had booked it ourselves
    assert refund_env.has(session_held(session_id)) == 0
    refund_env.balanced()


def test_a_refund_of_ours_that_came_back_wants_a_person_and_is_sent_again(refund_env: RefundEnv) -> None:
    session_id = refund_env.cancelled()
    refund_env.refunds()
    refund_env.checkout_env.stripe.fail_refund(str(refund_env.refund_row()["stripe_refund_id"]))
    refund_env.tell("backwards")
    row = refund_env.refund_row()
    assert row["state"] == "failed"
    assert row["last_error"].startswith("the customer's bank did not take it")
    assert refund_env.has(session_held(session_id)) == PRICE
    assert refund_env.refunds() == Sent()
    assert refund_env.checkout_env.one("SELECT retry_stripe_job(%s)", row["id"])
    assert refund_env.refunds() == Sent(sent=1)
    assert refund_env.has(session_held(session_id)) == 0
    refund_env.balanced()


def test_a_refund_by_hand_that_came_back_is_sent_by_us(refund_env: RefundEnv) -> None:
    session_id = refund_env.cancelled()
    by_hand = refund_env.refund(session_id, 400)
    refund_env.refunds()
    refund_env.checkout_env.stripe.fail_refund(by_hand)
    refund_env.tell()
    assert refund_env.checkout_env.one("SELECT retry_stripe_job(%s)", refund_env.refund_row()["id"])
    assert refund_env.refunds() == Sent(sent=1)
    standing = [
        each["amount"] for each in refund_env.checkout_env.stripe.objects("refund") if each["status"] == "succeeded"
    ]
    assert standing == [PRICE - 400, 400]
    refund_env.balanced()


def test_a_payout_that_comes_back_to_life_is_held_while_its_mechanic_is_suspended(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    by_hand = refund_env.refund(refund_env.earned())
    refund_env.checkout_env.world.owner.execute("UPDATE mechanics SET status = 'suspended'")
    refund_env.checkout_env.stripe.fail_refund(by_hand)
    refund_env.tell()
    refund_env.later()
    assert refund_env.payouts() == Sent()
    assert (refund_env.payout()["state"], refund_env.payout()["waits_for"]) == ("held", "release")


@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_payout_comes_back_to_life_with_a_refund_that_came_back(refund_env: RefundEnv, order: Order) -> None:
    session_id = refund_env.earned()
    by_hand = refund_env.refund(session_id, delivered=False)
    refund_env.checkout_env.stripe.fail_refund(by_hand)
    refund_env.tell(order, times=2)
    refund_env.onboard()
    refund_env.later()
    assert refund_env.payouts() == Sent(sent=1)
    assert (refund_env.sent(), refund_env.of_mechanic()) == ([SHARE], (0, 0))
    refund_env.balanced()


def test_a_refund_that_came_back_after_the_payout_ends_the_debt(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.payouts()
    by_hand = refund_env.refund(session_id, 500)
    assert refund_env.of_mechanic() == (0, 350)
    refund_env.checkout_env.stripe.fail_refund(by_hand)
    refund_env.tell()
    assert (refund_env.of_mechanic(), refund_env.has(PLATFORM_REVENUE)) == ((0, 0), PRICE - SHARE)
    refund_env.balanced()


def test_a_second_refund_that_is_told_before_the_first_came_back_waits_for_that(refund_env: RefundEnv) -> None:
    session_id = refund_env.cancelled()
    refund_env.refunds()
    refund_env.tell()
    refund_env.checkout_env.stripe.fail_refund(str(refund_env.refund_row()["stripe_refund_id"]))
    refund_env.refund(session_id, delivered=False)
    assert refund_env.checkout_env.tell("refund.created").status == 200
    assert refund_env.has(session_held(session_id)) == 0
    refund_env.tell()
    assert (refund_env.has(session_held(session_id)), refund_env.refund_row()["state"]) == (0, "sent")
    refund_env.balanced()


# --- told out of order ------------------------------------------------------------------------------


def test_told_of_before_its_payment(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy(delivered=False)
    refund_env.refund(session_id, 100, delivered=False)
    assert refund_env.tell("backwards") == ["refund_noted", "not_ours", "fulfilled"]
    assert refund_env.has(session_held(session_id)) == PRICE - 100
    refund_env.balanced()


def test_a_payment_that_the_sweep_fulfilled_gets_its_refunds_from_a_sweep(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy(delivered=False)
    refund_env.refund(session_id, 100, delivered=False)
    assert refund_env.checkout_env.tell("refund.created").json["outcome"] == "not_ours"
    assert refund_env.checkout_env.sweep().fulfilled == 1
    assert refund_env.has(session_held(session_id)) in (PRICE, PRICE - 100)
    refund_env.balanced()
    assert refund_env.has(session_held(session_id)) == PRICE - 100


def test_a_refund_of_somebody_elses_payment_is_none_of_ours(refund_env: RefundEnv) -> None:
    refund_env.buy()
    about = {
        "id": "re_x",
        "object": "refund",
        "amount": 5,
        "currency": "usd",
        "payment_intent": "pi_x",
        "charge": "ch_x",
    }
    for changes in ({}, {"payment_intent": None}, {"currency": "eur"}):
        refund_env.checkout_env.stripe.emit("refund.created", {**about, **changes})
        assert refund_env.checkout_env.tell("refund.created").json["outcome"] == "not_ours"
    refund_env.balanced()


@pytest.mark.parametrize(
    ("moved", "outcome", "left"),
    [
        ({"amount": -108, "currency": "usd"}, "refunded", PRICE - 108),
        ({"amount": -100, "currency": "eur"}, "mismatch", PRICE),
    ],
)
def test_one_told_in_another_currency_is_ours_by_its_payment_and_counts_as_our_balance_has_it(
    refund_env: RefundEnv, moved: object, outcome: str, left: int
) -> None:
    session_id = refund_env.buy()
    intent = refund_env.checkout_env.one("SELECT stripe_payment_intent_id FROM checkouts")
    about = {
        "id": "re_eur",
        "object": "refund",
        "amount": 100,
        "currency": "eur",
        "status": "succeeded",
        "payment_intent": intent,
        "charge": "ch_x",
        "balance_transaction": moved,
    }
    refund_env.checkout_env.stripe.emit("refund.created", about)
    assert refund_env.checkout_env.tell("refund.created").json["outcome"] == outcome
    assert refund_env.has(session_held(session_id)) == left


def test_what_is_no_refund_is_refused_and_not_recorded(refund_env: RefundEnv) -> None:
    refund_env.buy()
    refund_env.refund(refund_env.checkout_env.session().session_id, 5, delivered=False)
    document = json.loads(refund_env.checkout_env.stripe.signed(refund_env.checkout_env.last("refund.created")).payload)
    document["data"]["object"].pop("amount")
    assert refund_env.checkout_env.deliver(refund_env.checkout_env.sign(json.dumps(document).encode())).status == 400
    assert refund_env.checkout_env.one("SELECT count(*) FROM stripe_events WHERE type = 'refund.created'") == 0


# --- packs of credits -------------------------------------------------------------------------------


def test_a_pack_paid_back_takes_its_credits(refund_env: RefundEnv) -> None:
    customer = new_id()
    intent = refund_env.pack(customer)
    assert spendable(refund_env.checkout_env.world, customer) == 5
    refund_env.checkout_env.stripe.refund(intent)
    refund_env.tell(times=2)
    assert (spendable(refund_env.checkout_env.world, customer), refund_env.has(CREDIT_SALES)) == (0, 0)
    assert refund_env.has(customer_receivable(customer)) == 0
    refund_env.balanced()


def test_what_was_used_of_a_pack_paid_back_is_owed(refund_env: RefundEnv) -> None:
    customer = new_id()
    intent = refund_env.pack(customer)
    buy(refund_env.checkout_env.world, customer, "standard")
    assert spendable(refund_env.checkout_env.world, customer) == 2
    refund_env.checkout_env.stripe.refund(intent, 2250)  # half a cent more than half: three credits, and two are left
    refund_env.tell()
    assert (spendable(refund_env.checkout_env.world, customer), refund_env.has(customer_receivable(customer))) == (
        0,
        -900,
    )
    made = refund_env.checkout_env.stripe.refund(intent)
    refund_env.tell()
    assert (spendable(refund_env.checkout_env.world, customer), refund_env.has(customer_receivable(customer))) == (
        0,
        -2700,
    )
    refund_env.balanced()
    refund_env.checkout_env.stripe.fail_refund(made["id"])
    refund_env.tell()
    assert (spendable(refund_env.checkout_env.world, customer), refund_env.has(customer_receivable(customer))) == (
        0,
        -900,
    )
    refund_env.balanced()


def test_credits_that_come_back_later_are_taken_for_what_is_owed(refund_env: RefundEnv) -> None:
    """Else who cancels after the pack was paid back has both the money and the credits."""
    customer = new_id()
    intent = refund_env.pack(customer)
    held = buy(refund_env.checkout_env.world, customer, "standard").session_id
    refund_env.checkout_env.stripe.refund(intent, 1000)  # one of the two that are left
    made = refund_env.checkout_env.stripe.refund(intent)
    refund_env.tell()
    assert (spendable(refund_env.checkout_env.world, customer), refund_env.has(customer_receivable(customer))) == (
        0,
        -2699,
    )
    refund_env.cancel(held)
    assert (spendable(refund_env.checkout_env.world, customer), refund_env.has(customer_receivable(customer))) == (0, 0)
    refund_env.balanced()
    refund_env.checkout_env.stripe.fail_refund(made["id"])
    refund_env.tell()
    assert (spendable(refund_env.checkout_env.world, customer), refund_env.has(customer_receivable(customer))) == (4, 0)
    refund_env.balanced()


def test_credits_that_come_back_are_kept_beyond_what_is_owed(refund_env: RefundEnv) -> None:
    customer = new_id()
    give(refund_env.checkout_env.world, customer, 4)
    intent = refund_env.pack(customer)
    held = buy(refund_env.checkout_env.world, customer, "diagnostic").session_id
    refund_env.checkout_env.stripe.refund(intent)  # of its five, four are left
    refund_env.tell()
    refund_env.cancel(held)
    assert (spendable(refund_env.checkout_env.world, customer), refund_env.has(customer_receivable(customer))) == (4, 0)
    refund_env.balanced()
