"""From the card to the mechanic, and back to the card, over HTTP: all functions, bus, queue and webhooks."""

from autodoctor.payments.ledger.accounts import mechanic_payable, mechanic_receivable
from localcloud.commands.samples import INTAKE_WITH_WAIVER
from localcloud.stripe.state.webhooks import EVENTS
from support.account import Account, Caller
from support.invariants.sessions import violations
from support.money.over_http import agrees, of_session, onboarded, press, sweep_until
from support.money.purchases import balance

BY_CARD = {**INTAKE_WITH_WAIVER, "plan": "standard", "sessionType": "video", "payWith": "card"}


def bought(account: Account, customer: Caller) -> str:
    """A session that its customer paid by card."""
    asked = customer.post("/api/intake/start", BY_CARD, 202)
    account.cloud.stripe.pay(asked["checkoutUrl"].rpartition("/")[2])
    account.cloud.stripe.quiet()
    session_id: str = customer.get(f"/api/intakes/{asked['intakeId']}")["sessionId"]
    return session_id


def held(account: Account, customer: Caller, mechanic: Caller) -> str:
    """A session that was paid by card and completed."""
    session_id = bought(account, customer)
    (waiting,) = mechanic.get("/api/mechanic/queue")["assignments"]
    mechanic.post(f"/api/mechanic/assignments/{waiting['assignmentId']}/accept")
    for party in (customer, mechanic):
        party.post(f"/api/sessions/{session_id}/join")
    account.world.let_time_pass(90)
    assert customer.post(f"/api/sessions/{session_id}/end")["status"] == "completed"
    return session_id


def test_a_mechanic_goes_through_onboarding_and_is_paid(account: Account) -> None:
    customer = account.customer()
    assert account.mechanic(account.world.mechanic()).get("/api/mechanic/onboarding") == {
        "status": "not_started",
        "payoutsEnabled": False,
    }
    mechanic = onboarded(account)
    assert mechanic.get("/api/mechanic/onboarding") == {"status": "complete", "payoutsEnabled": True}
    session_id = held(account, customer, mechanic)
    left = sweep_until(account, "payouts", session_id)["left"]
    assert (left["failed"], left["onboarding"]) == (0, 0)
    assert mechanic.get("/api/mechanic/earnings")["totals"]["paidCents"] == 2099
    (transfer,) = account.cloud.stripe.objects("transfer")
    assert transfer["amount"] == 2099
    assert violations(account.world.owner) == []


def test_a_refund_by_hand_after_the_payout_is_owed_by_the_mechanic(account: Account) -> None:
    mechanic = onboarded(account)
    session_id = held(account, account.customer(), mechanic)
    sweep_until(account, "payouts", session_id)
    press(account, "refund_half", of_session(account, "charge", session_id)["id"])
    press(account, "refund", of_session(account, "charge", session_id)["id"])
    row = account.world.one("SELECT m.id FROM mechanics m WHERE m.user_id = %s", mechanic.user_id)
    assert -balance(account.world, mechanic_receivable(row)) == 2099
    assert mechanic.get("/api/mechanic/earnings")["totals"]["paidCents"] == 2099
    assert agrees(account)


def test_a_refund_by_hand_is_known_where_stripe_tells_of_the_charge_alone(account: Account) -> None:
    stripe = account.cloud.stripe
    stripe.configure_endpoint("platform", events=("checkout.session.*", "charge.refunded"))
    try:
        mechanic = onboarded(account)
        session_id = held(account, account.customer(), mechanic)
        sweep_until(account, "payouts", session_id)
        press(account, "refund", of_session(account, "charge", session_id)["id"])
        assert sweep_until(account, "payouts", session_id)["lookups"].keys() == {"asked", "new"}
        row = account.world.one("SELECT m.id FROM mechanics m WHERE m.user_id = %s", mechanic.user_id)
        assert -balance(account.world, mechanic_receivable(row)) == 2099
        assert agrees(account)
    finally:
        stripe.configure_endpoint("platform", events=EVENTS["platform"])


def test_a_dispute_that_is_lost_after_the_payout_takes_it_back(account: Account) -> None:
    mechanic = onboarded(account)
    session_id = held(account, account.customer(), mechanic)
    sweep_until(account, "payouts", session_id)
    press(account, "open_dispute", of_session(account, "charge", session_id)["id"])
    press(account, "lose", of_session(account, "dispute", session_id)["id"])
    sweep_until(account, "payouts", session_id, "reversed")
    row = account.world.one("SELECT m.id FROM mechanics m WHERE m.user_id = %s", mechanic.user_id)
    assert (balance(account.world, mechanic_receivable(row)), balance(account.world, mechanic_payable(row))) == (0, 0)
    assert mechanic.get("/api/mechanic/earnings")["totals"]["reversedCents"] == 2099
    assert agrees(account)


def test_a_refund_waits_for_the_end_of_a_dispute_that_is_won(account: Account) -> None:
    customer = account.customer()
    session_id = bought(account, customer)
    press(account, "open_dispute", of_session(account, "charge", session_id)["id"])
    customer.post(f"/api/sessions/{session_id}/end")
    sweep_until(account, "refunds", session_id, "held")
    press(account, "win", of_session(account, "dispute", session_id)["id"])
    sweep_until(account, "refunds", session_id)
    assert of_session(account, "refund", session_id)["amount"] == 2999
    assert agrees(account)


def test_who_withdraws_gets_the_price_back(account: Account) -> None:
    customer = account.customer()
    session_id = bought(account, customer)
    assert customer.post(f"/api/sessions/{session_id}/end")["status"] == "cancelled"
    sweep_until(account, "refunds", session_id)
    assert of_session(account, "refund", session_id)["amount"] == 2999
    assert agrees(account)
