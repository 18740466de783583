"""The admin routes over HTTP: template, gateway, function and bus together, as an admin's browser uses them."""

from typing import Any
from uuid import UUID

import psycopg
import pytest

from autodoctor.ids import new_id
from autodoctor.payments.settlement import settle
from localcloud.commands.samples import INTAKE
from localcloud.identity.user_pool import Membership, memberships
from support.account import Account, Caller, document
from support.account_settings import AccountSettings
from support.admin_changes import NEW_PLAN
from support.invariants.sessions import violations
from support.money.purchases import buy, complete, give

MECHANICS, WORKSHOPS, PLANS, PACKS = (
    f"/api/admin/{path}" for path in ("mechanics", "workshops", "plans", "credit-packs")
)
GIVEN_UP = ("Failed", "Deferred")
OTHER_SITE = "https://office.example"


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    """Let a page of another site call the API."""
    return AccountSettings(parameters={"AllowedOrigins": OTHER_SITE})


def add(admin: Caller, path: str, **fields: object) -> dict[str, Any]:
    return admin.post(
        path, {name: str(value) if isinstance(value, UUID) else value for name, value in fields.items()}, 201
    )


def patch(admin: Caller, path: str, **fields: object) -> dict[str, Any]:
    return document(admin.send("PATCH", path, fields), 200)


def refusal(admin: Caller, method: str, path: str, body: object = None) -> tuple[int, str]:
    answer = admin.send(method, path, body)
    return answer.status_code, str(answer.json()["type"]).removeprefix("/problems/")


def published(account: Account, *subjects: object) -> bool:
    """Whether the bus has all their events, or a call has said that the bus was too slow for it."""
    waiting = account.world.one("SELECT count(*) FROM outbox WHERE subject_id::text = ANY (%s)", list(subjects))
    return waiting == 0 or any(f"Publish{fate}=1" in line.text for line in account.lines for fate in GIVEN_UP)


# --- payouts --------------------------------------------------------------------------------------


def test_a_suspension_holds_money_and_session_and_an_admin_may_release(account: Account) -> None:
    admin, mechanic, customer = account.admin(), account.world.mechanic(), new_id()
    give(account.world, customer, 3)
    earned = buy(account.world, customer, "standard")
    complete(account.world, earned, customer, mechanic)
    settle(account.world.app, earned.session_id)
    waiting = account.queued(account.customer())
    at_work = account.mechanic(mechanic)
    at_work.post(f"/api/mechanic/assignments/{waiting['assignmentId']}/accept")
    patch(admin, f"{MECHANICS}/{mechanic.id}", status="suspended")
    assert account.world.status(UUID(waiting["sessionId"])) == "pending"
    assert refusal(at_work, "POST", f"/api/sessions/{waiting['sessionId']}/join") == (404, "not-found")
    (payout,) = admin.get("/api/admin/payouts", state="held", mechanicId=str(mechanic.id))["payouts"]
    assert [each["reason"] for each in payout["holds"]] == ["suspended"]
    path = f"/api/admin/payouts/{payout['payoutId']}"
    held = admin.post(f"{path}/hold", {"reason": "Ask the bank."})
    assert [each["note"] for each in held["holds"]] == [None, "Ask the bank."]
    assert at_work.get("/api/mechanic/earnings")["earnings"][0]["status"] == "held"
    assert admin.post(f"{path}/release")["state"] == "due"
    assert violations(account.world.owner) == []


# --- mechanics and workshops ----------------------------------------------------------------------


def test_a_mechanic_is_added_to_a_workshop_and_answers_a_customer(account: Account) -> None:
    admin, user = account.admin(), new_id()
    workshop = add(admin, WORKSHOPS, name="Piston")
    added = add(admin, MECHANICS, userId=user, name="Mona", email="mona@example.com", workshopId=workshop["workshopId"])
    assert (added["status"], added["available"], added["workshopName"]) == ("active", False, "Piston")
    assert set(added) == {
        *("mechanicId", "userId", "name", "email", "workshopId", "workshopName", "status", "available"),
        *("sessionId", "createdAt", "suspendedAt", "suspensionReason"),
    }
    path = f"{MECHANICS}/{added['mechanicId']}"
    session = account.live(account.customer(), account.caller("mechanics", user))
    session_id = session.rpartition("/")[2]
    affected = [{"sessionId": session_id, "status": "live", "customerName": INTAKE["name"]}]
    assert admin.get(path) == added | {"sessionId": session_id, "affected": affected}
    assert admin.get(MECHANICS, workshopId=workshop["workshopId"], search="mo", status="active")["mechanics"] == [
        added | {"sessionId": session_id}
    ]
    assert patch(admin, f"{WORKSHOPS}/{workshop['workshopId']}", name="Pistons")["mechanicCount"] == 1
    assert patch(admin, path, workshopId=None, name="Moritz")["workshopName"] is None
    assert "Pistons" in {each["name"] for each in all_pages(admin, WORKSHOPS, "workshops")}
    assert [
        (row["actor_id"], row["changed"])
        for row in account.world.owner.execute(
            "SELECT actor_id, changed FROM admin_changes WHERE subject = %s AND kind = 'mechanic.changed'",
            [added["mechanicId"]],
        )
    ] == [(admin.user_id, ["name", "workshop_id"])]


def test_who_is_added_is_in_the_group_at_their_next_sign_in(account: Account) -> None:
    admin, user = account.admin(), new_id()
    add(admin, MECHANICS, userId=user, name="Nora")
    assert refusal(admin, "POST", MECHANICS, {"userId": str(user), "name": "Nora"}) == (409, "mechanic-exists")
    assert [each for each in memberships(account.data_dir).all() if each.sub == str(user)] == [
        Membership(str(user), "mechanics")
    ]


def all_pages(admin: Caller, path: str, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = admin.get(path, limit="2", **cursor)
        found += page[name]
        if page["nextCursor"] is None:
            return found
        cursor = {"cursor": page["nextCursor"]}


def test_suspending_one_with_an_offer_tells_the_bus_at_once_and_the_queue(account: Account) -> None:
    admin, held, other = account.admin(), account.world.mechanic(), account.mechanic()
    customer = account.customer()
    intake = account.queued(customer, preferredMechanicId=str(held.id))
    assert intake["assignmentStatus"] == "offered"
    shown = patch(admin, f"{MECHANICS}/{held.id}", status="suspended")
    assert (shown["status"], shown["available"]) == ("suspended", False)
    assert published(account, str(held.id), intake["sessionId"])
    assert refusal(account.mechanic(held), "GET", "/api/mechanic/queue") == (403, "mechanic-not-active")
    (queued,) = (
        each
        for each in other.get("/api/mechanic/queue", limit="100")["assignments"]
        if each["sessionId"] == intake["sessionId"]
    )
    other.post(f"/api/mechanic/assignments/{queued['assignmentId']}/accept")
    assert customer.get(f"/api/sessions/{intake['sessionId']}")["status"] == "waiting"
    assert violations(account.world.owner) == []


def test_suspending_one_in_a_live_session_lets_them_finish_it(account: Account) -> None:
    admin, held, customer = account.admin(), account.world.mechanic(), account.customer()
    mechanic = account.mechanic(held)
    session = account.live(customer, mechanic)
    path = f"{MECHANICS}/{held.id}"
    assert patch(admin, path, status="suspended")["sessionId"] == session.rpartition("/")[2]
    assert customer.get(session)["status"] == "live"
    assert mechanic.post(f"{session}/leave")["sessionStatus"] == "live"
    assert mechanic.post(f"{session}/end")["status"] == "cancelled"
    back = patch(admin, path, status="active")
    assert (back["sessionId"], back["status"]) == (None, "active")
    assert account.mechanic(held).send("GET", "/api/mechanic/queue").status_code == 200


def test_a_user_who_is_a_mechanic_is_a_conflict(account: Account) -> None:
    admin, user = account.admin(), new_id()
    added = add(admin, MECHANICS, userId=user, name="Mona")
    answer = admin.send("POST", MECHANICS, {"userId": str(user), "name": "Mona"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/mechanic-exists")
    assert answer.json()["mechanicId"] == added["mechanicId"]


# --- plans and packs ------------------------------------------------------------------------------


def test_a_price_is_changed_for_those_who_come_after(account: Account) -> None:
    admin, before, after = account.admin(), account.customer(), account.customer()
    assert add(admin, PLANS, **{**NEW_PLAN, "code": "platinum"}) in admin.get(PLANS)["plans"]
    asked: dict[str, object] = {"plan": "platinum", "payWith": "credit", "sessionType": "video"}
    for customer in (before, after):
        grant = {"customerId": str(customer.user_id), "credits": 20, "reason": "A gift", "key": str(new_id())}
        admin.post("/api/admin/credits", grant)
    sold = [account.queued(before, **asked)["sessionId"]]
    assert patch(admin, f"{PLANS}/platinum", credits=11, priceCents=10999)["credits"] == 11
    sold.append(account.queued(after, **asked)["sessionId"])
    assert [account.world.one("SELECT price_cents FROM intakes WHERE id = %s", each) for each in sold] == [9999, 10999]
    assert [who.get("/api/customer/credits")["balance"] for who in (before, after)] == [11, 9]


def test_packs_are_added_changed_and_withdrawn(account: Account) -> None:
    admin = account.admin()
    added = add(admin, PACKS, code="fifty", name="Fifty", credits=50, priceCents=35000)
    assert added in admin.get(PACKS)["creditPacks"]
    gone = patch(admin, f"{PACKS}/fifty", active=False)
    assert gone == added | {"active": False}
    assert gone in admin.get(PACKS)["creditPacks"]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", PLANS, {**NEW_PLAN, "code": "quick"}, (409, "plan-exists")),
        ("POST", PLANS, {**NEW_PLAN, "code": "free"}, (422, "validation")),
        ("POST", PLANS, {**NEW_PLAN, "code": "zinc", "priceCents": 0}, (422, "validation")),
        ("PATCH", f"{PLANS}/free", {"priceCents": 500}, (422, "validation")),
        ("PATCH", f"{PLANS}/quick", {"priceCents": 9.5}, (422, "validation")),
        ("PATCH", f"{PLANS}/%00", {"priceCents": 500}, (404, "not-found")),
        ("POST", PACKS, {"code": "ten", "name": "Ten", "credits": 10, "priceCents": 100}, (409, "credit-pack-exists")),
        ("PATCH", f"{PACKS}/%F0%9F%92%A9", {}, (404, "not-found")),
        ("PATCH", f"{MECHANICS}/5", {}, (404, "not-found")),
        ("POST", MECHANICS, {"userId": str(new_id()), "name": "M", "workshopId": str(new_id())}, (422, "validation")),
        ("POST", MECHANICS, {"userId": str(new_id()), "name": "\x00"}, (422, "validation")),
        ("POST", WORKSHOPS, {"name": "x" * 201}, (422, "validation")),
        ("GET", f"{MECHANICS}?search=%00", None, (422, "validation")),
        ("GET", f"{MECHANICS}?cursor=%00", None, (422, "validation")),
        ("GET", f"{WORKSHOPS}?limit=1000", None, (422, "validation")),
    ],
)
def test_what_is_refused_says_why(
    account: Account, method: str, path: str, body: object, expected: tuple[int, str]
) -> None:
    assert refusal(account.admin(), method, path, body) == expected


def test_a_browser_may_patch(account: Account) -> None:
    headers = {"Origin": OTHER_SITE, "Access-Control-Request-Method": "PATCH"}
    assert "PATCH" in account.http.options(MECHANICS, headers=headers).headers["access-control-allow-methods"]


def test_nothing_of_people_is_logged(account: Account) -> None:
    admin, user = account.admin(), new_id()
    added = add(admin, MECHANICS, userId=user, name="Zebedee Quuxley", email="zebedee@example.com")
    patch(admin, f"{MECHANICS}/{added['mechanicId']}", name="Zebulon Quuxley")
    admin.get(MECHANICS, search="Zebulon")
    refusal(admin, "POST", MECHANICS, {"userId": str(user), "name": "Zebedee Quuxley"})
    said = "\n".join(map(str, account.lines)).lower()
    assert not [name for name in ("zebedee", "zebulon", "quuxley") if name in said]  # no id spells these by chance


# --- who was erased -----------------------------------------------------------------------------------


def test_an_erased_mechanic_stays_as_they_are_whoever_writes(account: Account) -> None:
    admin, mechanic = account.admin(), account.world.mechanic()
    account.sql("SELECT erase_mechanic(%s, 'ada')", mechanic.user_id)
    path = f"{MECHANICS}/{mechanic.id}"
    for change in ({"status": "active"}, {"name": "Mia Again", "email": "mia@garage.example"}):
        assert refusal(admin, "PATCH", path, change) == (409, "mechanic-erased")
    assert patch(admin, path, status="suspended")["name"] == "[erased]"
    with pytest.raises(psycopg.DatabaseError) as refused:
        account.sql("UPDATE mechanics SET status = 'active' WHERE id = %s", mechanic.id)
    assert refused.value.sqlstate == "AD011"
