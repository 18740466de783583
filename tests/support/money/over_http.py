"""Shared by tests that follow money over HTTP: schedules that are run by hand, and a person at Stripe's pages."""

import time
from typing import Any

import httpx

from autodoctor.payments.ledger.accounts import STRIPE
from support.account import Account, Caller
from support.invariants.sessions import violations
from support.money.purchases import balance

WAIT_SECONDS = 60


def sweep_until(account: Account, table: str, session_id: str, state: str = "sent") -> dict[str, Any]:
    """Run the schedule's function until what is owed for a session was sent."""
    query = {
        "payouts": "SELECT state FROM payouts WHERE session_id = %s",
        "refunds": "SELECT state FROM refunds WHERE intake_id = %s",
    }[table]
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        swept = account.cloud.invoke("PayoutsFunction", {})
        assert swept.error is None, swept
        rows = account.world.owner.execute(query, [session_id]).fetchall()
        if {row["state"] for row in rows} == {state}:
            assert isinstance(swept.payload, dict)
            return swept.payload
        assert time.monotonic() < deadline, rows
        time.sleep(0.2)


def onboarded(account: Account) -> Caller:
    """A mechanic who went through onboarding in a browser."""
    mechanic = account.mechanic(account.world.mechanic())
    link = mechanic.post("/api/mechanic/onboarding")
    with httpx.Client(trust_env=False) as browser:
        assert browser.post(link["url"], data={"action": "finish"}).status_code in (302, 303)
    account.cloud.stripe.quiet()
    return mechanic


def press(account: Account, action: str, object_id: str) -> None:
    """Press a button of the stand-in's dashboard, and wait for what Stripe tells of it."""
    with httpx.Client(trust_env=False) as browser:
        pressed = browser.post(f"{account.cloud.stripe.url}/", data={"action": action, "id": object_id})
    assert pressed.status_code in (302, 303), pressed.text
    account.cloud.stripe.quiet()


def of_session(account: Account, kind: str, session_id: str) -> dict[str, Any]:
    """The one object of a kind that came of a session's payment."""
    query = "SELECT stripe_payment_intent_id FROM checkouts WHERE intake_id = %s"
    intent = account.world.one(query, session_id)
    (found,) = [each for each in account.cloud.stripe.objects(kind) if each["payment_intent"] == intent]
    return found


def agrees(account: Account) -> bool:
    """Whether the ledger's accounts at Stripe are what the stand-in has, once all fees are booked."""
    account.world.owner.execute("UPDATE checkouts SET fee_due_at = NULL")
    account.world.owner.execute("UPDATE stripe_disputes SET fees_due_at = created_at WHERE fees_due_at IS NOT NULL")
    assert account.cloud.invoke("PayoutsFunction", {}).error is None
    account.cloud.stripe.quiet()
    assert account.cloud.stripe.imbalances() == []
    assert violations(account.world.owner) == []
    own = account.cloud.stripe.books().balances[account.cloud.stripe.platform_account]["usd"]
    return -balance(account.world, STRIPE) == sum(own)
