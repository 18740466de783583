"""Our balance is short for as long as money takes to settle: what waits for it is never given up."""

from autodoctor.ids import new_id
from autodoctor.monitoring.monitor import observe
from autodoctor.payments.settlement import settle
from autodoctor.payments.stripe.lease import Sent, unsent
from support.money.payout_env import PayoutEnv
from support.money.purchases import buy, complete, give, rows

DAY = 24 * 3600
ALERT = "SELECT severity, facts->>'payouts' FROM health_alerts WHERE alert = 'money_waits_for_balance'"


def test_a_payout_waits_out_the_two_weeks_of_a_new_platform(payout_env: PayoutEnv) -> None:
    world, mechanic, customer = payout_env.world, payout_env.world.mechanic(), new_id()
    payout_env.onboarded(mechanic)
    payout_env.control.available_in(business_days=2, first_days=14)
    payout_env.cancelled("diagnostic")  # its price is pending for two weeks
    world.owner.execute("DELETE FROM refunds")
    give(world, customer, 3)
    created = buy(world, customer, "standard")
    complete(world, created, customer, mechanic)
    assert settle(world.app, created.session_id)
    for _day in range(13):
        assert payout_env.payouts() == Sent(waiting=1)
        payout_env.later(DAY)
    owed = payout_env.payout()
    assert (owed["state"], owed["waits_for"], owed["attempts"]) == ("due", "balance", 0)
    assert rows(world, "SELECT type FROM outbox WHERE type LIKE 'payout.%%'") == []
    assert unsent(world.app).balance == 1
    observe(world.app)
    assert rows(world, ALERT) == [("warning", "1")]
    payout_env.later(2 * DAY)
    assert payout_env.payouts() == Sent(sent=1)


def test_a_refund_that_stripe_has_no_money_for_waits_too(payout_env: PayoutEnv) -> None:
    payout_env.control.available_in(business_days=2, first_days=14)
    payout_env.control.refunds_need_balance()
    payout_env.cancelled()
    for _day in range(12):
        assert payout_env.refunds() == Sent(waiting=1)
        payout_env.later(DAY)
    refund = payout_env.refund()
    assert (refund["state"], refund["waits_for"], refund["attempts"]) == ("due", "balance", 0)
    payout_env.control.add_funds(5000)
    payout_env.later()
    assert payout_env.refunds() == Sent(sent=1)
