"""Disputes that do not take exactly what was paid: what Stripe takes and gives back is booked at once, to the cent."""

from collections.abc import Callable
from typing import Literal

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import CREDIT_SALES, DISPUTED, PLATFORM_REVENUE
from autodoctor.payments.stripe.lease import Sent
from support.integrity.findings import findings
from support.money.purchases import spendable
from support.money.refund_env import PRICE, SHARE, RefundEnv
from support.money.statement_sums import adds_up

PLATFORM = PRICE - SHARE


def over(refund_env: RefundEnv) -> None:
    """Nothing is booked as disputed, nothing waits, and all books agree."""
    assert refund_env.has(DISPUTED) == 0
    assert refund_env.checkout_env.one("SELECT count(*) FROM losses WHERE behind") == 0
    refund_env.balanced()


@pytest.mark.parametrize("taken", [PRICE + 1, PRICE + 21, 2 * PRICE])
def test_more_than_was_paid_is_the_platforms_and_the_share_is_taken_back(refund_env: RefundEnv, taken: int) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    assert refund_env.payouts() == Sent(sent=1)
    dispute = refund_env.dispute(session_id, amount=taken)
    refund_env.decide(dispute, won=False)
    assert refund_env.has(PLATFORM_REVENUE) == PLATFORM - (taken - SHARE)
    assert refund_env.of_mechanic() == (0, SHARE)
    assert refund_env.reversals() == Sent(sent=1)
    assert refund_env.of_mechanic() == (0, 0)
    over(refund_env)


def test_a_payout_that_is_due_is_cancelled_by_it(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.decide(refund_env.dispute(session_id, amount=PRICE + 1), won=False)
    refund_env.later()
    assert refund_env.payouts() == Sent()
    assert refund_env.payout()["state"] == "cancelled"
    over(refund_env)


def test_a_cancelled_session_loses_more_than_is_held(refund_env: RefundEnv) -> None:
    session_id = refund_env.cancelled()
    refund_env.decide(refund_env.dispute(session_id, amount=PRICE + 30), won=False)
    assert refund_env.has(PLATFORM_REVENUE) == -30
    refund_env.later()
    refund_env.refunds()
    assert refund_env.refund_row()["state"] == "returned"
    over(refund_env)


@pytest.mark.parametrize("settled", ["completed", "cancelled"])
def test_one_that_was_lost_before_it_was_settled(refund_env: RefundEnv, settled: str) -> None:
    session_id = refund_env.buy()
    refund_env.decide(refund_env.dispute(session_id, amount=PRICE + 30), won=False)
    (refund_env.complete if settled == "completed" else refund_env.cancel)(session_id)
    assert refund_env.has(PLATFORM_REVENUE) == -30
    over(refund_env)


def test_a_pack_that_is_disputed_for_more_gives_up_its_credits(refund_env: RefundEnv) -> None:
    customer = new_id()
    intent = refund_env.pack(customer)
    dispute = refund_env.checkout_env.stripe.open_dispute(intent, amount=4_520)
    refund_env.tell()
    refund_env.decide(str(dispute["id"]), won=False)
    assert spendable(refund_env.checkout_env.world, customer) == 0
    assert refund_env.has(CREDIT_SALES) < 0
    over(refund_env)


@pytest.mark.parametrize("sent", [True, False])
def test_what_is_taken_at_the_close_is_booked_too(refund_env: RefundEnv, *, sent: bool) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    if sent:
        assert refund_env.payouts() == Sent(sent=1)
    dispute = refund_env.dispute(session_id)
    refund_env.decide(dispute, won=False)
    refund_env.checkout_env.stripe.take_more(dispute, 23)
    refund_env.tell()
    assert refund_env.has(PLATFORM_REVENUE) == -23
    assert refund_env.of_mechanic() == (0, SHARE if sent else 0)
    over(refund_env)


def test_a_refund_by_hand_and_then_the_whole_by_a_dispute(refund_env: RefundEnv) -> None:
    """Booked at once; when Stripe gives back what went twice, it is shared out anew."""
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.refund(session_id, 300)
    dispute = refund_env.dispute(session_id, amount=PRICE)
    refund_env.decide(dispute, won=False)
    assert refund_env.has(PLATFORM_REVENUE) == -300
    over(refund_env)
    refund_env.checkout_env.stripe.reinstate(dispute, 300)
    refund_env.tell()
    assert (refund_env.has(PLATFORM_REVENUE), refund_env.of_mechanic()) == (0, (0, 0))
    over(refund_env)


def test_a_refund_that_failed_after_more_was_lost_than_was_paid(refund_env: RefundEnv) -> None:
    session_id = refund_env.cancelled()
    by_hand = refund_env.refund(session_id)
    refund_env.decide(refund_env.dispute(session_id, amount=PRICE), won=False)
    assert refund_env.has(PLATFORM_REVENUE) == -PRICE
    refund_env.checkout_env.stripe.fail_refund(by_hand)
    refund_env.tell()
    assert (refund_env.has(PLATFORM_REVENUE), refund_env.refund_row()["state"]) == (0, "sent")
    over(refund_env)


ENDS: dict[str, tuple[Callable[[RefundEnv, str], None], int]] = {
    "won with less than was taken": (lambda env, it: env.decide(it, won=True, reinstated=PRICE - 14), 14),
    "won with more than was taken": (lambda env, it: env.decide(it, won=True, reinstated=PRICE + 11), -11),
    "prevented": (lambda env, it: env.decide(it, status="prevented"), PRICE),
    "lost, and a part reinstated": (lambda env, it: env.decide(it, won=False, reinstated=400), PRICE - 400),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("sent", [True, False])
def test_nothing_stays_disputed_once_a_dispute_is_over(refund_env: RefundEnv, end: str, *, sent: bool) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    if sent:
        assert refund_env.payouts() == Sent(sent=1)
    dispute = refund_env.dispute(session_id)
    close, cost = ENDS[end]
    close(refund_env, dispute)
    owed, owes = refund_env.of_mechanic()
    ours = refund_env.has(PLATFORM_REVENUE)
    assert ours + owed - owes == PRICE - cost - (SHARE if sent else 0)
    if end.startswith("won"):
        assert (ours, owes) == (PLATFORM - cost, 0)
    over(refund_env)


@pytest.mark.parametrize("end", ["lost", "prevented", "won"])
def test_a_status_that_nobody_knows_alarms_and_gives_way(
    refund_env: RefundEnv, capsys: pytest.CaptureFixture[str], end: Literal["lost", "prevented", "won"]
) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    assert refund_env.payouts() == Sent(sent=1)
    stripe = refund_env.checkout_env.stripe
    dispute = stripe.open_dispute(refund_env.intent(session_id))
    unknown = stripe.emit("charge.dispute.created", {**dispute, "status": "charge_refunded"})
    assert refund_env.deliver({"id": unknown}).json["outcome"] == "mismatch"
    assert "PaymentMismatch" in capsys.readouterr().out
    stripe.close_dispute(dispute["id"], status=end)
    refund_env.tell()
    stripe.emit("charge.dispute.updated", {**dispute, "status": "charge_refunded"})
    assert refund_env.tell() == ["unchanged"]
    assert refund_env.checkout_env.one("SELECT status FROM stripe_disputes") == end
    over(refund_env)


def test_what_comes_back_after_it_was_lost_and_booked(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    assert refund_env.payouts() == Sent(sent=1)
    dispute = refund_env.dispute(session_id)
    refund_env.decide(dispute, won=False)
    refund_env.checkout_env.stripe.reinstate(dispute, PRICE - 100)
    refund_env.tell()
    assert refund_env.of_mechanic() == (0, 70)
    assert refund_env.reversals() == Sent(sent=1)
    assert refund_env.of_mechanic() == (0, 0)
    assert [each["amount"] for each in refund_env.checkout_env.stripe.objects("transfer_reversal")] == [70]
    over(refund_env)


def taken_back(refund_env: RefundEnv) -> list[int]:
    """The cents of every reversal at Stripe, the oldest first."""
    return [each["amount"] for each in refund_env.checkout_env.stripe.objects("transfer_reversal")]


@pytest.mark.parametrize("before", ["done", "due", "failed", "unanswered", "made"])
def test_more_that_is_lost_later_is_taken_back_too(refund_env: RefundEnv, before: str) -> None:
    """Whatever became of the first reversal: not asked for, given up, or asked for without an answer."""
    refund_env.onboard()
    session_id = refund_env.earned()
    assert refund_env.payouts() == Sent(sent=1)
    dispute = refund_env.dispute(session_id, amount=300)
    refund_env.decide(dispute, won=False)
    stripe = refund_env.checkout_env.stripe
    if before in ("unanswered", "made"):
        mode = "unavailable" if before == "unanswered" else "error_after"
        stripe.fail(mode=mode, method="POST", path="/v1/transfers/*", times=3)
        stripe.disturb(held=True)
    if before == "failed":
        refund_env.checkout_env.world.owner.execute(
            "UPDATE payout_reversals SET state = 'failed', next_attempt_at = NULL"
        )
    elif before != "due":
        assert refund_env.reversals() == (Sent(sent=1) if before == "done" else Sent(waiting=1))
    stripe.take_more(dispute, PRICE - 300)
    refund_env.tell()
    stripe.clear_faults()
    for _sweep in range(2):
        refund_env.later()
        refund_env.reversals()
    assert (sum(taken_back(refund_env)), refund_env.of_mechanic()) == (SHARE, (0, 0))
    assert refund_env.has(PLATFORM_REVENUE) == 0
    over(refund_env)
    assert findings(refund_env.checkout_env.world) == {}


@pytest.mark.parametrize("by_hand", [100, 210])
@pytest.mark.parametrize("asked", [False, True])
def test_what_was_taken_back_by_hand_counts_before_its_webhook_comes(
    refund_env: RefundEnv, by_hand: int, *, asked: bool
) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    assert refund_env.payouts() == Sent(sent=1)
    refund_env.decide(refund_env.dispute(session_id, amount=300), won=False)
    assert refund_env.of_mechanic() == (0, 210)
    stripe = refund_env.checkout_env.stripe
    if asked:
        stripe.fail(mode="unavailable", method="POST", path="/v1/transfers/*", times=3)
        assert refund_env.reversals() == Sent(waiting=1)
        stripe.clear_faults()
    stripe.disturb(held=True)
    stripe.reverse(refund_env.payout()["stripe_transfer_id"], by_hand)
    for hours in (0, 25, 25):  # the key of a call without an answer is Stripe's for a day
        refund_env.later(hours * 3600)
        refund_env.reversals()
    assert (sum(taken_back(refund_env)), refund_env.of_mechanic()) == (210, (0, 0))
    assert refund_env.payout()["withheld_cents"] == 210
    stripe.release()
    over(refund_env)
    assert findings(refund_env.checkout_env.world) == {}


def test_one_reversal_of_a_payout_waits_for_another(refund_env: RefundEnv) -> None:
    """Whether Stripe made it is not known, so neither is what is still owed."""
    refund_env.onboard()
    session_id = refund_env.earned()
    assert refund_env.payouts() == Sent(sent=1)
    dispute = refund_env.dispute(session_id, amount=300)
    refund_env.decide(dispute, won=False)
    stripe = refund_env.checkout_env.stripe
    stripe.fail(mode="unavailable", method="POST", path="/v1/transfers/*", times=3)
    assert refund_env.reversals() == Sent(waiting=1)
    stripe.clear_faults()
    stripe.take_more(dispute, 100)
    refund_env.tell()
    assert (refund_env.reversals(), taken_back(refund_env)) == (Sent(waiting=1), [])
    refund_env.later()
    for _sweep in range(2):
        refund_env.later()
        refund_env.reversals()
    assert (sum(taken_back(refund_env)), refund_env.of_mechanic()) == (280, (0, 0))
    over(refund_env)


@pytest.mark.parametrize(("kept", "status"), [(0, "won"), (0, "lost"), (300, "lost")])
def test_what_was_taken_back_for_a_loss_that_is_none_is_paid_again(
    refund_env: RefundEnv, kept: int, status: str
) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.checkout_env.stripe.add_funds(5000)  # what is returned is no part of a charge
    assert refund_env.payouts() == Sent(sent=1)
    dispute = refund_env.dispute(session_id)
    refund_env.decide(dispute, won=False)
    assert refund_env.reversals() == Sent(sent=1)
    stripe = refund_env.checkout_env.stripe
    stripe.reinstate(dispute, PRICE - kept)
    refund_env.tell()
    (about,) = stripe.objects("dispute")
    for _again in range(2):
        stripe.emit("charge.dispute.closed", {**about, "status": status})
        refund_env.tell()
    theirs = SHARE - round(kept * 0.7)
    assert refund_env.of_mechanic() == (theirs, 0)
    refund_env.later()
    assert refund_env.payouts() == Sent(sent=1)
    assert (refund_env.sent(), refund_env.of_mechanic()) == ([SHARE, theirs], (0, 0))
    assert refund_env.has(PLATFORM_REVENUE) == PLATFORM - kept + round(kept * 0.7)
    over(refund_env)
    adds_up(refund_env.checkout_env.world, refund_env.mechanic)
    assert findings(refund_env.checkout_env.world) == {}


def test_what_was_taken_back_by_hand_is_sent_again_by_an_operator_only(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.checkout_env.stripe.add_funds(5000)
    assert refund_env.payouts() == Sent(sent=1)
    payout = refund_env.payout()
    refund_env.checkout_env.stripe.reverse(payout["stripe_transfer_id"], 500)
    refund_env.decide(refund_env.dispute(session_id), won=True)
    refund_env.later()
    assert (refund_env.payouts(), refund_env.of_mechanic()) == (Sent(), (500, 0))
    assert findings(refund_env.checkout_env.world) == {"money_given_up": [str(session_id)]}
    assert refund_env.checkout_env.one("SELECT return_reversed(%s)", payout["id"])
    assert not refund_env.checkout_env.one("SELECT return_reversed(%s)", payout["id"])
    refund_env.later()
    assert (refund_env.payouts(), refund_env.of_mechanic()) == (Sent(sent=1), (0, 0))
    over(refund_env)
    assert findings(refund_env.checkout_env.world) == {}


def test_a_dispute_in_another_currency_is_ours_because_of_its_payment(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    assert refund_env.payouts() == Sent(sent=1)
    dispute = refund_env.dispute(session_id, amount=920, currency="eur", taken=PRICE - 3)
    assert refund_env.has(DISPUTED) == -(PRICE - 3)
    refund_env.decide(dispute, won=False)
    assert refund_env.reversals() == Sent(sent=1)
    over(refund_env)


def test_two_disputes_of_one_payment(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.decide(refund_env.dispute(session_id, amount=400), won=False)
    refund_env.decide(refund_env.dispute(session_id), won=False)
    assert refund_env.has(PLATFORM_REVENUE) == 0
    refund_env.later()
    assert (refund_env.payouts(), refund_env.payout()["state"]) == (Sent(), "cancelled")
    over(refund_env)


def test_after_a_dispute_over_a_part_only_the_rest_is_refunded(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy()
    dispute = refund_env.dispute(session_id, amount=300)
    refund_env.cancel(session_id)
    assert refund_env.refunds() == Sent()
    refund_env.decide(dispute, won=False)
    assert refund_env.refunds() == Sent(sent=1)
    assert [each["amount"] for each in refund_env.checkout_env.stripe.objects("refund")] == [PRICE - 300]
    assert refund_env.refund_row()["state"] == "sent"
    over(refund_env)
