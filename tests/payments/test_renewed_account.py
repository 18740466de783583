"""A mechanic whose account Stripe rejected, or who lost it, begins anew, and is sent what they are owed."""

import pytest

from autodoctor.admin.accounts import renew_account
from autodoctor.admin.mechanics import MechanicNotFound
from autodoctor.ids import new_id
from autodoctor.payments.outgoing.lease import BACK_OFF, Sent
from autodoctor.payments.stripe.client import stripe_client
from autodoctor.payments.stripe.connect import onboarding, start_onboarding
from payments.desk import SHARE, Desk


def test_a_mechanic_begins_anew_and_is_sent_what_was_given_up(desk: Desk) -> None:
    app, stripe = desk.counter.stage.app, desk.counter.stripe
    lost = desk.onboard()
    desk.earned()
    desk.earned()
    desk.counter.stage.owner.execute("UPDATE mechanic_accounts SET stripe_account_id = 'acct_gone'")
    for _attempt in BACK_OFF:
        desk.payouts()
        desk.later()
    assert desk.counter.one("SELECT count(*) FROM payouts WHERE state = 'failed'") == 2
    admin = new_id()
    assert [renew_account(app, admin, desk.mechanic.id).renewed for _ in range(2)] == [True, False]
    (audit,) = desk.counter.stage.owner.execute("SELECT * FROM admin_changes").fetchall()
    assert (audit["actor_id"], audit["subject"], audit["changed"]) == (
        *(admin, str(desk.mechanic.id), ["stripe_account_id"]),
    )
    assert onboarding(app, stripe_client, desk.mechanic.user_id).status == "not_started"
    assert desk.payouts() == Sent(waiting=2)
    start_onboarding(app, stripe_client(), desk.mechanic.user_id)
    new = desk.counter.one("SELECT stripe_account_id FROM mechanic_accounts")
    assert new not in (lost, "acct_gone")
    stripe.onboard(new)
    desk.tell()
    assert onboarding(app, stripe_client, desk.mechanic.user_id).status == "complete"
    assert desk.payouts() == Sent(sent=2)
    assert [each["destination"] for each in stripe.objects("transfer")] == [new, new]
    assert desk.sent() == [SHARE, SHARE]
    desk.balanced()


def test_news_of_the_account_that_was_given_up_change_nothing(desk: Desk) -> None:
    lost = desk.onboard()
    assert desk.counter.one("SELECT renew_mechanic_account(%s)", desk.mechanic.id)
    start_onboarding(desk.counter.stage.app, stripe_client(), desk.mechanic.user_id)
    desk.counter.stripe.restrict(lost)
    desk.counter.stripe.onboard(lost)
    assert desk.tell().count("not_ours") == 2
    assert onboarding(desk.counter.stage.app, stripe_client, desk.mechanic.user_id).status == "pending"


def test_a_new_account_is_made_though_a_lost_answer_left_the_old_one_to_be_found(desk: Desk) -> None:
    """The account that is looked for after a call without an answer is never the one that was given up."""
    lost = desk.onboard()
    assert desk.counter.one("SELECT renew_mechanic_account(%s)", desk.mechanic.id)
    desk.counter.stage.owner.execute("UPDATE mechanic_accounts SET asked = true")
    start_onboarding(desk.counter.stage.app, stripe_client(), desk.mechanic.user_id)
    assert desk.counter.one("SELECT stripe_account_id FROM mechanic_accounts") != lost


def test_who_is_no_mechanic_has_no_account(desk: Desk) -> None:
    with pytest.raises(MechanicNotFound):
        renew_account(desk.counter.stage.app, new_id(), new_id())
