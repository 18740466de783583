"""From the card to the mechanic, and back to the card, over HTTP: all functions, bus, queue and webhooks together."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from autodoctor.payments.accounts import STRIPE
from integration.invariants import violations
from journey.account import Account, Caller, running_account
from localcloud.postgres import PostgresServer
from localcloud.samples import INTAKE_WITH_WAIVER
from payments.purse import balance

BY_CARD = {**INTAKE_WITH_WAIVER, "plan": "standard", "sessionType": "video", "payWith": "card"}
WAIT_SECONDS = 30


@pytest.fixture(scope="module")
def account(
    postgres_server: PostgresServer, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Account]:
    """Run the functions of template.yaml on a database that only these tests use."""
    database = postgres_server.create_database("sending", template=template_database)
    with running_account(database, tmp_path_factory.mktemp("sending")) as account:
        yield account
    postgres_server.drop_database("sending")


def bought(account: Account, customer: Caller) -> str:
    """A session that its customer paid by card."""
    asked = customer.post("/api/intake/start", BY_CARD, 202)
    account.cloud.stripe.pay(asked["checkoutUrl"].rpartition("/")[2])
    account.cloud.stripe.quiet()
    session_id: str = customer.get(f"/api/intakes/{asked['intakeId']}")["sessionId"]
    return session_id


def sweep_until(account: Account, table: str, session_id: str) -> dict[str, Any]:
    """Run the schedule's function until what is owed for a session was sent."""
    query = {
        "payouts": "SELECT state FROM payouts WHERE session_id = %s",
        "refunds": "SELECT state FROM refunds WHERE intake_id = %s",
    }[table]
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        swept = account.cloud.invoke("PayoutsFunction", {})
        assert swept.error is None, swept
        rows = account.stage.owner.execute(query, [session_id]).fetchall()
        if [row["state"] for row in rows] == ["sent"]:
            assert isinstance(swept.payload, dict)
            return swept.payload
        assert time.monotonic() < deadline, rows
        time.sleep(0.2)


def test_a_mechanic_goes_through_onboarding_and_is_paid(account: Account) -> None:
    customer, known = account.customer(), account.stage.mechanic()
    mechanic = account.mechanic(known)
    assert mechanic.get("/api/mechanic/onboarding") == {"status": "not_started", "payoutsEnabled": False}
    link = mechanic.post("/api/mechanic/onboarding")
    with httpx.Client(trust_env=False) as browser:
        assert browser.post(link["url"], data={"action": "finish"}).status_code in (302, 303)
    account.cloud.stripe.quiet()
    assert mechanic.get("/api/mechanic/onboarding") == {"status": "complete", "payoutsEnabled": True}
    session_id = bought(account, customer)
    (waiting,) = mechanic.get("/api/mechanic/queue")["assignments"]
    mechanic.post(f"/api/mechanic/assignments/{waiting['assignmentId']}/accept")
    for party in (customer, mechanic):
        party.post(f"/api/sessions/{session_id}/join")
    account.stage.let_time_pass(90)
    assert customer.post(f"/api/sessions/{session_id}/end")["status"] == "completed"
    left = sweep_until(account, "payouts", session_id)["left"]
    assert (left["failed"], left["onboarding"]) == (0, 0)
    assert mechanic.get("/api/mechanic/earnings")["totals"]["paidCents"] == 2099
    (transfer,) = account.cloud.stripe.objects("transfer")
    assert transfer["amount"] == 2099
    assert violations(account.stage.owner) == []


def test_who_withdraws_gets_the_price_back(account: Account) -> None:
    customer = account.customer()
    before = balance(account.stage, STRIPE)
    session_id = bought(account, customer)
    assert customer.post(f"/api/sessions/{session_id}/end")["status"] == "cancelled"
    sweep_until(account, "refunds", session_id)
    assert [each["amount"] for each in account.cloud.stripe.objects("refund")] == [2999]
    account.cloud.stripe.quiet()
    assert balance(account.stage, STRIPE) == before
    assert account.cloud.stripe.imbalances() == []
    assert violations(account.stage.owner) == []
