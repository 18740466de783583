"""Disputes, through the handler: they hold unsent money, and a lost one is booked, taken back, or owed."""

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
from autodoctor.payments.stripe.lease import BACK_OFF, Sent, unsent
from support.money.purchases import buy, spendable
from support.money.refund_env import PRICE, SHARE, Order, RefundEnv

ORDERS: list[Order] = ["backwards", "shuffled"]


def reversal(refund_env: RefundEnv) -> tuple[str, str | None]:
    """State and last error of the one reversal."""
    (row,) = refund_env.checkout_env.world.owner.execute("SELECT state, last_error FROM payout_reversals").fetchall()
    return row["state"], row["last_error"]


# --- a payout that was not sent ---------------------------------------------------------------------


def test_an_unsent_payout_is_held_and_sent_once_won(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    dispute = refund_env.dispute(refund_env.earned())
    assert (refund_env.payout()["state"], refund_env.payout()["waits_for"]) == ("held", "dispute")
    assert (refund_env.payouts(), unsent(refund_env.checkout_env.world.app).disputed) == (Sent(), 1)
    refund_env.later()
    assert refund_env.payouts() == Sent(waiting=1)  # asked again, should its end never be told
    refund_env.decide(dispute, won=True)
    assert refund_env.payouts() == Sent(sent=1)
    assert refund_env.sent() == [SHARE]
    refund_env.balanced()


def test_an_unsent_payout_is_never_sent_once_lost(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    refund_env.decide(refund_env.dispute(refund_env.earned()), won=False)
    assert (refund_env.payout()["state"], refund_env.payouts()) == ("cancelled", Sent())
    assert (refund_env.of_mechanic(), refund_env.has(PLATFORM_REVENUE), refund_env.has(DISPUTED)) == ((0, 0), 0, 0)
    refund_env.balanced()


def test_the_sweep_learns_of_a_dispute_that_no_webhook_told(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    dispute = refund_env.checkout_env.stripe.open_dispute(refund_env.intent(session_id))
    assert refund_env.payouts() == Sent(waiting=1)
    assert refund_env.payout()["state"] == "held"
    refund_env.checkout_env.stripe.close_dispute(dispute["id"], won=False)
    refund_env.later()
    assert refund_env.payouts() == Sent(waiting=1)
    assert (refund_env.payout()["state"], refund_env.sent()) == ("cancelled", [])
    refund_env.balanced()


# --- a payout that was sent -------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_a_sent_payout_is_taken_back_once_lost(refund_env: RefundEnv, order: Order) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.payouts()
    dispute = refund_env.checkout_env.stripe.open_dispute(refund_env.intent(session_id))
    refund_env.checkout_env.stripe.close_dispute(dispute["id"], won=False)
    refund_env.tell(order, times=3)
    assert (refund_env.of_mechanic(), reversal(refund_env)[0]) == ((0, SHARE), "due")
    assert refund_env.reversals() == Sent(sent=1)
    assert (refund_env.of_mechanic(), reversal(refund_env)[0], refund_env.payout()["state"]) == (
        (0, 0),
        "done",
        "reversed",
    )
    assert (refund_env.reversals(), refund_env.payouts()) == (Sent(), Sent())
    refund_env.tell(order, times=2)
    assert refund_env.has(PLATFORM_REVENUE) == 0
    assert [each["amount"] for each in refund_env.checkout_env.stripe.objects("transfer_reversal")] == [SHARE]
    refund_env.balanced()


@pytest.mark.parametrize("mode", ["cut", "error_after"])
def test_a_reversal_without_an_answer_is_looked_up_before_it_is_asked_for_again(
    refund_env: RefundEnv, mode: str
) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.payouts()
    refund_env.decide(refund_env.dispute(session_id), won=False)
    refund_env.checkout_env.stripe.fail(mode=mode, method="POST", path="/v1/transfers/*", times=3)
    assert refund_env.reversals() == Sent(waiting=1)
    assert reversal(refund_env)[0] == "sending"
    refund_env.checkout_env.stripe.clear_faults()
    refund_env.checkout_env.stripe.disturb(held=True)
    refund_env.later(25 * 3600)  # Stripe has forgotten the key
    assert refund_env.reversals() == Sent(sent=1)
    assert [each["amount"] for each in refund_env.checkout_env.stripe.objects("transfer_reversal")] == [SHARE]
    assert refund_env.of_mechanic() == (0, 0)
    refund_env.balanced()


def test_what_the_mechanics_account_does_not_have_any_more_is_owed(refund_env: RefundEnv) -> None:
    account = refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.payouts()
    refund_env.checkout_env.stripe.advance(4 * 24 * 3600)
    refund_env.checkout_env.stripe.pay_out(account)
    refund_env.decide(refund_env.dispute(session_id), won=False)
    for _attempt in BACK_OFF[1:]:
        assert refund_env.reversals() == Sent(waiting=1)
        refund_env.later()
    assert refund_env.reversals() == Sent(failed=1)
    state, error = reversal(refund_env)
    assert (state, "insufficient" in str(error)) == ("failed", True)
    assert refund_env.of_mechanic() == (0, SHARE)
    refund_env.balanced()


def test_what_was_taken_back_by_hand_is_not_taken_back_again(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.payouts()
    refund_env.checkout_env.stripe.reverse(str(refund_env.payout()["stripe_transfer_id"]), 500)
    refund_env.tell()
    refund_env.decide(refund_env.dispute(session_id), won=False)
    assert refund_env.of_mechanic() == (0, SHARE - 500)
    assert refund_env.reversals() == Sent(sent=1)
    assert [each["amount"] for each in refund_env.checkout_env.stripe.objects("transfer_reversal")] == [
        500,
        SHARE - 500,
    ]
    assert refund_env.of_mechanic() == (0, 0)
    refund_env.balanced()


def test_a_sent_payout_stays_sent_while_the_dispute_lasts_and_once_it_is_won(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.payouts()
    dispute = refund_env.dispute(session_id)
    assert (refund_env.payout()["state"], refund_env.has(DISPUTED)) == ("sent", -PRICE)
    refund_env.balanced()
    refund_env.decide(dispute, won=True)
    assert (refund_env.payout()["state"], refund_env.has(DISPUTED), refund_env.of_mechanic()) == ("sent", 0, (0, 0))
    refund_env.balanced()


def test_lost_after_a_part_was_paid_back_by_hand(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.payouts()
    refund_env.refund(session_id, 333)
    assert refund_env.of_mechanic() == (0, 233)
    refund_env.decide(refund_env.dispute(session_id), won=False)
    assert refund_env.of_mechanic() == (0, SHARE)
    assert refund_env.reversals() == Sent(sent=1)
    assert [each["amount"] for each in refund_env.checkout_env.stripe.objects("transfer_reversal")] == [SHARE - 233]
    assert refund_env.of_mechanic() == (0, 233)  # paid back by hand: a person decides whether it is taken back
    assert refund_env.has(PLATFORM_REVENUE) == 0
    refund_env.balanced()


def test_won_after_it_was_lost(refund_env: RefundEnv) -> None:
    """Stripe may still give the money back; what the mechanic bore is theirs again."""
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.decide(refund_env.dispute(session_id), won=False)
    assert refund_env.payout()["state"] == "cancelled"
    document = json.loads(
        refund_env.checkout_env.stripe.signed(refund_env.checkout_env.last("charge.dispute.closed")).payload
    )
    (moved,) = document["data"]["object"]["balance_transactions"]
    document["data"]["object"].update(status="won", balance_transactions=[moved, {**moved, "amount": -moved["amount"]}])
    for event_id in ("evt_won", "evt_won_again"):
        told = refund_env.checkout_env.sign(json.dumps({**document, "id": event_id}).encode())
        assert refund_env.checkout_env.deliver(told).status == 200
    assert (refund_env.has(DISPUTED), refund_env.payout()["state"], refund_env.payout()["withheld_cents"]) == (
        0,
        "due",
        0,
    )
    assert (refund_env.of_mechanic(), refund_env.has(PLATFORM_REVENUE)) == ((SHARE, 0), PRICE - SHARE)


# --- a refund that is due ---------------------------------------------------------------------------


def test_a_due_refund_waits_and_is_sent_once_won(refund_env: RefundEnv) -> None:
    session_id = refund_env.cancelled()
    dispute = refund_env.dispute(session_id)
    assert (refund_env.refund_row()["state"], refund_env.refunds()) == ("held", Sent())
    refund_env.decide(dispute, won=True)
    assert refund_env.refunds() == Sent(sent=1)
    assert refund_env.has(session_held(session_id)) == 0
    refund_env.balanced()


@pytest.mark.parametrize("order", ["backwards"])
def test_a_due_refund_counts_as_returned_once_lost(refund_env: RefundEnv, order: Order) -> None:
    session_id = refund_env.cancelled()
    dispute = refund_env.checkout_env.stripe.open_dispute(refund_env.intent(session_id))
    refund_env.checkout_env.stripe.close_dispute(dispute["id"], won=False)
    refund_env.tell(order, times=2)
    assert (refund_env.refund_row()["state"], refund_env.refunds()) == ("returned", Sent())
    assert (refund_env.has(session_held(session_id)), refund_env.checkout_env.stripe.objects("refund")) == (0, [])
    refund_env.balanced()


def test_a_due_refund_of_which_a_part_was_paid_back_before_it_was_lost(refund_env: RefundEnv) -> None:
    session_id = refund_env.cancelled()
    refund_env.refund(session_id, 333)
    refund_env.decide(refund_env.dispute(session_id), won=False)
    assert (refund_env.refund_row()["state"], refund_env.refunds()) == ("returned", Sent())
    assert refund_env.has(session_held(session_id)) == 0
    refund_env.balanced()


def test_what_cannot_be_fulfilled_and_was_lost_is_returned(refund_env: RefundEnv) -> None:
    customer = new_id()
    opened = refund_env.checkout_env.ask(customer)
    refund_env.checkout_env.stripe.pay(refund_env.checkout_env.page(opened))
    refund_env.checkout_env.world.pending(customer)
    assert refund_env.tell() == ["unfulfillable"]
    dispute = refund_env.dispute(opened.intake_id)
    assert refund_env.refund_row()["state"] == "held"
    refund_env.decide(dispute, won=False)
    assert (refund_env.refund_row()["state"], refund_env.has(session_held(opened.intake_id))) == ("returned", 0)
    refund_env.balanced()


# --- before the outcome is known --------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["complete", "cancel"])
def test_lost_while_the_session_is_active(refund_env: RefundEnv, ending: str) -> None:
    refund_env.onboard()
    session_id = refund_env.buy()
    refund_env.decide(refund_env.dispute(session_id), won=False)
    assert refund_env.has(session_held(session_id)) == 0
    if ending == "complete":
        refund_env.complete(session_id)
        assert (refund_env.payout()["state"], refund_env.has(PLATFORM_REVENUE)) == ("cancelled", 0)
    else:
        refund_env.cancel(session_id)
        assert refund_env.refund_row()["state"] == "returned"
    assert (refund_env.payouts(), refund_env.refunds(), refund_env.has(session_held(session_id))) == (Sent(), Sent(), 0)
    refund_env.balanced()


@pytest.mark.parametrize("ending", ["complete", "cancel"])
def test_open_while_the_session_ends(refund_env: RefundEnv, ending: str) -> None:
    refund_env.onboard()
    session_id = refund_env.buy()
    dispute = refund_env.dispute(session_id)
    if ending == "complete":
        refund_env.complete(session_id)
        assert refund_env.payout()["state"] == "held"
    else:
        refund_env.cancel(session_id)
        assert refund_env.refund_row()["state"] == "held"
    refund_env.decide(dispute, won=True)
    assert (refund_env.payouts().sent, refund_env.refunds().sent) == ((1, 0) if ending == "complete" else (0, 1))
    refund_env.balanced()


def test_told_of_before_its_payment(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy(delivered=False)
    dispute = refund_env.checkout_env.stripe.open_dispute(refund_env.intent(session_id))
    refund_env.checkout_env.stripe.close_dispute(dispute["id"], won=False)
    assert refund_env.tell("backwards")[-1] == "fulfilled"
    assert (refund_env.has(session_held(session_id)), refund_env.has(DISPUTED)) == (0, 0)
    refund_env.balanced()


def test_what_is_only_asked_about_holds_nothing(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    inquiry = {
        "id": "du_1",
        "object": "dispute",
        "amount": PRICE,
        "currency": "usd",
        "status": "warning_needs_response",
        "payment_intent": refund_env.intent(session_id),
        "balance_transactions": [],
    }
    refund_env.checkout_env.stripe.emit("charge.dispute.created", inquiry)
    assert refund_env.checkout_env.tell("charge.dispute.created").json["outcome"] == "disputed"
    assert refund_env.payouts() == Sent(sent=1)


# --- packs of credits -------------------------------------------------------------------------------


def test_a_pack_whose_dispute_is_lost_takes_what_is_left(refund_env: RefundEnv) -> None:
    customer = new_id()
    intent = refund_env.pack(customer)
    buy(refund_env.checkout_env.world, customer, "standard")
    dispute = refund_env.checkout_env.stripe.open_dispute(intent)
    refund_env.tell()
    assert spendable(refund_env.checkout_env.world, customer) == 2
    refund_env.decide(dispute["id"], won=False)
    assert (spendable(refund_env.checkout_env.world, customer), refund_env.has(customer_receivable(customer))) == (
        0,
        -2699,
    )
    assert refund_env.has(CREDIT_SALES) == 2699
    refund_env.balanced()


def test_a_pack_whose_dispute_is_won_keeps_its_credits(refund_env: RefundEnv) -> None:
    customer = new_id()
    intent = refund_env.pack(customer)
    dispute = refund_env.checkout_env.stripe.open_dispute(intent)
    refund_env.decide(dispute["id"], won=True)
    assert (spendable(refund_env.checkout_env.world, customer), refund_env.has(DISPUTED)) == (5, 0)
    refund_env.balanced()
