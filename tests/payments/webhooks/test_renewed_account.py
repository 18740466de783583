"""A mechanic who lost their account, or whom Stripe rejected, goes through onboarding again and is paid."""

import pytest

from autodoctor.admin.accounts import renew_account
from autodoctor.admin.mechanics import MechanicNotFound
from autodoctor.ids import new_id
from autodoctor.payments.stripe.client import stripe_client
from autodoctor.payments.stripe.connect import onboarding, start_onboarding
from autodoctor.payments.stripe.lease import Sent
from support.money.refund_env import SHARE, RefundEnv


def test_a_mechanic_begins_anew_and_is_sent_what_was_given_up(refund_env: RefundEnv) -> None:
    app, stripe = refund_env.checkout_env.world.app, refund_env.checkout_env.stripe
    lost = refund_env.onboard()
    refund_env.earned()
    refund_env.earned()
    refund_env.checkout_env.world.owner.execute("UPDATE mechanic_accounts SET stripe_account_id = 'acct_gone'")
    refund_env.checkout_env.world.owner.execute("UPDATE payouts SET state = 'failed', next_attempt_at = NULL")
    assert refund_env.checkout_env.one("SELECT count(*) FROM payouts WHERE state = 'failed'") == 2
    admin = new_id()
    assert [renew_account(app, admin, refund_env.mechanic.id).renewed for _ in range(2)] == [True, False]
    (audit,) = refund_env.checkout_env.world.owner.execute(
        "SELECT * FROM admin_changes WHERE actor_id IS NOT NULL"
    ).fetchall()
    assert (audit["actor_id"], audit["subject"], audit["changed"]) == (
        *(admin, str(refund_env.mechanic.id), ["stripe_account_id"]),
    )
    assert onboarding(app, stripe_client, refund_env.mechanic.user_id).status == "not_started"
    assert refund_env.payouts() == Sent(), "held for a day: money goes elsewhere from now on"
    start_onboarding(app, stripe_client(), refund_env.mechanic.user_id)
    new = refund_env.checkout_env.one("SELECT stripe_account_id FROM mechanic_accounts")
    assert new not in (lost, "acct_gone")
    stripe.onboard(new)
    refund_env.tell()
    assert onboarding(app, stripe_client, refund_env.mechanic.user_id).status == "complete"
    assert refund_env.payouts() == Sent()
    a_day = "UPDATE mechanic_accounts SET destination_changed_at = destination_changed_at - interval '25 hours'"
    refund_env.checkout_env.world.owner.execute(a_day)
    assert refund_env.payouts() == Sent(sent=2)
    assert [each["destination"] for each in stripe.objects("transfer")] == [new, new]
    assert refund_env.sent() == [SHARE, SHARE]
    refund_env.balanced()


def test_news_of_the_account_that_was_given_up_change_nothing(refund_env: RefundEnv) -> None:
    lost = refund_env.onboard()
    assert refund_env.checkout_env.one("SELECT renew_mechanic_account(%s)", refund_env.mechanic.id)
    start_onboarding(refund_env.checkout_env.world.app, stripe_client(), refund_env.mechanic.user_id)
    refund_env.checkout_env.stripe.restrict(lost)
    refund_env.checkout_env.stripe.onboard(lost)
    assert refund_env.tell().count("not_ours") == 2
    assert onboarding(refund_env.checkout_env.world.app, stripe_client, refund_env.mechanic.user_id).status == "pending"


def test_a_new_account_is_made_though_a_lost_answer_left_the_old_one_to_be_found(refund_env: RefundEnv) -> None:
    """The account that is looked for after a call without an answer is never the one that was given up."""
    lost = refund_env.onboard()
    assert refund_env.checkout_env.one("SELECT renew_mechanic_account(%s)", refund_env.mechanic.id)
    refund_env.checkout_env.world.owner.execute("UPDATE mechanic_accounts SET asked = true")
    start_onboarding(refund_env.checkout_env.world.app, stripe_client(), refund_env.mechanic.user_id)
    assert refund_env.checkout_env.one("SELECT stripe_account_id FROM mechanic_accounts") != lost


def test_who_is_no_mechanic_has_no_account(refund_env: RefundEnv) -> None:
    with pytest.raises(MechanicNotFound):
        renew_account(refund_env.checkout_env.world.app, new_id(), new_id())
