"""Referral and quote over HTTP: the code at intake, the resulting payouts, and the permitted callers of a quote."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from localcloud.commands.samples import INTAKE_WITH_WAIVER
from payments.test_over_http import soon
from support.account import Account, Caller
from support.invariants.sessions import violations
from support.money.purchases import rows
from support.world import Mechanic

BY_CARD: dict[str, Any] = {**INTAKE_WITH_WAIVER, "plan": "standard", "sessionType": "video", "payWith": "card"}


def kinds(mechanic: Caller) -> list[tuple[str, int]]:
    return [(each["kind"], each["amountCents"]) for each in mechanic.get("/api/mechanic/earnings")["earnings"]]


def test_a_referred_customer_pays_by_card_and_approves_a_quote(account: Account) -> None:
    world, customer = account.world, account.customer()
    mechanic, referrer = account.mechanic(), account.mechanic()
    workshop_id = world.workshop()
    foreman = account.mechanic(world.mechanic(workshop_id))

    code = referrer.get("/api/mechanic/referral-code")["referralCode"]
    typed = f" {code[:4].lower()}-{code[4:].lower()} "
    asked = customer.post("/api/intake/start", {**BY_CARD, "referralCode": typed}, 202)
    account.cloud.stripe.pay(asked["checkoutUrl"].rpartition("/")[2])
    account.cloud.stripe.quiet()
    session_id = customer.get(f"/api/intakes/{asked['intakeId']}")["sessionId"]
    (waiting,) = mechanic.get("/api/mechanic/queue")["assignments"]
    mechanic.post(f"/api/mechanic/assignments/{waiting['assignmentId']}/accept")
    session = f"/api/sessions/{session_id}"
    for party in (customer, mechanic):
        party.post(f"{session}/join")
    escalated = mechanic.post(f"{session}/escalate", {"workshopId": str(workshop_id), "note": "Discs"}, 201)
    world.let_time_pass(90)
    assert customer.post(f"{session}/end")["status"] == "completed"
    soon(lambda: kinds(referrer), [("referral", 60)])

    for asked_one, is_asked in ((foreman, True), (mechanic, False)):
        (shown,) = asked_one.get("/api/mechanic/quotes")["quotes"]
        assert (shown["quoteId"], shown["askedOfCaller"]) == (escalated["quoteId"], is_asked)
    found = mechanic.get("/api/mechanic/workshops?limit=100")["workshops"]
    assert {"workshopId": str(workshop_id), "name": "Wheelhouse"} in found
    path = f"/api/quotes/{escalated['quoteId']}"
    foreman.post(f"{path}/amount", {"amountCents": 48_000, "description": "Discs and pads"})
    (shown,) = customer.get(f"{session}/quotes")["quotes"]
    assert (shown["status"], shown["amountCents"], shown["note"]) == ("given", 48_000, "Discs")
    approved = customer.post(f"{path}/approve", {"amountCents": 48_000})
    assert approved["status"] == "approved"
    assert kinds(mechanic) == [("escalation", 2400), ("session", 2099)]
    totals = mechanic.get("/api/mechanic/earnings")["totals"]
    assert (totals["pendingCents"], totals["sessionCents"], totals["escalationCents"]) == (4499, 2099, 2400)
    assert referrer.get("/api/mechanic/referral-code") == {
        "referralCode": code, "referredCustomers": 1, "earnedCents": 60
    }  # fmt: skip
    owed = rows(world, "SELECT kind, amount_cents FROM payouts WHERE session_id = %s ORDER BY kind", session_id)
    assert owed == [("escalation", 2400), ("referral", 60), ("session", 2099)]
    soon(lambda: world.one("SELECT count(*) FROM outbox"), 0)  # the bus has it all
    assert violations(world.owner) == []


def test_a_ring_gets_nothing_for_a_session_of_no_length_and_an_admin_looks_at_the_rest(account: Account) -> None:
    world, customer, known = account.world, account.customer(), account.world.mechanic()
    workshop_id = world.workshop()
    mechanic, foreman = account.mechanic(known), account.mechanic(world.mechanic(workshop_id))

    def escalated() -> str:
        session = account.live(customer, mechanic)
        quote = mechanic.post(f"{session}/escalate", {"workshopId": str(workshop_id)}, 201)["quoteId"]
        foreman.post(f"/api/quotes/{quote}/amount", {"amountCents": 10_000_000})
        customer.post(f"/api/quotes/{quote}/approve")
        return session

    assert customer.post(f"{escalated()}/end")["reason"] == "too_short"
    session = escalated()
    world.let_time_pass(90)
    assert customer.post(f"{session}/end")["status"] == "completed"
    soon(lambda: kinds(mechanic), [("escalation", 500_000)])
    (held,) = account.admin().get("/api/admin/payouts", state="held", mechanicId=str(known.id))["payouts"]
    assert [each["reason"] for each in held["holds"]] == ["escalation"]
    assert mechanic.get("/api/mechanic/earnings")["earnings"][0]["status"] == "held"
    assert account.admin().post(f"/api/admin/payouts/{held['payoutId']}/release")["state"] == "due"
    assert violations(world.owner) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("amountCents", 0), ("amountCents", 10_000_001), ("amountCents", 1.5), ("amountCents", None), ("description", "")],
)
def test_an_amount_is_checked(account: Account, field: str, value: object) -> None:
    scenario = quoted(account)
    body = {"amountCents": 100, field: value}
    refused = scenario.foreman.post(f"/api/quotes/{scenario.quote_id}/amount", body, 422)
    assert [error["pointer"] for error in refused["errors"]] == [f"/{field}"]


def test_an_unknown_code_is_refused_at_its_field_however_it_is_paid(account: Account) -> None:
    for paid in ({}, {"plan": "quick", "payWith": "credit"}, BY_CARD):
        for code in ("ZZZZZZZZ", "no code", "x" * 41):
            body = {**INTAKE_WITH_WAIVER, **paid, "referralCode": code}
            refused = account.customer().post("/api/intake/start", body, 422)
            assert [error["pointer"] for error in refused["errors"]] == ["/referralCode"]


def test_ones_own_code_is_refused(account: Account) -> None:
    known = account.world.mechanic()
    code = account.mechanic(known).get("/api/mechanic/referral-code")["referralCode"]
    body = {**INTAKE_WITH_WAIVER, "referralCode": code}
    refused = account.customer(known.user_id).post("/api/intake/start", body, 403)
    assert refused["type"] == "/problems/own-session"


# --- every kind of caller on every route, about a quote that there is ------------------------------------


@dataclass(frozen=True)
class Quoted:
    """A quote with an amount, and the people around it."""

    account: Account
    customer: Caller
    mechanic: Caller
    foreman: Caller
    workshop_id: str
    session_id: str
    quote_id: str

    @property
    def colleague(self) -> Mechanic:
        """Somebody else who works for the workshop."""
        return self.account.world.mechanic(UUID(self.workshop_id))


def quoted(account: Account) -> Quoted:
    world, customer, known = account.world, account.customer(), account.world.mechanic()
    workshop_id = world.workshop()
    mechanic, foreman = account.mechanic(known), account.mechanic(world.mechanic(workshop_id))
    session_id = str(world.live(known, customer.user_id).session_id)
    asked = mechanic.post(f"/api/sessions/{session_id}/escalate", {"workshopId": str(workshop_id)}, 201)
    foreman.post(f"/api/quotes/{asked['quoteId']}/amount", {"amountCents": 1_000})
    return Quoted(account, customer, mechanic, foreman, str(workshop_id), session_id, asked["quoteId"])


def suspended(scenario: Quoted) -> Caller:
    known = scenario.colleague
    scenario.account.sql("UPDATE mechanics SET status = 'suspended' WHERE id = %s", known.id)
    return scenario.account.mechanic(known)


CALLERS: dict[str, Callable[[Quoted], Caller]] = {
    "customer": lambda scenario: scenario.customer,
    "other customer": lambda scenario: scenario.account.customer(),
    "mechanic": lambda scenario: scenario.mechanic,
    "foreman": lambda scenario: scenario.foreman,
    "colleague": lambda scenario: scenario.account.mechanic(scenario.colleague),
    "other mechanic": lambda scenario: scenario.account.mechanic(),
    "other workshop": lambda scenario: scenario.account.mechanic(
        scenario.account.world.mechanic(scenario.account.world.workshop())
    ),
    "suspended colleague": suspended,
    "unknown mechanic": lambda scenario: scenario.account.caller("mechanics"),
    "customer as mechanic": lambda scenario: scenario.account.caller("mechanics", scenario.customer.user_id),
    "foreman as customer": lambda scenario: scenario.account.customer(scenario.foreman.user_id),
    "admin": lambda scenario: scenario.account.admin(),
    "visitor": lambda scenario: scenario.account.caller("visitors", scenario.customer.user_id),
}
# In the order of CALLERS.
STATUSES: dict[str, tuple[int, ...]] = {
    "GET /api/quotes/{quote}": (200, 404, 200, 200, 200, 404, 404, 404, 404, 200, 200, 200, 403),
    "GET /api/sessions/{session}/quotes": (200, 404, 200, 404, 404, 404, 404, 404, 404, 200, 404, 200, 403),
    "POST /api/sessions/{session}/escalate": (403, 403, 201, 404, 404, 404, 404, 403, 403, 403, 403, 403, 403),
    "POST /api/quotes/{quote}/amount": (403, 403, 404, 200, 200, 404, 404, 403, 403, 403, 403, 403, 403),
    "POST /api/quotes/{quote}/approve": (200, 404, 403, 403, 403, 403, 403, 403, 403, 403, 404, 403, 403),
    "POST /api/quotes/{quote}/decline": (200, 404, 403, 403, 403, 403, 403, 403, 403, 403, 404, 403, 403),
    "GET /api/mechanic/quotes": (403, 403, 200, 200, 200, 200, 200, 403, 403, 403, 403, 403, 403),
}


@pytest.mark.parametrize("route", STATUSES)
def test_who_may_do_what_about_a_quote(account: Account, route: str) -> None:
    method, _, path = route.partition(" ")
    found = []
    for who in CALLERS.values():
        scenario = quoted(account)
        body = {"workshopId": scenario.workshop_id} if path.endswith("escalate") else {"amountCents": 1_000}
        response = who(scenario).send(
            method,
            path.format(quote=scenario.quote_id, session=scenario.session_id),
            body if method == "POST" else None,
        )
        found.append(response.status_code)
    assert dict(zip(CALLERS, found, strict=True)) == dict(zip(CALLERS, STATUSES[route], strict=True))


@pytest.mark.parametrize("route", STATUSES)
def test_nobody_without_a_login(account: Account, route: str) -> None:
    method, _, path = route.partition(" ")
    url = path.format(quote="01890000-0000-7000-8000-000000000000", session="01890000-0000-7000-8000-000000000000")
    assert Caller(account.http, None).send(method, url).status_code == 401


@pytest.mark.parametrize("path", ["/api/quotes/x", "/api/sessions/x/quotes"])
def test_what_is_no_id_is_not_found(account: Account, path: str) -> None:
    assert account.customer().send("GET", path).status_code == 404
