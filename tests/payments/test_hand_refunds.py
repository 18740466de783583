"""Refunds by hand in Stripe's dashboard, through the handler: booked once each, in any order, nothing paid twice."""

import json

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import CREDIT_SALES, PLATFORM_REVENUE, customer_receivable, session_held
from autodoctor.payments.ledger.earnings import earnings
from autodoctor.payments.outgoing.lease import Sent
from payments.desk import PRICE, SHARE, Desk, Order
from payments.purse import buy, give, spendable

ORDERS: list[Order] = ["backwards", "shuffled"]


# --- before the outcome is known ------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_parts_paid_back_by_hand_are_booked_once_each(desk: Desk, order: Order) -> None:
    session_id = desk.buy()
    for cents in (100, 250, 100):
        desk.refund(session_id, cents, told=False)
    desk.tell(order, times=3)
    assert desk.has(session_held(session_id)) == PRICE - 450
    desk.balanced()


def test_a_refund_whose_charge_is_told_too_is_booked_once(desk: Desk) -> None:
    session_id = desk.buy()
    desk.refund(session_id, 100, told=False)
    assert desk.counter.tell("refund.created").json["outcome"] == "refunded"
    assert desk.counter.tell("refund.created").json["outcome"] == "duplicate"
    assert desk.counter.tell("charge.refunded").json["outcome"] == "unchanged"
    assert desk.has(session_held(session_id)) == PRICE - 100


def test_what_is_due_after_a_cancellation_shrinks_by_it(desk: Desk) -> None:
    session_id = desk.buy()
    desk.refund(session_id, 100)
    desk.cancel(session_id)
    assert desk.refunds() == Sent(sent=1)
    assert [each["amount"] for each in desk.counter.stripe.objects("refund")] == [100, PRICE - 100]
    assert desk.has(session_held(session_id)) == 0
    desk.balanced()


def test_nothing_is_due_any_more_where_all_was_paid_back(desk: Desk) -> None:
    session_id = desk.buy()
    desk.refund(session_id)
    desk.cancel(session_id)
    assert (desk.refund_row()["state"], desk.refunds()) == ("sent", Sent())
    desk.balanced()


def test_what_was_paid_back_before_the_session_completed_is_not_paid_out(desk: Desk) -> None:
    desk.onboard()
    session_id = desk.buy()
    desk.refund(session_id, 333)
    desk.complete(session_id)
    assert desk.payout()["withheld_cents"] == 233
    assert desk.payouts() == Sent(sent=1)
    assert desk.sent() == [SHARE - 233]
    assert (desk.has(session_held(session_id)), desk.has(PLATFORM_REVENUE)) == (0, PRICE - SHARE - 100)
    assert desk.of_mechanic() == (0, 0)
    desk.balanced()


# --- once it is settled ---------------------------------------------------------------------------


def test_an_unsent_payout_shrinks_and_is_cancelled_with_the_last_cent(desk: Desk) -> None:
    session_id = desk.earned()
    for cents in (1, 332, 333):
        desk.refund(session_id, cents)
    assert (desk.payout()["state"], desk.payout()["withheld_cents"]) == ("due", 466)
    desk.refund(session_id)
    assert (desk.payout()["state"], desk.payout()["withheld_cents"]) == ("cancelled", SHARE)
    desk.onboard()
    desk.later()
    assert (desk.payouts(), desk.sent(), desk.of_mechanic()) == (Sent(), [], (0, 0))
    shown = earnings(desk.counter.stage.app, desk.mechanic.user_id)
    assert ([each.status for each in shown.earnings], shown.totals.reversed_cents) == (["reversed"], SHARE)
    assert desk.has(PLATFORM_REVENUE) == 0
    desk.balanced()


@pytest.mark.parametrize("order", ORDERS[:1])
def test_after_a_payout_the_mechanic_owes_their_part(desk: Desk, order: Order) -> None:
    desk.onboard()
    session_id = desk.earned()
    assert desk.payouts() == Sent(sent=1)
    desk.refund(session_id, 500, told=False)
    desk.refund(session_id, told=False)
    desk.tell(order, times=2)
    assert (desk.payout()["state"], desk.of_mechanic()) == ("sent", (0, SHARE))
    assert (desk.payouts(), desk.refunds(), desk.reversals()) == (Sent(), Sent(), Sent())
    desk.balanced()


@pytest.mark.parametrize("first", ["refund", "reversal"])
def test_a_transfer_taken_back_by_hand_pays_what_is_owed(desk: Desk, first: str) -> None:
    desk.onboard()
    session_id = desk.earned()
    desk.payouts()
    if first == "refund":
        desk.refund(session_id)
    desk.counter.stripe.reverse(str(desk.payout()["stripe_transfer_id"]), 200)
    desk.tell()
    assert desk.of_mechanic() == ((0, SHARE - 200) if first == "refund" else (200, 0))
    if first == "reversal":
        desk.refund(session_id)
    desk.counter.stripe.reverse(str(desk.payout()["stripe_transfer_id"]))
    desk.tell()
    assert (desk.payout()["state"], desk.of_mechanic()) == ("reversed", (0, 0))
    desk.balanced()


def test_while_a_payout_is_on_its_way_the_books_wait_for_its_end(desk: Desk) -> None:
    desk.onboard()
    session_id = desk.earned()
    desk.counter.stripe.fail(mode="error_after", method="POST", path="/v1/transfers", times=3)
    assert desk.payouts() == Sent(waiting=1)
    assert desk.payout()["state"] == "sending"
    desk.refund(session_id)
    assert desk.of_mechanic() == (SHARE, 0)
    desk.later()
    assert desk.payouts() == Sent(sent=1)
    assert (desk.sent(), desk.of_mechanic()) == ([SHARE], (0, SHARE))
    desk.balanced()


def test_a_payout_that_was_not_sent_after_all_knows_what_went_back(desk: Desk) -> None:
    desk.onboard()
    session_id = desk.earned()
    desk.counter.stripe.fail(mode="cut", method="POST", path="/v1/transfers", times=3)
    assert desk.payouts() == Sent(waiting=1)
    desk.refund(session_id, 333)
    desk.later()
    assert desk.payouts() == Sent(waiting=1)  # surely not sent: it shrinks first
    desk.later()
    assert desk.payouts() == Sent(sent=1)
    assert (desk.sent(), desk.of_mechanic()) == ([SHARE - 233], (0, 0))
    desk.balanced()


# --- beside a refund of ours ----------------------------------------------------------------------


def test_by_hand_while_ours_is_on_its_way(desk: Desk) -> None:
    session_id = desk.cancelled()
    desk.counter.stripe.fail(mode="cut", method="POST", path="/v1/refunds", times=3)
    assert desk.refunds() == Sent(waiting=1)
    desk.refund(session_id, 400)
    desk.later()
    assert desk.refunds() == Sent(waiting=1)  # the key is for all of it
    desk.later()
    assert desk.refunds() == Sent(sent=1)
    assert [each["amount"] for each in desk.counter.stripe.objects("refund")] == [400, PRICE - 400]
    desk.balanced()


def test_by_hand_after_ours_there_is_nothing_left(desk: Desk) -> None:
    session_id = desk.cancelled()
    assert desk.refunds() == Sent(sent=1)
    assert desk.tell("shuffled", times=2).count("refunded") == 0  # we had booked it ourselves
    assert desk.has(session_held(session_id)) == 0
    desk.balanced()


def test_a_refund_of_ours_that_came_back_wants_a_person_and_is_sent_again(desk: Desk) -> None:
    session_id = desk.cancelled()
    desk.refunds()
    desk.counter.stripe.fail_refund(str(desk.refund_row()["stripe_refund_id"]))
    desk.tell("backwards")
    row = desk.refund_row()
    assert (row["state"], row["last_error"]) == ("failed", "the customer's bank did not take it")
    assert desk.has(session_held(session_id)) == PRICE
    assert desk.refunds() == Sent()
    assert desk.counter.one("SELECT retry_refund(%s)", row["id"])
    assert desk.refunds() == Sent(sent=1)
    assert desk.has(session_held(session_id)) == 0
    desk.balanced()


def test_a_refund_by_hand_that_came_back_is_sent_by_us(desk: Desk) -> None:
    session_id = desk.cancelled()
    by_hand = desk.refund(session_id, 400)
    desk.refunds()
    desk.counter.stripe.fail_refund(by_hand)
    desk.tell()
    assert desk.counter.one("SELECT retry_refund(%s)", desk.refund_row()["id"])
    assert desk.refunds() == Sent(sent=1)
    standing = [each["amount"] for each in desk.counter.stripe.objects("refund") if each["status"] == "succeeded"]
    assert standing == [PRICE - 400, 400]
    desk.balanced()


@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_payout_comes_back_to_life_with_a_refund_that_came_back(desk: Desk, order: Order) -> None:
    session_id = desk.earned()
    by_hand = desk.refund(session_id, told=False)
    desk.counter.stripe.fail_refund(by_hand)
    desk.tell(order, times=2)
    desk.onboard()
    desk.later()
    assert desk.payouts() == Sent(sent=1)
    assert (desk.sent(), desk.of_mechanic()) == ([SHARE], (0, 0))
    desk.balanced()


def test_a_refund_that_came_back_after_the_payout_ends_the_debt(desk: Desk) -> None:
    desk.onboard()
    session_id = desk.earned()
    desk.payouts()
    by_hand = desk.refund(session_id, 500)
    assert desk.of_mechanic() == (0, 350)
    desk.counter.stripe.fail_refund(by_hand)
    desk.tell()
    assert (desk.of_mechanic(), desk.has(PLATFORM_REVENUE)) == ((0, 0), PRICE - SHARE)
    desk.balanced()


def test_a_second_refund_that_is_told_before_the_first_came_back_waits_for_that(desk: Desk) -> None:
    session_id = desk.cancelled()
    desk.refunds()
    desk.tell()
    desk.counter.stripe.fail_refund(str(desk.refund_row()["stripe_refund_id"]))
    desk.refund(session_id, told=False)
    assert desk.counter.tell("refund.created").status == 200
    assert desk.has(session_held(session_id)) == 0
    desk.tell()
    assert (desk.has(session_held(session_id)), desk.refund_row()["state"]) == (0, "sent")
    desk.balanced()


# --- told out of order ------------------------------------------------------------------------------


def test_told_of_before_its_payment(desk: Desk) -> None:
    session_id = desk.buy(told=False)
    desk.refund(session_id, 100, told=False)
    assert desk.tell("backwards") == ["refund_noted", "not_ours", "fulfilled"]
    assert desk.has(session_held(session_id)) == PRICE - 100
    desk.balanced()


def test_a_payment_that_the_sweep_fulfilled_gets_its_refunds_from_a_sweep(desk: Desk) -> None:
    session_id = desk.buy(told=False)
    desk.refund(session_id, 100, told=False)
    assert desk.counter.tell("refund.created").json["outcome"] == "not_ours"
    assert desk.counter.sweep().fulfilled == 1
    assert desk.has(session_held(session_id)) in (PRICE, PRICE - 100)
    desk.balanced()
    assert desk.has(session_held(session_id)) == PRICE - 100


def test_a_refund_of_somebody_elses_payment_is_none_of_ours(desk: Desk) -> None:
    desk.buy()
    about = {
        "id": "re_x",
        "object": "refund",
        "amount": 5,
        "currency": "usd",
        "payment_intent": "pi_x",
        "charge": "ch_x",
    }
    for changes in ({}, {"payment_intent": None}, {"currency": "eur"}):
        desk.counter.stripe.emit("refund.created", {**about, **changes})
        assert desk.counter.tell("refund.created").json["outcome"] == "not_ours"
    desk.balanced()


def test_what_is_no_refund_is_refused_and_not_recorded(desk: Desk) -> None:
    desk.buy()
    desk.refund(desk.counter.session().session_id, 5, told=False)
    document = json.loads(desk.counter.stripe.signed(desk.counter.last("refund.created")).payload)
    document["data"]["object"].pop("amount")
    assert desk.counter.deliver(desk.counter.sign(json.dumps(document).encode())).status == 500
    assert desk.counter.one("SELECT count(*) FROM stripe_events WHERE type = 'refund.created'") == 0


# --- packs of credits -------------------------------------------------------------------------------


def test_a_pack_paid_back_takes_its_credits(desk: Desk) -> None:
    customer = new_id()
    intent = desk.pack(customer)
    assert spendable(desk.counter.stage, customer) == 5
    desk.counter.stripe.refund(intent)
    desk.tell(times=2)
    assert (spendable(desk.counter.stage, customer), desk.has(CREDIT_SALES)) == (0, 0)
    assert desk.has(customer_receivable(customer)) == 0
    desk.balanced()


def test_what_was_used_of_a_pack_paid_back_is_owed(desk: Desk) -> None:
    customer = new_id()
    intent = desk.pack(customer)
    buy(desk.counter.stage, customer, "standard")
    assert spendable(desk.counter.stage, customer) == 2
    desk.counter.stripe.refund(intent, 2250)  # half a cent more than half: three credits, and two are left
    desk.tell()
    assert (spendable(desk.counter.stage, customer), desk.has(customer_receivable(customer))) == (0, -900)
    made = desk.counter.stripe.refund(intent)
    desk.tell()
    assert (spendable(desk.counter.stage, customer), desk.has(customer_receivable(customer))) == (0, -2700)
    desk.balanced()
    desk.counter.stripe.fail_refund(made["id"])
    desk.tell()
    assert (spendable(desk.counter.stage, customer), desk.has(customer_receivable(customer))) == (0, -900)
    desk.balanced()


def test_credits_that_come_back_later_are_taken_for_what_is_owed(desk: Desk) -> None:
    """Else who cancels after the pack was paid back has both the money and the credits."""
    customer = new_id()
    intent = desk.pack(customer)
    held = buy(desk.counter.stage, customer, "standard").session_id
    desk.counter.stripe.refund(intent, 1000)  # one of the two that are left
    made = desk.counter.stripe.refund(intent)
    desk.tell()
    assert (spendable(desk.counter.stage, customer), desk.has(customer_receivable(customer))) == (0, -2699)
    desk.cancel(held)
    assert (spendable(desk.counter.stage, customer), desk.has(customer_receivable(customer))) == (0, 0)
    desk.balanced()
    desk.counter.stripe.fail_refund(made["id"])
    desk.tell()
    assert (spendable(desk.counter.stage, customer), desk.has(customer_receivable(customer))) == (4, 0)
    desk.balanced()


def test_credits_that_come_back_are_kept_beyond_what_is_owed(desk: Desk) -> None:
    customer = new_id()
    give(desk.counter.stage, customer, 4)
    intent = desk.pack(customer)
    held = buy(desk.counter.stage, customer, "diagnostic").session_id
    desk.counter.stripe.refund(intent)  # of its five, four are left
    desk.tell()
    desk.cancel(held)
    assert (spendable(desk.counter.stage, customer), desk.has(customer_receivable(customer))) == (4, 0)
    desk.balanced()
