"""An endpoint that asks for `charge.refunded` alone: what went back is looked up and booked, once, in any order."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import CREDIT_SALES, PLATFORM_REVENUE, session_held
from autodoctor.payments.losses.refund_lookups import LookedUp, lookups_unanswered, sweep_refund_lookups
from autodoctor.payments.outgoing.lease import Sent
from payments.desk import PRICE, SHARE, Desk
from payments.purse import spendable

KIND = "charge.refunded"
NOTHING = LookedUp()


def told(desk: Desk) -> str:
    """Tell of the newest charge of which some went back, and of no refund; what that did."""
    return str(desk.counter.tell(KIND).json["outcome"])


def by_hand(desk: Desk, session_id: Any, cents: int | None = None) -> str:  # noqa: ANN401 (a session's id)
    """Somebody pays back in the dashboard, and the charge is told; what that did."""
    desk.refund(session_id, cents, told=False)
    return told(desk)


def charge_of(desk: Desk) -> dict[str, Any]:
    """The newest charge as its last event has it."""
    found: dict[str, Any] = desk.counter.stripe.events(KIND)[-1]["data"]["object"]
    return found


def emitted(desk: Desk, charge: Mapping[str, Any]) -> str:
    """Tell of a charge that looks like this; what that did."""
    desk.counter.stripe.emit(KIND, dict(charge))
    return told(desk)


# --- alone ------------------------------------------------------------------------------------------


def test_partly_and_then_fully_before_the_outcome_is_known(desk: Desk) -> None:
    session_id = desk.buy()
    assert by_hand(desk, session_id, 100) == "refund_noted"
    assert desk.has(session_held(session_id)) == PRICE  # the webhook asks Stripe nothing
    assert told(desk) == "duplicate"
    assert [desk.lookups(), desk.lookups()] == [LookedUp(asked=1, news=1), NOTHING]
    assert desk.has(session_held(session_id)) == PRICE - 100
    assert by_hand(desk, session_id) == "refund_noted"
    assert [desk.lookups(), desk.has(session_held(session_id))] == [LookedUp(asked=1, news=1), 0]
    desk.balanced()


def test_several_at_once_are_one_look_up(desk: Desk) -> None:
    session_id = desk.buy()
    for cents in (1, 2, 3):
        by_hand(desk, session_id, cents)
    assert desk.lookups() == LookedUp(asked=1, news=3)
    assert desk.has(session_held(session_id)) == PRICE - 6
    desk.balanced()


def test_an_unsent_payout_shrinks(desk: Desk) -> None:
    desk.onboard()
    session_id = desk.earned()
    assert by_hand(desk, session_id, 333) == "refund_noted"
    assert (desk.lookups(), desk.payouts()) == (LookedUp(asked=1, news=1), Sent(sent=1))
    assert (desk.sent(), desk.of_mechanic()) == ([SHARE - 233], (0, 0))
    desk.balanced()


def test_after_the_payout_the_mechanic_owes_their_part(desk: Desk) -> None:
    desk.onboard()
    session_id = desk.earned()
    desk.payouts()
    by_hand(desk, session_id)
    desk.lookups()
    assert (desk.of_mechanic(), desk.has(PLATFORM_REVENUE)) == ((0, SHARE), 0)
    desk.balanced()


def test_of_a_pack_the_credits_are_taken(desk: Desk) -> None:
    customer = new_id()
    desk.counter.stripe.refund(desk.pack(customer))
    assert (told(desk), desk.lookups()) == ("refund_noted", LookedUp(asked=1, news=1))
    assert (spendable(desk.counter.stage, customer), desk.has(CREDIT_SALES)) == (0, 0)
    desk.balanced()


def test_one_of_ours_changes_nothing(desk: Desk) -> None:
    desk.cancelled()
    assert desk.refunds() == Sent(sent=1)
    assert (told(desk), desk.lookups()) == ("unchanged", NOTHING)
    desk.balanced()


def test_one_after_another_that_came_back_unheard_of(desk: Desk) -> None:
    """Both times all of it went back, says the charge: that it is not the same refund, only the second event says."""
    session_id = desk.buy()
    desk.refund(session_id, told=False)
    assert (told(desk), desk.lookups().news) == ("refund_noted", 1)
    desk.counter.stripe.fail_refund(desk.counter.stripe.objects("refund")[0]["id"])
    assert by_hand(desk, session_id) == "refund_noted"
    assert desk.lookups() == LookedUp(asked=1, news=2)
    assert desk.has(session_held(session_id)) == 0
    desk.balanced()


# --- beside the events of the refunds ---------------------------------------------------------------


@pytest.mark.parametrize("first", [KIND, "refund.created"])
def test_in_any_order_it_is_booked_once(desk: Desk, first: str) -> None:
    session_id = desk.buy()
    desk.refund(session_id, 100, told=False)
    expected = {KIND: "refund_noted", "refund.created": "refunded"}
    if first != KIND:
        expected[KIND] = "unchanged"
    for kind in (first, *(expected.keys() - {first})):
        assert desk.counter.tell(kind).json["outcome"] == expected[kind]
    assert desk.lookups() == (LookedUp(asked=1) if first == KIND else NOTHING)
    assert desk.has(session_held(session_id)) == PRICE - 100
    desk.balanced()


def test_before_its_payment_is_told(desk: Desk) -> None:
    session_id = desk.buy(told=False)
    assert (by_hand(desk, session_id, 100), desk.lookups()) == ("refund_noted", NOTHING)
    assert desk.counter.tell("checkout.session.completed").json["outcome"] == "fulfilled"
    assert desk.lookups() == LookedUp(asked=1, news=1)
    assert desk.has(session_held(session_id)) == PRICE - 100
    desk.balanced()


# --- with its refunds, as versions of the API before 2022-11-15 tell it -----------------------------


def test_the_refunds_it_names_are_booked_at_once(desk: Desk) -> None:
    session_id = desk.buy()
    for cents in (100, 200):
        desk.refund(session_id, cents, told=False)
    newest_first = [{**each, "payment_intent": None} for each in desk.counter.stripe.objects("refund")[::-1]]
    with_refunds = {**charge_of(desk), "refunds": {"object": "list", "data": newest_first, "has_more": False}}
    assert [emitted(desk, with_refunds), emitted(desk, with_refunds)] == ["refunded", "unchanged"]
    assert desk.has(session_held(session_id)) == PRICE - 300
    assert desk.lookups() == NOTHING
    desk.balanced()


def test_what_it_does_not_name_of_them_is_looked_up(desk: Desk) -> None:
    session_id = desk.buy()
    for cents in (100, 200):
        desk.refund(session_id, cents, told=False)
    newest = desk.counter.stripe.objects("refund")[-1]
    with_one = {**charge_of(desk), "refunds": {"object": "list", "data": [newest], "has_more": True}}
    assert emitted(desk, with_one) == "refund_noted"
    assert desk.has(session_held(session_id)) == PRICE - 200
    assert desk.lookups() == LookedUp(asked=1, news=1)
    desk.balanced()


# --- what is not ours -------------------------------------------------------------------------------


def test_somebody_elses_charge_is_none_of_ours(desk: Desk) -> None:
    desk.buy()
    foreign = {"id": "ch_x", "object": "charge", "amount_refunded": 5, "payment_intent": "pi_x", "metadata": {}}
    elsewhere = {"checkoutId": str(new_id())}
    for changes in ({}, {"payment_intent": None}, {"metadata": {"checkoutId": "?"}}, {"metadata": elsewhere}):
        assert emitted(desk, {**foreign, **changes}) == "not_ours"
    assert desk.lookups() == NOTHING
    desk.balanced()


# --- the sweep --------------------------------------------------------------------------------------


def test_where_stripe_fails_it_is_asked_again_later(desk: Desk) -> None:
    sessions = [desk.buy() for _ in range(2)]
    for session_id in sessions:
        by_hand(desk, session_id, 100)
    desk.counter.stripe.fail(mode="error", path="/v1/refunds", method="GET", times=3)
    assert lookups_unanswered(desk.counter.stage.app) == 2
    assert desk.lookups() == LookedUp(asked=2, news=1)
    assert desk.lookups() == NOTHING
    assert lookups_unanswered(desk.counter.stage.app) == 1
    desk.counter.stage.owner.execute("UPDATE checkouts SET refunds_due_at = refunds_due_at - interval '10 minutes'")
    assert desk.lookups() == LookedUp(asked=1, news=1)
    assert lookups_unanswered(desk.counter.stage.app) == 0
    assert [desk.has(session_held(each)) for each in sessions] == [PRICE - 100] * 2
    desk.balanced()


def test_a_run_without_time_leaves_all_to_the_next(desk: Desk) -> None:
    by_hand(desk, desk.buy(), 100)
    assert sweep_refund_lookups(desk.counter.stage.app, desk.client, lambda: 30.0) == NOTHING
    assert desk.lookups() == LookedUp(asked=1, news=1)


def test_what_is_told_while_stripe_is_asked_is_looked_up_again(desk: Desk) -> None:
    """The list that Stripe answered with may be older than that."""
    session_id = desk.buy()
    by_hand(desk, session_id, 100)
    left = iter((60.0, 60.0, 30.0))
    desk.counter.stripe.fail(mode="slow", path="/v1/refunds", method="GET", seconds=2.0)
    with ThreadPoolExecutor(1) as other:
        swept = other.submit(sweep_refund_lookups, desk.counter.stage.app, desk.client, lambda: next(left))
        due = "SELECT refunds_due_at > clock_timestamp() FROM checkouts"
        while not desk.counter.one(due):
            time.sleep(0.01)
        assert by_hand(desk, session_id, 200) == "refund_noted"
        assert swept.result().asked == 2
    assert desk.has(session_held(session_id)) == PRICE - 300
