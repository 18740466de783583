"""Disputes, through the handler: they hold what was not sent, and a lost one is booked, taken back, or owed."""

import json

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import (
    CREDIT_SALES,
    DISPUTED,
    PLATFORM_REVENUE,
    customer_receivable,
    session_held,
)
from autodoctor.payments.outgoing.lease import BACK_OFF, Sent, waiting
from payments.desk import PRICE, SHARE, Desk, Order
from payments.purse import buy, spendable

ORDERS: list[Order] = ["backwards", "shuffled"]


def reversal(desk: Desk) -> tuple[str, str | None]:
    """State and last error of the one reversal."""
    (row,) = desk.counter.stage.owner.execute("SELECT state, last_error FROM payout_reversals").fetchall()
    return row["state"], row["last_error"]


# --- a payout that was not sent ---------------------------------------------------------------------


def test_an_unsent_payout_is_held_and_sent_once_won(desk: Desk) -> None:
    desk.onboard()
    dispute = desk.dispute(desk.earned())
    assert (desk.payout()["state"], desk.payout()["waits_for"]) == ("held", "dispute")
    assert (desk.payouts(), waiting(desk.counter.stage.app).disputed) == (Sent(), 1)
    desk.later()
    assert desk.payouts() == Sent(waiting=1)  # asked again, should its end never be told
    desk.decide(dispute, won=True)
    assert desk.payouts() == Sent(sent=1)
    assert desk.sent() == [SHARE]
    desk.balanced()


def test_an_unsent_payout_is_never_sent_once_lost(desk: Desk) -> None:
    desk.onboard()
    desk.decide(desk.dispute(desk.earned()), won=False)
    assert (desk.payout()["state"], desk.payouts()) == ("cancelled", Sent())
    assert (desk.of_mechanic(), desk.has(PLATFORM_REVENUE), desk.has(DISPUTED)) == ((0, 0), 0, 0)
    desk.balanced()


def test_the_sweep_learns_of_a_dispute_that_no_webhook_told(desk: Desk) -> None:
    desk.onboard()
    session_id = desk.earned()
    dispute = desk.counter.stripe.open_dispute(desk.intent(session_id))
    assert desk.payouts() == Sent(waiting=1)
    assert desk.payout()["state"] == "held"
    desk.counter.stripe.close_dispute(dispute["id"], won=False)
    desk.later()
    assert desk.payouts() == Sent(waiting=1)
    assert (desk.payout()["state"], desk.sent()) == ("cancelled", [])
    desk.balanced()


# --- a payout that was sent -------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_a_sent_payout_is_taken_back_once_lost(desk: Desk, order: Order) -> None:
    desk.onboard()
    session_id = desk.earned()
    desk.payouts()
    dispute = desk.counter.stripe.open_dispute(desk.intent(session_id))
    desk.counter.stripe.close_dispute(dispute["id"], won=False)
    desk.tell(order, times=3)
    assert (desk.of_mechanic(), reversal(desk)[0]) == ((0, SHARE), "due")
    assert desk.reversals() == Sent(sent=1)
    assert (desk.of_mechanic(), reversal(desk)[0], desk.payout()["state"]) == ((0, 0), "done", "reversed")
    assert (desk.reversals(), desk.payouts()) == (Sent(), Sent())
    desk.tell(order, times=2)
    assert desk.has(PLATFORM_REVENUE) == 0
    assert [each["amount"] for each in desk.counter.stripe.objects("transfer_reversal")] == [SHARE]
    desk.balanced()


@pytest.mark.parametrize("mode", ["cut", "error_after"])
def test_a_reversal_without_an_answer_is_looked_up_before_it_is_asked_for_again(desk: Desk, mode: str) -> None:
    desk.onboard()
    session_id = desk.earned()
    desk.payouts()
    desk.decide(desk.dispute(session_id), won=False)
    desk.counter.stripe.fail(mode=mode, method="POST", path="/v1/transfers/*", times=3)
    assert desk.reversals() == Sent(waiting=1)
    assert reversal(desk)[0] == "sending"
    desk.counter.stripe.clear_faults()
    desk.counter.stripe.disturb(held=True)
    desk.later(25 * 3600)  # Stripe has forgotten the key
    assert desk.reversals() == Sent(sent=1)
    assert [each["amount"] for each in desk.counter.stripe.objects("transfer_reversal")] == [SHARE]
    assert desk.of_mechanic() == (0, 0)
    desk.balanced()


def test_what_the_mechanics_account_does_not_have_any_more_is_owed(desk: Desk) -> None:
    account = desk.onboard()
    session_id = desk.earned()
    desk.payouts()
    desk.counter.stripe.advance(4 * 24 * 3600)
    desk.counter.stripe.pay_out(account)
    desk.decide(desk.dispute(session_id), won=False)
    for _attempt in BACK_OFF[1:]:
        assert desk.reversals() == Sent(waiting=1)
        desk.later()
    assert desk.reversals() == Sent(failed=1)
    state, error = reversal(desk)
    assert (state, "insufficient" in str(error)) == ("impossible", True)
    assert desk.of_mechanic() == (0, SHARE)
    desk.balanced()


def test_what_was_taken_back_by_hand_is_not_taken_back_again(desk: Desk) -> None:
    desk.onboard()
    session_id = desk.earned()
    desk.payouts()
    desk.counter.stripe.reverse(str(desk.payout()["stripe_transfer_id"]), 500)
    desk.tell()
    desk.decide(desk.dispute(session_id), won=False)
    assert desk.of_mechanic() == (0, SHARE - 500)
    assert desk.reversals() == Sent(sent=1)
    assert [each["amount"] for each in desk.counter.stripe.objects("transfer_reversal")] == [500, SHARE - 500]
    assert desk.of_mechanic() == (0, 0)
    desk.balanced()


def test_a_sent_payout_stays_sent_while_the_dispute_lasts_and_once_it_is_won(desk: Desk) -> None:
    desk.onboard()
    session_id = desk.earned()
    desk.payouts()
    dispute = desk.dispute(session_id)
    assert (desk.payout()["state"], desk.has(DISPUTED)) == ("sent", -PRICE)
    desk.balanced()
    desk.decide(dispute, won=True)
    assert (desk.payout()["state"], desk.has(DISPUTED), desk.of_mechanic()) == ("sent", 0, (0, 0))
    desk.balanced()


def test_lost_after_a_part_was_paid_back_by_hand(desk: Desk) -> None:
    desk.onboard()
    session_id = desk.earned()
    desk.payouts()
    desk.refund(session_id, 333)
    assert desk.of_mechanic() == (0, 233)
    desk.decide(desk.dispute(session_id), won=False)
    assert desk.of_mechanic() == (0, SHARE)
    assert desk.reversals() == Sent(sent=1)
    assert [each["amount"] for each in desk.counter.stripe.objects("transfer_reversal")] == [SHARE - 233]
    assert desk.of_mechanic() == (0, 233)  # paid back by hand: a person decides whether it is taken back
    assert desk.has(PLATFORM_REVENUE) == 0
    desk.balanced()


def test_won_after_it_was_lost(desk: Desk) -> None:
    """Stripe may still give the money back; what the mechanic bore is theirs again."""
    desk.onboard()
    session_id = desk.earned()
    desk.decide(desk.dispute(session_id), won=False)
    assert desk.payout()["state"] == "cancelled"
    document = json.loads(desk.counter.stripe.signed(desk.counter.last("charge.dispute.closed")).payload)
    (moved,) = document["data"]["object"]["balance_transactions"]
    document["data"]["object"].update(status="won", balance_transactions=[moved, {**moved, "amount": -moved["amount"]}])
    for event_id in ("evt_won", "evt_won_again"):
        told = desk.counter.sign(json.dumps({**document, "id": event_id}).encode())
        assert desk.counter.deliver(told).status == 200
    assert (desk.has(DISPUTED), desk.payout()["state"], desk.payout()["withheld_cents"]) == (0, "due", 0)
    assert (desk.of_mechanic(), desk.has(PLATFORM_REVENUE)) == ((SHARE, 0), PRICE - SHARE)


# --- a refund that is due ---------------------------------------------------------------------------


def test_a_due_refund_waits_and_is_sent_once_won(desk: Desk) -> None:
    session_id = desk.cancelled()
    dispute = desk.dispute(session_id)
    assert (desk.refund_row()["state"], desk.refunds()) == ("held", Sent())
    desk.decide(dispute, won=True)
    assert desk.refunds() == Sent(sent=1)
    assert desk.has(session_held(session_id)) == 0
    desk.balanced()


@pytest.mark.parametrize("order", ["backwards"])
def test_a_due_refund_counts_as_returned_once_lost(desk: Desk, order: Order) -> None:
    session_id = desk.cancelled()
    dispute = desk.counter.stripe.open_dispute(desk.intent(session_id))
    desk.counter.stripe.close_dispute(dispute["id"], won=False)
    desk.tell(order, times=2)
    assert (desk.refund_row()["state"], desk.refunds()) == ("returned", Sent())
    assert (desk.has(session_held(session_id)), desk.counter.stripe.objects("refund")) == (0, [])
    desk.balanced()


def test_a_due_refund_of_which_a_part_was_paid_back_before_it_was_lost(desk: Desk) -> None:
    session_id = desk.cancelled()
    desk.refund(session_id, 333)
    desk.decide(desk.dispute(session_id), won=False)
    assert (desk.refund_row()["state"], desk.refunds()) == ("returned", Sent())
    assert desk.has(session_held(session_id)) == 0
    desk.balanced()


def test_what_cannot_be_fulfilled_and_was_lost_is_returned(desk: Desk) -> None:
    customer = new_id()
    opened = desk.counter.ask(customer)
    desk.counter.stripe.pay(desk.counter.page(opened))
    desk.counter.stage.pending(customer)
    assert desk.tell() == ["unfulfillable"]
    dispute = desk.dispute(opened.intake_id)
    assert desk.refund_row()["state"] == "held"
    desk.decide(dispute, won=False)
    assert (desk.refund_row()["state"], desk.has(session_held(opened.intake_id))) == ("returned", 0)
    desk.balanced()


# --- before the outcome is known --------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["complete", "cancel"])
def test_lost_while_the_session_is_active(desk: Desk, ending: str) -> None:
    desk.onboard()
    session_id = desk.buy()
    desk.decide(desk.dispute(session_id), won=False)
    assert desk.has(session_held(session_id)) == 0
    if ending == "complete":
        desk.complete(session_id)
        assert (desk.payout()["state"], desk.has(PLATFORM_REVENUE)) == ("cancelled", 0)
    else:
        desk.cancel(session_id)
        assert desk.refund_row()["state"] == "returned"
    assert (desk.payouts(), desk.refunds(), desk.has(session_held(session_id))) == (Sent(), Sent(), 0)
    desk.balanced()


@pytest.mark.parametrize("ending", ["complete", "cancel"])
def test_open_while_the_session_ends(desk: Desk, ending: str) -> None:
    desk.onboard()
    session_id = desk.buy()
    dispute = desk.dispute(session_id)
    if ending == "complete":
        desk.complete(session_id)
        assert desk.payout()["state"] == "held"
    else:
        desk.cancel(session_id)
        assert desk.refund_row()["state"] == "held"
    desk.decide(dispute, won=True)
    assert (desk.payouts().sent, desk.refunds().sent) == ((1, 0) if ending == "complete" else (0, 1))
    desk.balanced()


def test_told_of_before_its_payment(desk: Desk) -> None:
    session_id = desk.buy(told=False)
    dispute = desk.counter.stripe.open_dispute(desk.intent(session_id))
    desk.counter.stripe.close_dispute(dispute["id"], won=False)
    assert desk.tell("backwards")[-1] == "fulfilled"
    assert (desk.has(session_held(session_id)), desk.has(DISPUTED)) == (0, 0)
    desk.balanced()


def test_what_is_only_asked_about_holds_nothing(desk: Desk) -> None:
    desk.onboard()
    session_id = desk.earned()
    inquiry = {
        "id": "du_1",
        "object": "dispute",
        "amount": PRICE,
        "currency": "usd",
        "status": "warning_needs_response",
        "payment_intent": desk.intent(session_id),
        "balance_transactions": [],
    }
    desk.counter.stripe.emit("charge.dispute.created", inquiry)
    assert desk.counter.tell("charge.dispute.created").json["outcome"] == "disputed"
    assert desk.payouts() == Sent(sent=1)


# --- packs of credits -------------------------------------------------------------------------------


def test_a_pack_whose_dispute_is_lost_takes_what_is_left(desk: Desk) -> None:
    customer = new_id()
    intent = desk.pack(customer)
    buy(desk.counter.stage, customer, "standard")
    dispute = desk.counter.stripe.open_dispute(intent)
    desk.tell()
    assert spendable(desk.counter.stage, customer) == 2
    desk.decide(dispute["id"], won=False)
    assert (spendable(desk.counter.stage, customer), desk.has(customer_receivable(customer))) == (0, -2699)
    assert desk.has(CREDIT_SALES) == 2699
    desk.balanced()


def test_a_pack_whose_dispute_is_won_keeps_its_credits(desk: Desk) -> None:
    customer = new_id()
    intent = desk.pack(customer)
    dispute = desk.counter.stripe.open_dispute(intent)
    desk.decide(dispute["id"], won=True)
    assert (spendable(desk.counter.stage, customer), desk.has(DISPUTED)) == (5, 0)
    desk.balanced()
