"""What attackers and banks do with money, over HTTP: each of these once moved money wrongly, or for ever not at all."""

import json
import time

import httpx

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import DISPUTED
from localcloud.stripe.state.webhooks import PATHS, signature
from payments.outgoing.test_sending_over_http import BY_CARD, bought, held
from payments.test_over_http import soon
from support.account import Account
from support.invariants.sessions import violations
from support.money.over_http import agrees, of_session, onboarded, sweep_until
from support.money.purchases import balance


def test_one_cent_more_than_was_paid_is_booked_and_the_share_taken_back(account: Account) -> None:
    mechanic = onboarded(account)
    session_id = held(account, account.customer(), mechanic)
    sweep_until(account, "payouts", session_id)
    charge = of_session(account, "charge", session_id)["id"]
    dispute = account.cloud.stripe.open_dispute(charge, amount=3_000)["id"]
    account.cloud.stripe.close_dispute(dispute, won=False)
    account.cloud.stripe.quiet()
    sweep_until(account, "payouts", session_id, "reversed")
    assert balance(account.world, DISPUTED) == 0
    assert agrees(account)


def test_credits_of_a_disputed_pack_buy_nothing_and_pay_nobody(account: Account) -> None:
    customer, mechanic = account.customer(), onboarded(account)
    page = customer.post("/api/customer/credits/checkout", {"pack": "five"}, 202)["checkoutUrl"]
    account.cloud.stripe.pay(page.rpartition("/")[2])
    account.cloud.stripe.quiet()
    by_credit = {**BY_CARD, "payWith": "credit", "plan": "quick", "sessionType": "chat"}
    asked = customer.post("/api/intake/start", by_credit, 201)
    mechanic.post(f"/api/mechanic/assignments/{asked['assignmentId']}/accept")
    session = f"/api/sessions/{asked['sessionId']}"
    for party in (customer, mechanic):
        party.post(f"{session}/join")
    query = "SELECT stripe_payment_intent_id FROM checkouts WHERE kind = 'pack' AND user_id = %s"
    intent = account.world.one(query, customer.user_id)
    dispute = account.cloud.stripe.open_dispute(intent)["id"]
    account.cloud.stripe.quiet()
    account.world.let_time_pass(90)
    assert customer.post(f"{session}/end")["status"] == "completed"
    soon(lambda: [each["status"] for each in mechanic.get("/api/mechanic/earnings")["earnings"]], ["held"])
    assert customer.get("/api/customer/credits")["frozen"] == 4
    assert customer.post("/api/intake/start", by_credit, 402)["type"] == "/problems/insufficient-credits"
    account.cloud.stripe.close_dispute(dispute, won=True)
    account.cloud.stripe.quiet()
    soon(lambda: [each["status"] for each in mechanic.get("/api/mechanic/earnings")["earnings"]], ["pending"])
    customer.post(f"/api/sessions/{customer.post('/api/intake/start', by_credit, 201)['sessionId']}/end")
    assert violations(account.world.owner) == []


def test_a_key_that_everybody_knows_signs_nothing(account: Account) -> None:
    event = {"object": "event", "id": f"evt_{new_id()}", "type": "checkout.session.completed", "livemode": False}
    body = json.dumps({**event, "created": int(time.time()), "data": {"object": {}}})
    for path in PATHS.values():
        headers = {"stripe-signature": signature(body, ["none"]), "content-type": "application/json"}
        answer = account.http.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-signature")


def test_paying_and_giving_up_in_a_loop_ends(account: Account) -> None:
    customer = account.customer()
    for _ in range(3):
        customer.post(f"/api/sessions/{bought(account, customer)}/end")
    refused = customer.post("/api/intake/start", BY_CARD, 409)
    assert (refused["type"], refused["withdrawn"]) == ("/problems/withdrawn-too-often", 3)


def test_who_closed_the_account_begins_anew(account: Account) -> None:
    mechanic = onboarded(account)
    mechanic_id = account.world.one("SELECT id FROM mechanics WHERE user_id = %s", mechanic.user_id)
    query = "SELECT stripe_account_id FROM mechanic_accounts WHERE mechanic_id = %s"
    closed = account.world.one(query, mechanic_id)
    account.cloud.stripe.close_account(closed)
    account.cloud.stripe.quiet()
    assert mechanic.get("/api/mechanic/onboarding") == {"status": "closed", "payoutsEnabled": False}
    link = mechanic.post("/api/mechanic/onboarding")
    with httpx.Client(trust_env=False) as browser:
        browser.post(link["url"], data={"action": "finish"})
    account.cloud.stripe.quiet()
    assert mechanic.get("/api/mechanic/onboarding")["status"] == "complete"
    assert account.world.one(query, mechanic_id) != closed
