"""An account that its mechanic closed: known, said, and replaced by the mechanic alone."""

from autodoctor.payments.outgoing.payouts import sweep_payouts
from autodoctor.payments.stripe.client import stripe_client
from autodoctor.payments.stripe.connect import OnboardingStatus, onboarding, start_onboarding
from autodoctor.payments.stripe.lease import Sent
from support.money.refund_env import SHARE, RefundEnv


def status(refund_env: RefundEnv) -> OnboardingStatus:
    """What the mechanic is told."""
    return onboarding(refund_env.checkout_env.world.app, stripe_client, refund_env.mechanic.user_id).status


def begin_anew(refund_env: RefundEnv) -> str:
    """The mechanic goes through onboarding once more; the id of the new account."""
    start_onboarding(refund_env.checkout_env.world.app, stripe_client(), refund_env.mechanic.user_id)
    account_id: str = refund_env.checkout_env.one("SELECT stripe_account_id FROM mechanic_accounts")
    refund_env.checkout_env.stripe.onboard(account_id)
    return account_id


def test_a_closed_account_is_said_to_be_closed_and_the_mechanic_begins_anew(refund_env: RefundEnv) -> None:
    closed = refund_env.onboard()
    refund_env.earned()
    refund_env.checkout_env.stripe.close_account(closed)
    assert refund_env.tell() == ["account_closed"]
    assert status(refund_env) == "closed"
    assert refund_env.payouts() == Sent(waiting=1)
    assert refund_env.payout()["waits_for"] == "onboarding"
    new = begin_anew(refund_env)
    refund_env.tell()
    assert (new != closed, status(refund_env)) == (True, "complete")
    refund_env.later()
    assert refund_env.payouts() == Sent(), "held for a day: money goes elsewhere from now on"
    a_day = "UPDATE mechanic_accounts SET destination_changed_at = destination_changed_at - interval '25 hours'"
    refund_env.checkout_env.world.owner.execute(a_day)
    assert refund_env.payouts() == Sent(sent=1)
    assert refund_env.sent() == [SHARE]
    refund_env.balanced()


def test_a_payout_finds_out_by_itself_and_is_never_given_up(refund_env: RefundEnv) -> None:
    closed = refund_env.onboard()
    refund_env.earned()
    refund_env.checkout_env.stripe.close_account(closed)
    for _ in range(12):
        assert refund_env.payouts() == Sent(waiting=1)
        refund_env.later()
    assert (refund_env.payout()["state"], refund_env.payout()["attempts"]) == ("due", 0)
    assert status(refund_env) == "closed"


def test_the_mechanic_begins_anew_though_nobody_knew_that_it_is_closed(refund_env: RefundEnv) -> None:
    closed = refund_env.onboard()
    refund_env.checkout_env.stripe.close_account(closed)
    assert begin_anew(refund_env) != closed


def test_an_account_that_comes_back_is_open_again(refund_env: RefundEnv) -> None:
    account_id = refund_env.onboard()
    refund_env.checkout_env.world.owner.execute("UPDATE mechanic_accounts SET closed = true, transfers_enabled = false")
    refund_env.checkout_env.stripe.onboard(account_id)
    refund_env.tell()
    assert status(refund_env) == "complete"


def test_a_bank_that_takes_money_again_makes_us_look(refund_env: RefundEnv) -> None:
    """After `payout.failed`, without any `account.updated`."""
    account_id = refund_env.onboard()
    refund_env.earned()
    app, stripe = refund_env.checkout_env.world.app, refund_env.checkout_env.stripe
    assert sweep_payouts(app, refund_env.client, lambda: 60.0) == Sent(sent=1)
    stripe.advance(3 * 24 * 3600)
    refund_env.checkout_env.world.owner.execute("UPDATE mechanic_accounts SET doubtful = false")
    stripe.fail_payout(stripe.pay_out(account_id)["id"])
    refund_env.tell()
    assert not onboarding(app, stripe_client, refund_env.mechanic.user_id).payouts_enabled
    stripe.arrive(stripe.pay_out(account_id)["id"])
    assert "bank_paid" in refund_env.tell()
    assert onboarding(app, stripe_client, refund_env.mechanic.user_id).payouts_enabled
