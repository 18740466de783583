"""Stripe's events about mechanics' money, through the handler: accounts, refused payouts, reversed transfers."""

import json

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import STRIPE, mechanic_payable
from autodoctor.payments.outgoing.payouts import sweep_payouts
from autodoctor.payments.settlement import settle
from autodoctor.payments.stripe.client import stripe_client
from autodoctor.payments.stripe.connect import onboarding, start_onboarding
from autodoctor.payments.stripe.lease import Sent
from support.invariants.sessions import violations
from support.money.checkout_env import SIGNED, CheckoutEnv
from support.money.purchases import balance, complete
from support.world import Mechanic

SHARE = 699


@pytest.fixture
def mechanic(checkout_env: CheckoutEnv) -> Mechanic:
    """Give a mechanic who went through onboarding, as Stripe's webhook says."""
    mechanic = checkout_env.world.mechanic()
    start_onboarding(checkout_env.world.app, stripe_client(), mechanic.user_id)
    (account,) = checkout_env.stripe.objects("account")
    checkout_env.stripe.onboard(account["id"])
    told = checkout_env.deliver(checkout_env.stripe.signed(checkout_env.last("account.updated")), "connect")
    assert told.json["outcome"] == "account_updated"
    return mechanic


def account_of(checkout_env: CheckoutEnv) -> str:
    """Stripe's id of the one mechanic's account."""
    found: str = checkout_env.one("SELECT stripe_account_id FROM mechanic_accounts")
    return found


def paid_out(checkout_env: CheckoutEnv, mechanic: Mechanic) -> str:
    """A session bought, held and settled, and what it earned sent: Stripe's id of the transfer."""
    customer = new_id()
    opened = checkout_env.ask(customer, None, **SIGNED)
    checkout_env.stripe.pay(checkout_env.page(opened))
    assert checkout_env.tell("checkout.session.completed").json["outcome"] == "fulfilled"
    complete(checkout_env.world, checkout_env.session(), customer, mechanic)
    assert settle(checkout_env.world.app, opened.intake_id)
    assert sweep_payouts(checkout_env.world.app, stripe_client(), lambda: 60.0) == Sent(sent=1)
    found: str = checkout_env.one("SELECT stripe_transfer_id FROM payouts")
    return found


def test_an_account_that_can_be_paid_is_known_to_be(checkout_env: CheckoutEnv, mechanic: Mechanic) -> None:
    assert onboarding(checkout_env.world.app, stripe_client, mechanic.user_id).payouts_enabled


def test_an_account_that_is_not_ours_changes_nothing(checkout_env: CheckoutEnv, mechanic: Mechanic) -> None:
    event_id = checkout_env.stripe.emit("account.updated", {"id": "acct_x", "object": "account"}, account="acct_x")
    assert checkout_env.deliver(checkout_env.stripe.signed(event_id), "connect").json["outcome"] == "not_ours"
    assert onboarding(checkout_env.world.app, stripe_client, mechanic.user_id).payouts_enabled


def test_a_bank_that_refuses_a_payout_is_noted(checkout_env: CheckoutEnv, mechanic: Mechanic) -> None:
    """Unless Stripe has said since how the account stands."""
    account = account_of(checkout_env)
    event_id = checkout_env.stripe.emit("payout.failed", {"id": "po_1", "object": "payout"}, account=account)
    signed = checkout_env.stripe.signed(event_id)
    assert checkout_env.deliver(signed, "connect").json["outcome"] == "bank_refused"
    assert not onboarding(checkout_env.world.app, stripe_client, mechanic.user_id).payouts_enabled
    checkout_env.stripe.onboard(account)
    checkout_env.deliver(checkout_env.stripe.signed(checkout_env.last("account.updated")), "connect")
    older = json.loads(signed.payload) | {"id": "evt_late"}
    older["created"] -= 1
    late = checkout_env.deliver(checkout_env.sign(json.dumps(older).encode(), "connect"), "connect")
    assert late.json["outcome"] == "unchanged"
    assert onboarding(checkout_env.world.app, stripe_client, mechanic.user_id).payouts_enabled


def test_what_is_taken_back_of_a_transfer_is_owed_again_and_booked_once(
    checkout_env: CheckoutEnv, mechanic: Mechanic
) -> None:
    transfer = paid_out(checkout_env, mechanic)
    payable = mechanic_payable(mechanic.id)
    assert (balance(checkout_env.world, payable), balance(checkout_env.world, STRIPE)) == (0, SHARE - 999)
    checkout_env.stripe.reverse(transfer, 100)
    first = checkout_env.stripe.signed(checkout_env.last("transfer.reversed"))
    checkout_env.stripe.reverse(transfer)
    assert checkout_env.tell("transfer.reversed").json["outcome"] == "reversed"
    assert checkout_env.deliver(first).json["outcome"] == "reversed"  # the older event comes last
    assert (balance(checkout_env.world, payable), balance(checkout_env.world, STRIPE)) == (SHARE, -999)
    assert checkout_env.one("SELECT count(*) FROM ledger_transfer WHERE kind = 'reversal'") == 2
    assert checkout_env.one("SELECT state FROM payouts") == "reversed"
    assert violations(checkout_env.world.owner) == []


@pytest.mark.parametrize("currency", ["usd", "eur"])
def test_a_transfer_that_is_not_ours_is_left_alone(checkout_env: CheckoutEnv, currency: str) -> None:
    reversal = {"id": "trr_1", "amount": 5, "currency": currency}
    about = {
        "id": "tr_x",
        "object": "transfer",
        "currency": currency,
        "transfer_group": "another",
        "reversals": {"data": [reversal]},
    }
    assert checkout_env.stripe.emit("transfer.reversed", about)
    assert checkout_env.tell("transfer.reversed").json["outcome"] == "not_ours"


def test_a_second_transfer_made_by_hand_is_taken_back_without_ours(
    checkout_env: CheckoutEnv, mechanic: Mechanic
) -> None:
    """It names our payout, as whoever pays twice by hand might; what the mechanic has of ours stays sent."""
    paid_out(checkout_env, mechanic)
    about = {
        "id": "tr_by_hand",
        "object": "transfer",
        "currency": "usd",
        "transfer_group": str(checkout_env.one("SELECT id FROM payouts")),
        "reversals": {"data": [{"id": "trr_by_hand", "amount": SHARE, "currency": "usd"}]},
    }
    event_id = checkout_env.stripe.emit("transfer.reversed", about)
    assert checkout_env.deliver(checkout_env.stripe.signed(event_id)).json["outcome"] == "not_ours"
    assert checkout_env.one("SELECT state FROM payouts") == "sent"
    assert balance(checkout_env.world, mechanic_payable(mechanic.id)) == 0


def test_an_event_that_outruns_our_own_record_is_asked_for_again(checkout_env: CheckoutEnv, mechanic: Mechanic) -> None:
    """Stripe may say that a transfer was taken back before we have committed that it was sent."""
    transfer = paid_out(checkout_env, mechanic)
    group = checkout_env.one("SELECT id::text FROM payouts")
    checkout_env.stripe.reverse(transfer)
    checkout_env.world.owner.execute("UPDATE payouts SET state = 'failed', stripe_transfer_id = NULL")
    assert checkout_env.stripe.events("transfer.reversed")[-1]["data"]["object"]["transfer_group"] == group
    assert checkout_env.tell("transfer.reversed").status == 500
    assert checkout_env.one("SELECT count(*) FROM stripe_events WHERE type = 'transfer.reversed'") == 0
