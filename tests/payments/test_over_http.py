"""Plans, credits, settlement and earnings over HTTP, through the bus and the queue, on the whole account."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from autodoctor.ids import new_id
from localcloud.commands.samples import INTAKE_WITH_WAIVER
from support.account import Account, Caller
from support.invariants.sessions import violations

WAIT_SECONDS = 60
VIDEO: dict[str, Any] = {**INTAKE_WITH_WAIVER, "plan": "standard", "payWith": "credit", "sessionType": "video"}


def soon[T](look: Callable[[], T], expected: T) -> None:
    """What comes through the bus comes a moment later."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := look()) != expected:
        assert time.monotonic() < deadline, f"{found} is not {expected}"
        time.sleep(0.05)


def grant(account: Account, customer: Caller, amount: int) -> dict[str, Any]:
    body = {"customerId": str(customer.user_id), "credits": amount, "reason": "A gift", "key": str(new_id())}
    return account.admin().post("/api/admin/credits", body)


def credits_of(customer: Caller) -> int:
    balance: int = customer.get("/api/customer/credits")["balance"]
    return balance


def test_anybody_may_read_what_can_be_bought(account: Account) -> None:
    response = Caller(account.http, None).send("GET", "/api/plans")
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    shown = response.json()
    assert [(plan["code"], plan["priceCents"], plan["credits"]) for plan in shown["plans"]] == [
        ("free", 0, 0),
        ("quick", 999, 1),
        ("standard", 2999, 3),
        ("diagnostic", 4999, 5),
    ]
    assert [pack["code"] for pack in shown["creditPacks"]] == ["five", "ten", "twenty"]
    assert "mechanicShareBp" not in response.text


def test_what_is_no_longer_sold_is_not_shown(account: Account) -> None:
    account.sql("UPDATE credit_packs SET active = false WHERE code = 'twenty'")
    shown = Caller(account.http, None).get("/api/plans")
    account.sql("UPDATE credit_packs SET active = true WHERE code = 'twenty'")
    assert [pack["code"] for pack in shown["creditPacks"]] == ["five", "ten"]


def test_a_session_paid_with_credits_ends_in_the_mechanics_earnings(account: Account) -> None:
    customer, known = account.customer(), account.world.mechanic()
    mechanic = account.mechanic(known)
    assert grant(account, customer, 4) == {"customerId": str(customer.user_id), "credits": 4, "balance": 4}
    created = customer.post("/api/intake/start", VIDEO, 201)
    assert credits_of(customer) == 1
    mechanic.post(f"/api/mechanic/assignments/{created['assignmentId']}/accept")
    session = f"/api/sessions/{created['sessionId']}"
    for party in (customer, mechanic):
        party.post(f"{session}/join")
    account.world.let_time_pass(90)
    assert customer.post(f"{session}/end")["status"] == "completed"
    soon(lambda: mechanic.get("/api/mechanic/earnings")["totals"]["pendingCents"], 2099)
    (earning,) = mechanic.get("/api/mechanic/earnings")["earnings"]
    assert (earning["sessionId"], earning["amountCents"], earning["status"]) == (created["sessionId"], 2099, "pending")
    history = customer.get("/api/customer/credits")["history"]
    assert [(each["movement"], each["credits"]) for each in history] == [("spent", -3), ("granted", 4)]
    assert violations(account.world.owner) == []


def test_a_session_that_was_cancelled_gives_the_credits_back(account: Account) -> None:
    customer = account.customer()
    grant(account, customer, 3)
    created = customer.post("/api/intake/start", VIDEO, 201)
    assert credits_of(customer) == 0
    assert customer.post(f"/api/sessions/{created['sessionId']}/end")["status"] == "cancelled"
    soon(lambda: credits_of(customer), 3)
    (returned, spent, _) = customer.get("/api/customer/credits")["history"]
    assert (returned["movement"], returned["sessionId"]) == ("returned", created["sessionId"])
    assert (spent["movement"], spent["sessionId"]) == ("spent", created["sessionId"])


def test_the_schedule_settles_what_the_bus_never_told_of(account: Account) -> None:
    customer = account.customer()
    grant(account, customer, 3)
    created = customer.post("/api/intake/start", VIDEO, 201)
    account.world.end(customer.user_id, customer_session := created["sessionId"])
    account.sql("DELETE FROM outbox WHERE subject_id = %s", customer_session)
    account.world.let_time_pass(601)
    answer = account.cloud.invoke("SettleFunction", {})
    assert (answer.error, answer.payload) == (None, {"settled": 1, "late": 1})
    assert credits_of(customer) == 3


def test_too_few_credits_are_said_with_how_many_it_takes(account: Account) -> None:
    customer = account.customer()
    grant(account, customer, 2)
    refused = customer.post("/api/intake/start", VIDEO, 402)
    assert (refused["type"], refused["balance"], refused["price"]) == ("/problems/insufficient-credits", 2, 3)
    assert credits_of(customer) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("credits", amount) for amount in (0, -1, 10_001, 1.5, "1")),
        *(("reason", reason) for reason in ("", "x" * 501)),
        *(("key", key) for key in ("", "x" * 201, None)),
        ("customerId", "x"),
    ],
)
def test_a_grant_is_checked(account: Account, field: str, value: object) -> None:
    body = {"customerId": str(new_id()), "credits": 1, "reason": "A gift", "key": "key", field: value}
    refused = account.admin().post("/api/admin/credits", body, 422)
    assert [error["pointer"] for error in refused["errors"]] == [f"/{field}"]
