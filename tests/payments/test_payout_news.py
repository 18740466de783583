"""What Stripe says of mechanics' money, through the handler: accounts, refused payouts, transfers taken back."""

import json

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import STRIPE, mechanic_payable
from autodoctor.payments.ledger.settlement import settle
from autodoctor.payments.outgoing.lease import Sent
from autodoctor.payments.outgoing.payouts import sweep_payouts
from autodoctor.payments.stripe.client import stripe_client
from autodoctor.payments.stripe.connect import onboarding, start_onboarding
from integration.actors import Mechanic
from integration.invariants import violations
from payments.counter import SIGNED, Counter
from payments.purse import balance, complete

SHARE = 699


@pytest.fixture
def mechanic(counter: Counter) -> Mechanic:
    """Give a mechanic who went through onboarding, as Stripe's webhook says."""
    mechanic = counter.stage.mechanic()
    start_onboarding(counter.stage.app, stripe_client(), mechanic.user_id)
    (account,) = counter.stripe.objects("account")
    counter.stripe.onboard(account["id"])
    told = counter.deliver(counter.stripe.signed(counter.last("account.updated")), "connect")
    assert told.json["outcome"] == "account_updated"
    return mechanic


def account_of(counter: Counter) -> str:
    """Stripe's id of the one mechanic's account."""
    found: str = counter.one("SELECT stripe_account_id FROM mechanic_accounts")
    return found


def paid_out(counter: Counter, mechanic: Mechanic) -> str:
    """A session bought, held and settled, and what it earned sent: Stripe's id of the transfer."""
    customer = new_id()
    opened = counter.ask(customer, None, **SIGNED)
    counter.stripe.pay(counter.page(opened))
    assert counter.tell("checkout.session.completed").json["outcome"] == "fulfilled"
    complete(counter.stage, counter.session(), customer, mechanic)
    assert settle(counter.stage.app, opened.intake_id)
    assert sweep_payouts(counter.stage.app, stripe_client(), lambda: 60.0) == Sent(sent=1)
    found: str = counter.one("SELECT stripe_transfer_id FROM payouts")
    return found


def test_an_account_that_can_be_paid_is_known_to_be(counter: Counter, mechanic: Mechanic) -> None:
    assert onboarding(counter.stage.app, stripe_client, mechanic.user_id).payouts_enabled


def test_an_account_that_is_not_ours_changes_nothing(counter: Counter, mechanic: Mechanic) -> None:
    event_id = counter.stripe.emit("account.updated", {"id": "acct_x", "object": "account"}, account="acct_x")
    assert counter.deliver(counter.stripe.signed(event_id), "connect").json["outcome"] == "not_ours"
    assert onboarding(counter.stage.app, stripe_client, mechanic.user_id).payouts_enabled


def test_a_bank_that_refuses_a_payout_is_noted(counter: Counter, mechanic: Mechanic) -> None:
    """Unless Stripe has said since how the account stands."""
    account = account_of(counter)
    event_id = counter.stripe.emit("payout.failed", {"id": "po_1", "object": "payout"}, account=account)
    signed = counter.stripe.signed(event_id)
    assert counter.deliver(signed, "connect").json["outcome"] == "bank_refused"
    assert not onboarding(counter.stage.app, stripe_client, mechanic.user_id).payouts_enabled
    counter.stripe.onboard(account)
    counter.deliver(counter.stripe.signed(counter.last("account.updated")), "connect")
    older = json.loads(signed.payload) | {"id": "evt_late"}
    older["created"] -= 1
    late = counter.deliver(counter.sign(json.dumps(older).encode(), "connect"), "connect")
    assert late.json["outcome"] == "unchanged"
    assert onboarding(counter.stage.app, stripe_client, mechanic.user_id).payouts_enabled


def test_what_is_taken_back_of_a_transfer_is_owed_again_and_booked_once(counter: Counter, mechanic: Mechanic) -> None:
    transfer = paid_out(counter, mechanic)
    payable = mechanic_payable(mechanic.id)
    assert (balance(counter.stage, payable), balance(counter.stage, STRIPE)) == (0, SHARE - 999)
    counter.stripe.reverse(transfer, 100)
    first = counter.stripe.signed(counter.last("transfer.reversed"))
    counter.stripe.reverse(transfer)
    assert counter.tell("transfer.reversed").json["outcome"] == "reversed"
    assert counter.deliver(first).json["outcome"] == "reversed"  # the older news comes last
    assert (balance(counter.stage, payable), balance(counter.stage, STRIPE)) == (SHARE, -999)
    assert counter.one("SELECT count(*) FROM ledger_transfer WHERE kind = 'reversal'") == 2
    assert counter.one("SELECT state FROM payouts") == "reversed"
    assert violations(counter.stage.owner) == []


@pytest.mark.parametrize("currency", ["usd", "eur"])
def test_a_transfer_that_is_not_ours_is_left_alone(counter: Counter, currency: str) -> None:
    reversal = {"id": "trr_1", "amount": 5, "currency": currency}
    about = {
        "id": "tr_x",
        "object": "transfer",
        "currency": currency,
        "transfer_group": "another",
        "reversals": {"data": [reversal]},
    }
    assert counter.stripe.emit("transfer.reversed", about)
    assert counter.tell("transfer.reversed").json["outcome"] == "not_ours"


def test_a_second_transfer_made_by_hand_is_taken_back_without_ours(counter: Counter, mechanic: Mechanic) -> None:
    """It names our payout, as whoever pays twice by hand might; what the mechanic has of ours stays sent."""
    paid_out(counter, mechanic)
    about = {
        "id": "tr_by_hand",
        "object": "transfer",
        "currency": "usd",
        "transfer_group": str(counter.one("SELECT id FROM payouts")),
        "reversals": {"data": [{"id": "trr_by_hand", "amount": SHARE, "currency": "usd"}]},
    }
    event_id = counter.stripe.emit("transfer.reversed", about)
    assert counter.deliver(counter.stripe.signed(event_id)).json["outcome"] == "not_ours"
    assert counter.one("SELECT state FROM payouts") == "sent"
    assert balance(counter.stage, mechanic_payable(mechanic.id)) == 0


def test_news_that_outrun_our_own_note_are_asked_for_again(counter: Counter, mechanic: Mechanic) -> None:
    """Stripe may say that a transfer was taken back before we have committed that it was sent."""
    transfer = paid_out(counter, mechanic)
    group = counter.one("SELECT id::text FROM payouts")
    counter.stripe.reverse(transfer)
    counter.stage.owner.execute("UPDATE payouts SET state = 'failed', stripe_transfer_id = NULL")
    assert counter.stripe.events("transfer.reversed")[-1]["data"]["object"]["transfer_group"] == group
    assert counter.tell("transfer.reversed").status == 500
    assert counter.one("SELECT count(*) FROM stripe_events WHERE type = 'transfer.reversed'") == 0
