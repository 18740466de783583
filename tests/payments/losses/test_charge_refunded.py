"""An endpoint that receives only `charge.refunded`: refunds are looked up and booked, once, in any order."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import CREDIT_SALES, PLATFORM_REVENUE, session_held
from autodoctor.payments.losses.refund_lookups import LookedUp, lookups_unanswered, sweep_refund_lookups
from autodoctor.payments.stripe.lease import Sent
from support.money.purchases import spendable
from support.money.refund_env import PRICE, SHARE, RefundEnv
from support.wait import wait_until

KIND = "charge.refunded"
NOTHING = LookedUp()


def charge_reported(refund_env: RefundEnv) -> str:
    """Deliver the newest charge of which some went back, and no refund; what that did."""
    return str(refund_env.checkout_env.tell(KIND).json["outcome"])


def by_hand(refund_env: RefundEnv, session_id: Any, cents: int | None = None) -> str:  # noqa: ANN401 (a session's id)
    """Somebody pays back in the dashboard, and the charge is reported; what that did."""
    refund_env.refund(session_id, cents, delivered=False)
    return charge_reported(refund_env)


def charge_of(refund_env: RefundEnv) -> dict[str, Any]:
    """The newest charge as its last event has it."""
    found: dict[str, Any] = refund_env.checkout_env.stripe.events(KIND)[-1]["data"]["object"]
    return found


def emitted(refund_env: RefundEnv, charge: Mapping[str, Any]) -> str:
    """Tell of a charge that looks like this; what that did."""
    refund_env.checkout_env.stripe.emit(KIND, dict(charge))
    return charge_reported(refund_env)


# --- alone ------------------------------------------------------------------------------------------


def test_partly_and_then_fully_before_the_outcome_is_known(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy()
    assert by_hand(refund_env, session_id, 100) == "refund_noted"
    assert refund_env.has(session_held(session_id)) == PRICE  # the webhook asks Stripe nothing
    assert charge_reported(refund_env) == "duplicate"
    assert [refund_env.lookups(), refund_env.lookups()] == [LookedUp(asked=1, new=1), NOTHING]
    assert refund_env.has(session_held(session_id)) == PRICE - 100
    assert by_hand(refund_env, session_id) == "refund_noted"
    assert [refund_env.lookups(), refund_env.has(session_held(session_id))] == [LookedUp(asked=1, new=1), 0]
    refund_env.balanced()


def test_several_at_once_are_one_look_up(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy()
    for cents in (1, 2, 3):
        by_hand(refund_env, session_id, cents)
    assert refund_env.lookups() == LookedUp(asked=1, new=3)
    assert refund_env.has(session_held(session_id)) == PRICE - 6
    refund_env.balanced()


def test_an_unsent_payout_shrinks(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    assert by_hand(refund_env, session_id, 333) == "refund_noted"
    assert (refund_env.lookups(), refund_env.payouts()) == (LookedUp(asked=1, new=1), Sent(sent=1))
    assert (refund_env.sent(), refund_env.of_mechanic()) == ([SHARE - 233], (0, 0))
    refund_env.balanced()


def test_after_the_payout_the_mechanic_owes_their_part(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.payouts()
    by_hand(refund_env, session_id)
    refund_env.lookups()
    assert (refund_env.of_mechanic(), refund_env.has(PLATFORM_REVENUE)) == ((0, SHARE), 0)
    refund_env.balanced()


def test_of_a_pack_the_credits_are_taken(refund_env: RefundEnv) -> None:
    customer = new_id()
    refund_env.checkout_env.stripe.refund(refund_env.pack(customer))
    assert (charge_reported(refund_env), refund_env.lookups()) == ("refund_noted", LookedUp(asked=1, new=1))
    assert (spendable(refund_env.checkout_env.world, customer), refund_env.has(CREDIT_SALES)) == (0, 0)
    refund_env.balanced()


def test_one_of_ours_changes_nothing(refund_env: RefundEnv) -> None:
    refund_env.cancelled()
    assert refund_env.refunds() == Sent(sent=1)
    assert (charge_reported(refund_env), refund_env.lookups()) == ("unchanged", NOTHING)
    refund_env.balanced()


def test_one_after_another_that_came_back_unheard_of(refund_env: RefundEnv) -> None:
    """Both times all of it went back, says the charge: that it is not the same refund, only the second event says."""
    session_id = refund_env.buy()
    refund_env.refund(session_id, delivered=False)
    assert (charge_reported(refund_env), refund_env.lookups().new) == ("refund_noted", 1)
    refund_env.checkout_env.stripe.fail_refund(refund_env.checkout_env.stripe.objects("refund")[0]["id"])
    assert by_hand(refund_env, session_id) == "refund_noted"
    assert refund_env.lookups() == LookedUp(asked=1, new=2)
    assert refund_env.has(session_held(session_id)) == 0
    refund_env.balanced()


# --- beside the events of the refunds ---------------------------------------------------------------


@pytest.mark.parametrize("first", [KIND, "refund.created"])
def test_in_any_order_it_is_booked_once(refund_env: RefundEnv, first: str) -> None:
    session_id = refund_env.buy()
    refund_env.refund(session_id, 100, delivered=False)
    expected = {KIND: "refund_noted", "refund.created": "refunded"}
    if first != KIND:
        expected[KIND] = "unchanged"
    for kind in (first, *(expected.keys() - {first})):
        assert refund_env.checkout_env.tell(kind).json["outcome"] == expected[kind]
    assert refund_env.lookups() == (LookedUp(asked=1) if first == KIND else NOTHING)
    assert refund_env.has(session_held(session_id)) == PRICE - 100
    refund_env.balanced()


def test_before_its_payment_is_told(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy(delivered=False)
    assert (by_hand(refund_env, session_id, 100), refund_env.lookups()) == ("refund_noted", NOTHING)
    assert refund_env.checkout_env.tell("checkout.session.completed").json["outcome"] == "fulfilled"
    assert refund_env.lookups() == LookedUp(asked=1, new=1)
    assert refund_env.has(session_held(session_id)) == PRICE - 100
    refund_env.balanced()


# --- with its refunds, as versions of the API before 2022-11-15 tell it -----------------------------


def test_the_refunds_it_names_are_booked_at_once(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy()
    for cents in (100, 200):
        refund_env.refund(session_id, cents, delivered=False)
    newest_first = [{**each, "payment_intent": None} for each in refund_env.checkout_env.stripe.objects("refund")[::-1]]
    with_refunds = {**charge_of(refund_env), "refunds": {"object": "list", "data": newest_first, "has_more": False}}
    assert [emitted(refund_env, with_refunds), emitted(refund_env, with_refunds)] == ["refunded", "unchanged"]
    assert refund_env.has(session_held(session_id)) == PRICE - 300
    assert refund_env.lookups() == NOTHING
    refund_env.balanced()


def test_what_it_does_not_name_of_them_is_looked_up(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy()
    for cents in (100, 200):
        refund_env.refund(session_id, cents, delivered=False)
    newest = refund_env.checkout_env.stripe.objects("refund")[-1]
    with_one = {**charge_of(refund_env), "refunds": {"object": "list", "data": [newest], "has_more": True}}
    assert emitted(refund_env, with_one) == "refund_noted"
    assert refund_env.has(session_held(session_id)) == PRICE - 200
    assert refund_env.lookups() == LookedUp(asked=1, new=1)
    refund_env.balanced()


# --- what is not ours -------------------------------------------------------------------------------


def test_somebody_elses_charge_is_none_of_ours(refund_env: RefundEnv) -> None:
    refund_env.buy()
    foreign = {"id": "ch_x", "object": "charge", "amount_refunded": 5, "payment_intent": "pi_x", "metadata": {}}
    elsewhere = {"checkoutId": str(new_id())}
    for changes in ({}, {"payment_intent": None}, {"metadata": {"checkoutId": "?"}}, {"metadata": elsewhere}):
        assert emitted(refund_env, {**foreign, **changes}) == "not_ours"
    assert refund_env.lookups() == NOTHING
    refund_env.balanced()


# --- the sweep --------------------------------------------------------------------------------------


def test_where_stripe_fails_it_is_asked_again_later(refund_env: RefundEnv) -> None:
    sessions = [refund_env.buy() for _ in range(2)]
    for session_id in sessions:
        by_hand(refund_env, session_id, 100)
    refund_env.checkout_env.stripe.fail(mode="error", path="/v1/refunds", method="GET", times=3)
    assert lookups_unanswered(refund_env.checkout_env.world.app) == 2
    assert refund_env.lookups() == LookedUp(asked=2, new=1)
    assert refund_env.lookups() == NOTHING
    assert lookups_unanswered(refund_env.checkout_env.world.app) == 1
    refund_env.checkout_env.world.owner.execute(
        "UPDATE checkouts SET refunds_due_at = refunds_due_at - interval '10 minutes'"
    )
    assert refund_env.lookups() == LookedUp(asked=1, new=1)
    assert lookups_unanswered(refund_env.checkout_env.world.app) == 0
    assert [refund_env.has(session_held(each)) for each in sessions] == [PRICE - 100] * 2
    refund_env.balanced()


def test_a_run_without_time_leaves_all_to_the_next(refund_env: RefundEnv) -> None:
    by_hand(refund_env, refund_env.buy(), 100)
    assert sweep_refund_lookups(refund_env.checkout_env.world.app, refund_env.client, lambda: 30.0) == NOTHING
    assert refund_env.lookups() == LookedUp(asked=1, new=1)


def test_what_is_told_while_stripe_is_asked_is_looked_up_again(refund_env: RefundEnv) -> None:
    """The list that Stripe answered with may be older than that."""
    session_id = refund_env.buy()
    by_hand(refund_env, session_id, 100)
    left = iter((60.0, 60.0, 30.0))
    fault = refund_env.checkout_env.stripe.fail(mode="slow", path="/v1/refunds", method="GET", seconds=60)
    with ThreadPoolExecutor(1) as other:
        swept = other.submit(
            sweep_refund_lookups, refund_env.checkout_env.world.app, refund_env.client, lambda: next(left)
        )
        wait_until(lambda: fault.waiting == 1 or swept.done())
        assert by_hand(refund_env, session_id, 200) == "refund_noted"
        fault.let_go()
        assert swept.result().asked == 2
    assert refund_env.has(session_held(session_id)) == PRICE - 300


# --- in another currency -------------------------------------------------------------------------------


def test_one_told_in_another_currency_is_looked_up_before_the_payout_goes(refund_env: RefundEnv) -> None:
    """As Stripe sends it: an event has its balance transaction by its id alone."""
    refund_env.onboard()
    session_id = refund_env.earned()
    stripe = refund_env.checkout_env.stripe
    made = stripe.refund(refund_env.intent(session_id), 100, told={"amount": 92, "currency": "eur"})
    refund_env.unasked = frozenset({"charge.refunded"})
    assert refund_env.tell() == ["refund_noted"]
    assert refund_env.lookups() == LookedUp(asked=1, new=1)
    assert refund_env.lookups() == LookedUp()
    assert refund_env.payouts() == Sent(sent=1)
    assert refund_env.sent() == [SHARE - 70]
    refund_env.balanced()
    stripe.fail_refund(str(made["id"]))
    refund_env.tell()
    assert refund_env.lookups() == LookedUp(asked=1, new=1)
    assert refund_env.checkout_env.one("SELECT failed FROM stripe_refunds")
    refund_env.balanced()


def test_one_in_another_currency_is_looked_up_until_it_took_something(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy()
    stripe = refund_env.checkout_env.stripe
    stripe.refunds_stay_pending()
    made = stripe.refund(refund_env.intent(session_id), 100, told={"amount": 92, "currency": "eur"})
    refund_env.tell()
    assert refund_env.lookups() == LookedUp(asked=1)
    assert refund_env.lookups() == LookedUp()  # not before a while is over
    assert lookups_unanswered(refund_env.checkout_env.world.app) == 1
    stripe.settle_refund(made["id"])
    refund_env.tell()
    assert refund_env.lookups() == LookedUp(asked=1, new=1)
    assert lookups_unanswered(refund_env.checkout_env.world.app) == 0
    assert refund_env.has(session_held(session_id)) == PRICE - 100
    refund_env.balanced()


def test_only_what_one_in_another_currency_left_is_paid_back(refund_env: RefundEnv) -> None:
    session_id = refund_env.buy()
    refund_env.checkout_env.stripe.refund(refund_env.intent(session_id), 100, told={"amount": 92, "currency": "eur"})
    refund_env.cancel(session_id)
    assert refund_env.refunds() == Sent(sent=1)
    assert [each["amount"] for each in refund_env.checkout_env.stripe.objects("refund")] == [92, PRICE - 100]
    assert refund_env.refund_row()["state"] == "sent"
    refund_env.balanced()
