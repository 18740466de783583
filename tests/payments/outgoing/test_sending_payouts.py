"""Sending payouts to Stripe: each reaches the mechanic once, whatever fails on the way and however late."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import mechanic_payable, mechanic_receivable
from autodoctor.payments.losses.dashboard_refunds import refund_reported
from autodoctor.payments.outgoing.payouts import PaidTwice, sweep_payouts
from autodoctor.payments.settlement import settle
from autodoctor.payments.stripe.connect import onboarding
from autodoctor.payments.stripe.lease import BACK_OFF, Sent, unsent
from support.invariants.sessions import violations
from support.money.payout_env import PayoutEnv
from support.money.purchases import balance, buy, complete, give, rows
from support.wait import wait_until
from support.world import Mechanic

DAY = 24 * 3600
SHARE = 2099
EVENTS = "SELECT type, payload->>'reason' FROM outbox WHERE type LIKE 'payout.%%' ORDER BY id"


def sweep_elsewhere(payout_env: PayoutEnv) -> Sent:
    """Sweep over a connection of its own."""
    with payout_env.world.elsewhere() as own:
        return sweep_payouts(own, payout_env.client, lambda: 60.0)


def paid_once(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    """Look at every book there is."""
    (transfer,) = payout_env.control.objects("transfer")
    owed = payout_env.payout()
    assert (owed["state"], owed["stripe_transfer_id"], owed["waits_for"]) == ("sent", transfer["id"], None)
    assert (transfer["amount"], transfer["transfer_group"]) == (SHARE, str(owed["id"]))
    assert balance(payout_env.world, mechanic_payable(mechanic.id)) == 0
    assert payout_env.agrees()
    assert rows(payout_env.world, EVENTS) == [("payout.sent", None)]
    assert violations(payout_env.world.owner) == []


def test_a_card_session_pays_from_its_own_charge_at_once(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    """Though none of the customer's money is available yet."""
    account_id = payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    assert payout_env.payouts() == Sent(sent=1)
    paid_once(payout_env, mechanic)
    (transfer,), (charge,) = payout_env.control.objects("transfer"), payout_env.control.objects("charge")
    assert (transfer["source_transaction"], transfer["destination"]) == (charge["id"], account_id)
    assert payout_env.payouts() == Sent()


def test_a_credit_session_draws_on_the_balance_and_waits_while_it_is_short(
    payout_env: PayoutEnv, mechanic: Mechanic
) -> None:
    payout_env.onboarded(mechanic)
    customer = new_id()
    give(payout_env.world, customer, 3)
    created = buy(payout_env.world, customer, "standard")
    complete(payout_env.world, created, customer, mechanic)
    assert settle(payout_env.world.app, created.session_id)
    assert payout_env.payouts() == Sent(waiting=1)
    owed = payout_env.payout()
    assert (owed["state"], owed["waits_for"], owed["attempts"]) == ("due", "balance", 0)
    assert "balance_insufficient" in str(owed["last_error"])
    assert payout_env.payouts() == Sent()  # not before its time
    payout_env.control.add_funds(5000)
    payout_env.later()
    assert payout_env.payouts() == Sent(sent=1)
    assert (payout_env.transfers(), payout_env.payout()["state"]) == ([SHARE], "sent")
    assert violations(payout_env.world.owner) == []


@pytest.mark.parametrize("mode", ["timeout", "timeout_after", "cut", "cut_after", "unavailable", "rate_limit"])
@pytest.mark.parametrize("later", [0, 2 * DAY])
def test_a_call_without_an_answer_is_looked_up_and_not_repeated(
    payout_env: PayoutEnv, mechanic: Mechanic, mode: str, later: int
) -> None:
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    with payout_env.hanging(mode, "/v1/transfers"):
        assert payout_env.payouts() == Sent(waiting=1)
        assert (payout_env.payout()["state"], payout_env.payout()["waits_for"]) == ("sending", "retry")
        assert payout_env.payouts() == Sent()
    payout_env.later(later)
    assert payout_env.payouts() == Sent(sent=1)
    paid_once(payout_env, mechanic)


@pytest.mark.parametrize("mode", ["error", "error_after"])
def test_an_answer_of_500_is_repeated_under_its_key_until_stripe_forgets_it(
    payout_env: PayoutEnv, mechanic: Mechanic, mode: str
) -> None:
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    payout_env.control.fail(mode=mode, method="POST", path="/v1/transfers")
    assert payout_env.payouts() == Sent(waiting=1)
    if mode == "error":
        key = payout_env.payout()["idempotency_key"]
        for _attempt in range(3):
            payout_env.later(3600)
            assert payout_env.payouts() == Sent(waiting=1)
        assert payout_env.payout()["idempotency_key"] == key
        payout_env.later(DAY)
    payout_env.later()
    assert payout_env.payouts() == Sent(sent=1)
    paid_once(payout_env, mechanic)


def test_while_stripe_does_not_answer_the_lookup_nothing_is_sent(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    payout_env.control.fail(mode="cut_after", method="POST", path="/v1/transfers")
    payout_env.control.fail(mode="unavailable", method="GET", path="/v1/transfers", times=2)
    for _sweep in range(3):
        assert payout_env.payouts() == Sent(waiting=1)
        assert payout_env.transfers() == [SHARE]
        payout_env.later(DAY)
    assert payout_env.payouts() == Sent(sent=1)
    paid_once(payout_env, mechanic)


def test_what_may_have_been_sent_is_on_its_way_also_while_our_key_is_refused(
    payout_env: PayoutEnv, mechanic: Mechanic
) -> None:
    """Else a refund by hand would be withheld from what the mechanic has."""
    payout_env.onboarded(mechanic)
    created = payout_env.earned(mechanic)
    payout_env.control.fail(mode="cut_after", method="POST", path="/v1/transfers", times=3)
    assert payout_env.payouts() == Sent(waiting=1)
    payout_env.control.clear_faults()
    payout_env.later()
    replaced = stripe.StripeClient("sk_test_replaced", base_addresses={"api": payout_env.control.url})
    assert sweep_payouts(payout_env.world.app, replaced, lambda: 60.0) == Sent(waiting=1)
    assert payout_env.payout()["state"] == "sending"
    back = payout_env.control.refund(payout_env.intent(created))
    payout_env.world.app.transaction(lambda connection: refund_reported(connection, back))
    payout_env.later()
    assert payout_env.payouts() == Sent(sent=1)
    owed = payout_env.payout()
    assert (owed["state"], owed["sent_cents"], owed["withheld_cents"]) == ("sent", SHARE, 0)
    assert balance(payout_env.world, mechanic_receivable(mechanic.id)) == -SHARE
    assert payout_env.agrees()
    assert violations(payout_env.world.owner) == []


def test_who_has_no_account_is_waited_for(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    payout_env.earned(mechanic)
    for _sweep in range(len(BACK_OFF) + 3):
        assert payout_env.payouts() == Sent(waiting=1)
        payout_env.later()
    owed = payout_env.payout()
    assert (owed["state"], owed["waits_for"], owed["attempts"]) == ("due", "onboarding", 0)
    assert (unsent(payout_env.world.app).onboarding, unsent(payout_env.world.app).age_seconds) == (1, 0)
    payout_env.onboarded(mechanic)
    assert payout_env.payouts() == Sent(sent=1)
    paid_once(payout_env, mechanic)


def test_the_webhook_that_lifts_a_restriction_has_the_payout_sent(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    account_id = payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    payout_env.earned(mechanic)
    payout_env.pay_first()
    payout_env.control.restrict(account_id)
    assert payout_env.payouts() == Sent(waiting=1)  # our books said that it could take money
    assert onboarding(payout_env.world.app, payout_env.call, mechanic.user_id).status == "restricted"
    payout_env.control.onboard(account_id)
    assert payout_env.payouts() == Sent()
    payout_env.tell(account_id)
    assert payout_env.payouts() == Sent(sent=1)
    assert payout_env.transfers() == [SHARE, SHARE]
    assert payout_env.agrees()


def test_what_stripe_always_refuses_fails_in_the_end(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    payout_env.world.owner.execute("UPDATE checkouts SET stripe_payment_intent_id = 'pi_gone'")
    for _attempt in BACK_OFF[1:]:
        assert payout_env.payouts() == Sent(waiting=1)
        payout_env.later()
    assert payout_env.payouts() == Sent(failed=1)
    assert "resource_missing" in str(payout_env.payout()["last_error"])
    ((kind, reason),) = rows(payout_env.world, EVENTS)
    assert (kind, "resource_missing" in reason) == ("payout.failed", True)
    assert unsent(payout_env.world.app).failed == 1
    payout_env.later()
    assert (payout_env.payouts(), payout_env.transfers()) == (Sent(), [])
    assert balance(payout_env.world, mechanic_payable(mechanic.id)) == SHARE
    assert violations(payout_env.world.owner) == []


def test_an_operator_has_a_failed_payout_sent_after_all(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    payout_env.onboarded(mechanic)
    intent = payout_env.intent(payout_env.earned(mechanic))
    payout_env.world.owner.execute("UPDATE checkouts SET stripe_payment_intent_id = 'pi_gone'")
    for _attempt in BACK_OFF:
        payout_env.payouts()
        payout_env.later()
    payout_env.world.owner.execute("UPDATE checkouts SET stripe_payment_intent_id = %s", [intent])
    failed = payout_env.payout()["id"]
    assert payout_env.world.one("SELECT retry_stripe_job(%s)", failed)
    assert payout_env.payouts() == Sent(sent=1)
    assert not payout_env.world.one("SELECT retry_stripe_job(%s)", failed)
    assert payout_env.transfers() == [SHARE]


def test_what_was_never_answered_is_given_up_only_after_a_last_look(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    fault = payout_env.control.fail(mode="unavailable", method="POST", path="/v1/transfers", times=None)
    for _attempt in BACK_OFF:
        assert payout_env.payouts() == Sent(waiting=1)
        payout_env.later()
    assert fault.struck == len(BACK_OFF)
    assert payout_env.payouts() == Sent(failed=1)
    assert (fault.struck, payout_env.payout()["last_error"]) == (len(BACK_OFF), "APIError (503)")


def test_a_disputed_payment_is_not_paid_out_before_it_is_won(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    payout_env.onboarded(mechanic)
    created = payout_env.earned(mechanic)
    dispute = payout_env.control.open_dispute(payout_env.intent(created))
    assert payout_env.payouts() == Sent(waiting=1)
    assert (payout_env.payout()["waits_for"], payout_env.transfers()) == ("dispute", [])
    payout_env.control.close_dispute(dispute["id"], won=True)
    payout_env.later()
    assert payout_env.payouts() == Sent(sent=1)


def test_sweeps_at_once_send_each_payout_once(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    payout_env.onboarded(mechanic)
    for _session in range(6):
        payout_env.earned(mechanic, "quick")

    with ThreadPoolExecutor(4) as pool:
        swept = list(pool.map(sweep_elsewhere, [payout_env] * 4))
    assert sum(each.sent for each in swept) == 6
    assert payout_env.transfers() == [699] * 6
    assert payout_env.agrees()
    assert violations(payout_env.world.owner) == []


def test_who_was_overtaken_finds_the_transfer_of_the_other(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    """A sweep whose lease ran out while it was away, and the one that took over, end with one transfer."""
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    fault = payout_env.control.fail(mode="slow", method="POST", path="/v1/transfers", seconds=60)
    with ThreadPoolExecutor(1) as pool:
        away = pool.submit(sweep_elsewhere, payout_env)
        wait_until(lambda: fault.waiting == 1 or away.done())
        payout_env.later()  # its lease is over
        assert payout_env.payouts() == Sent(waiting=1)  # the key is at work for the first
        fault.let_go()
        assert away.result() == Sent(sent=1)
    paid_once(payout_env, mechanic)


def test_two_transfers_for_one_payout_are_never_taken_for_one(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    account_id = payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    payout_env.control.fail(mode="cut_after", method="POST", path="/v1/transfers")
    payout_env.payouts()
    payout_env.control.add_funds(5000)
    group = str(payout_env.payout()["id"])
    payout_env.client.v1.transfers.create(
        params={"amount": 1, "currency": "usd", "destination": account_id, "transfer_group": group}
    )
    payout_env.later()
    with pytest.raises(PaidTwice):
        payout_env.payouts()


def test_no_row_is_claimed_without_time_for_its_calls(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    assert sweep_payouts(payout_env.world.app, payout_env.client, lambda: 30.0) == Sent()
    assert payout_env.payout()["state"] == "due"
