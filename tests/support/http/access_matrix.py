"""The authorisation matrix: every route that wants a login, and the status that each kind of caller gets."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated
from localcloud.commands.samples import INTAKE
from support.account import Account, Caller
from support.files.uploads import File
from support.world import Mechanic


@dataclass(frozen=True)
class Scenario:
    """One session, in the state that the route is about, and the people around it."""

    account: Account
    customer: UUID
    mechanic: Mechanic
    session: SessionCreated


def unsigned(account: Account, customer: UUID, _mechanic: Mechanic) -> SessionCreated:
    return account.world.pending(customer)


def offered(account: Account, customer: UUID, mechanic: Mechanic) -> SessionCreated:
    return account.world.queued(customer, preferredMechanicId=mechanic.id)


def waiting(account: Account, customer: UUID, mechanic: Mechanic) -> SessionCreated:
    return account.world.waiting(mechanic, customer)


def live(account: Account, customer: UUID, mechanic: Mechanic) -> SessionCreated:
    return account.world.live(mechanic, customer)


# --- who calls: each row of the matrix ------------------------------------------------------------


def somebody_else(account: Account) -> UUID:
    """Another customer, who has a session of their own."""
    account.world.pending(customer := new_id())
    return customer


def suspended(account: Account) -> Mechanic:
    mechanic = account.world.mechanic()
    account.sql("UPDATE mechanics SET status = 'suspended' WHERE id = %s", mechanic.id)
    return mechanic


CALLERS: dict[str, Callable[[Scenario], Caller]] = {
    "customer": lambda scenario: scenario.account.customer(scenario.customer),
    "other customer": lambda scenario: scenario.account.customer(somebody_else(scenario.account)),
    "mechanic": lambda scenario: scenario.account.mechanic(scenario.mechanic),
    "other mechanic": lambda scenario: scenario.account.mechanic(),
    "workshop mechanic": lambda scenario: scenario.account.mechanic(
        scenario.account.world.mechanic(scenario.account.world.workshop())
    ),
    "suspended mechanic": lambda scenario: scenario.account.mechanic(suspended(scenario.account)),
    "unknown mechanic": lambda scenario: scenario.account.caller("mechanics"),
    "admin": lambda scenario: scenario.account.admin(),
    "nobody's group": lambda scenario: scenario.account.caller("visitors", scenario.customer),
}
STRANGERS = ("other mechanic", "workshop mechanic", "suspended mechanic", "unknown mechanic")


# --- the routes: each with what it is called on, and its column of the matrix --------------------


@dataclass(frozen=True)
class Route:
    """One route: how it is called on the scenario's session, and the status for each caller; 403 for the others."""

    method: str
    path: str
    scenario: Callable[[Account, UUID, Mechanic], SessionCreated]
    statuses: dict[str, int]
    body: Callable[[SessionCreated], object] | None = None


def session_of(customer: int, mechanic: int, strangers: int, admin: int = 403) -> dict[str, int]:
    """The statuses of a route about one session."""
    parties = {"customer": customer, "other customer": 403 if customer == 403 else 404, "mechanic": mechanic}
    return {**parties, **dict.fromkeys(STRANGERS, strangers), "admin": admin}


ANY_CUSTOMER = {"customer": 200, "other customer": 200}
ANY_MECHANIC = {"mechanic": 200, **dict.fromkeys(STRANGERS, 200)}
KNOWN_MECHANIC = ANY_MECHANIC | {"unknown mechanic": 403}
ACTIVE_MECHANIC = ANY_MECHANIC | {"suspended mechanic": 403, "unknown mechanic": 403}
EVERYBODY = {**ANY_CUSTOMER, **ANY_MECHANIC, "admin": 200}
ROUTES = {
    "start an intake": Route(
        "POST", "/api/intake/start", unsigned, {"customer": 409, "other customer": 409}, lambda _session: INTAKE
    ),
    "sign": Route(
        "POST",
        "/api/waiver/submit",
        unsigned,
        {"customer": 200, "other customer": 404},
        lambda session: {"sessionId": str(session.session_id), "signedName": "Cora"},
    ),
    "fetch the queue": Route(
        "GET",
        "/api/mechanic/queue",
        offered,
        ACTIVE_MECHANIC,
    ),
    "accept": Route(
        "POST",
        "/api/mechanic/assignments/{assignment}/accept",
        offered,
        {
            "mechanic": 200,
            "other mechanic": 404,
            "workshop mechanic": 404,
            "suspended mechanic": 403,
            "unknown mechanic": 403,
        },
    ),
    "decline": Route(
        "POST",
        "/api/mechanic/assignments/{assignment}/decline",
        offered,
        {
            "mechanic": 200,
            "other mechanic": 404,
            "workshop mechanic": 404,
            "suspended mechanic": 404,
            "unknown mechanic": 403,
        },
    ),
    "join": Route("POST", "/api/sessions/{session}/join", waiting, session_of(200, 200, 404)),
    "leave": Route("POST", "/api/sessions/{session}/leave", live, session_of(200, 200, 404)),
    "release": Route("POST", "/api/sessions/{session}/release", waiting, session_of(403, 200, 404)),
    "end": Route("POST", "/api/sessions/{session}/end", live, session_of(200, 200, 404, admin=200)),
    "ask for another mechanic": Route("POST", "/api/sessions/{session}/replace", waiting, session_of(409, 403, 403)),
    "note": Route(
        "PUT",
        "/api/sessions/{session}/notes",
        live,
        session_of(403, 200, 404),
        lambda _session: {"text": "New pads.", "version": 1},
    ),
    "see a session": Route("GET", "/api/sessions/{session}", live, session_of(200, 200, 404, admin=200)),
    "call": Route("POST", "/api/sessions/{session}/call", unsigned, session_of(409, 404, 404)),
    "say that one hears the other": Route(
        "POST",
        "/api/sessions/{session}/call/report",
        unsigned,
        session_of(409, 404, 404),
        lambda _session: {
            "from": "2026-11-30T12:00:00Z",
            "until": "2026-11-30T12:00:15Z",
            "now": "2026-11-30T12:00:15Z",
            "packets": 700,
        },
    ),
    "say something": Route(
        "POST",
        "/api/sessions/{session}/messages",
        live,
        session_of(201, 201, 404),
        lambda _session: {"clientId": str(new_id()), "text": "Hello"},
    ),
    "read the room": Route("GET", "/api/sessions/{session}/messages", live, session_of(200, 200, 404, admin=200)),
    "say how far one has read": Route(
        "POST", "/api/sessions/{session}/messages/read", live, session_of(200, 200, 404), lambda _session: {"seq": 1}
    ),
    "promise a file for an intake": Route(
        "POST", "/api/intakes/attachments", live, dict.fromkeys(ANY_CUSTOMER, 201), lambda _session: File().promise
    ),
    "promise a file for the room": Route(
        "POST", "/api/sessions/{session}/attachments", live, session_of(201, 201, 404), lambda _session: File().promise
    ),
    # files that there are: tests/files/test_access.py
    "read a file": Route("GET", "/api/attachments/{session}", live, dict.fromkeys(EVERYBODY, 404)),
    "see the customer's active session": Route("GET", "/api/customer/active-session", live, ANY_CUSTOMER),
    "see the mechanic's active session": Route("GET", "/api/mechanic/active-session", live, ANY_MECHANIC),
    "see one's availability": Route("GET", "/api/mechanic/availability", live, ACTIVE_MECHANIC),
    "set one's availability": Route(
        "POST", "/api/mechanic/availability", live, ACTIVE_MECHANIC, lambda _session: {"available": True}
    ),
    "see the customer's history": Route("GET", "/api/customer/sessions", live, ANY_CUSTOMER),
    "see the mechanic's history": Route("GET", "/api/mechanic/sessions", live, ANY_MECHANIC),
    "open a feed": Route("POST", "/api/realtime/ticket", live, EVERYBODY),
    "see what one was told": Route("GET", "/api/notifications", live, EVERYBODY),
    "mark what another was told": Route(
        "POST", "/api/notifications/{session}/read", live, dict.fromkeys(EVERYBODY, 404)
    ),
    "mark all one was told": Route("POST", "/api/notifications/read-all", live, EVERYBODY),
    "confirm an address that one did not enter": Route(
        "POST",
        "/api/notifications/confirm-address",
        live,
        dict.fromkeys(EVERYBODY, 404),
        lambda _session: {"token": "x"},
    ),
    "see one's wishes": Route("GET", "/api/notifications/preferences", live, EVERYBODY),
    "choose one's wishes": Route(
        "PUT", "/api/notifications/preferences", live, EVERYBODY, lambda _session: {"locale": "es"}
    ),
    "see one's browsers": Route("GET", "/api/push/subscriptions", live, EVERYBODY),
    "be called by no browser": Route("POST", "/api/push/subscriptions", live, dict.fromkeys(EVERYBODY, 422)),
    "end another's browser": Route(
        "POST", "/api/push/subscriptions/{session}/end", live, dict.fromkeys(EVERYBODY, 404)
    ),
    "try one's browsers": Route("POST", "/api/push/test", live, EVERYBODY),
    "see one's credits": Route("GET", "/api/customer/credits", live, ANY_CUSTOMER),
    "grant credits": Route(
        "POST",
        "/api/admin/credits",
        live,
        {"admin": 200},
        lambda _session: {"customerId": str(new_id()), "credits": 1, "reason": "A gift", "key": str(new_id())},
    ),
    **{
        f"{method} {path}": Route(method, f"/api/admin/{path}", live, {"admin": status})
        for method, path, status in (
            *(("GET", "mechanics", 200), ("POST", "mechanics", 422)),
            *(("GET", "mechanics/{session}", 404), ("PATCH", "mechanics/{session}", 404)),
            *(("GET", "workshops", 200), ("POST", "workshops", 422), ("PATCH", "workshops/{session}", 404)),
            *(("GET", "plans", 200), ("POST", "plans", 422), ("PATCH", "plans/{session}", 404)),
            *(("GET", "credit-packs", 200), ("POST", "credit-packs", 422), ("PATCH", "credit-packs/{session}", 404)),
            *(
                ("GET", "session-health", 200),
                ("GET", "sessions", 200),
                ("GET", "analytics", 200),
                ("GET", "dead-letters", 200),
                ("POST", "dead-letters/{session}/redrive", 404),
                ("GET", "reconcile", 200),
                ("GET", "verify", 200),
            ),
        )
    },
    "buy credits": Route(
        "POST",
        "/api/customer/credits/checkout",
        live,
        dict.fromkeys(ANY_CUSTOMER, 422),
        lambda _session: {"pack": "no pack"},
    ),
    "see how far an intake is": Route("GET", "/api/intakes/{session}", live, {"customer": 200, "other customer": 404}),
    "answer a payment that came late": Route(
        "POST",
        "/api/intakes/{session}/answer",
        live,
        {"customer": 409, "other customer": 404},
        lambda _session: {"answer": "start"},
    ),
    "list receipts": Route("GET", "/api/customer/receipts", live, ANY_CUSTOMER),
    "see a receipt": Route("GET", "/api/receipts/{session}", live, dict.fromkeys((*ANY_CUSTOMER, "admin"), 404)),
    "see one's earnings": Route("GET", "/api/mechanic/earnings", live, ANY_MECHANIC),
    "list one's statements": Route("GET", "/api/mechanic/statements", live, ANY_MECHANIC),
    "see a statement": Route("GET", "/api/mechanic/statements/{session}", live, dict.fromkeys(ANY_MECHANIC, 404)),
    "agree to netting": Route(
        "POST", "/api/mechanic/netting", live, KNOWN_MECHANIC, lambda _session: {"agreed": False}
    ),
    "see one's referral code": Route("GET", "/api/mechanic/referral-code", live, ACTIVE_MECHANIC),
    "escalate": Route(
        "POST",
        "/api/sessions/{session}/escalate",
        live,
        {"mechanic": 422, **dict.fromkeys(STRANGERS, 404), "suspended mechanic": 403, "unknown mechanic": 403},
        lambda _session: {"workshopId": str(new_id())},
    ),
    "see a session's quotes": Route(
        "GET", "/api/sessions/{session}/quotes", live, session_of(200, 200, 404, admin=200)
    ),
    "see the mechanic's quotes": Route("GET", "/api/mechanic/quotes", live, ACTIVE_MECHANIC),
    "see the workshops to ask": Route("GET", "/api/mechanic/workshops", live, ACTIVE_MECHANIC),
    # on a quote that there is: tests/quotes/test_quotes_over_http.py
    "see a quote": Route("GET", "/api/quotes/{session}", live, dict.fromkeys(EVERYBODY, 404)),
    "quote": Route(
        "POST",
        "/api/quotes/{session}/amount",
        live,
        dict.fromkeys(ANY_MECHANIC, 404) | {"suspended mechanic": 403, "unknown mechanic": 403},
        lambda _session: {"amountCents": 1},
    ),
    "approve a quote": Route("POST", "/api/quotes/{session}/approve", live, dict.fromkeys(ANY_CUSTOMER, 404)),
    "decline a quote": Route("POST", "/api/quotes/{session}/decline", live, dict.fromkeys(ANY_CUSTOMER, 404)),
    "see one's onboarding": Route("GET", "/api/mechanic/onboarding", live, KNOWN_MECHANIC),
    "go through onboarding": Route("POST", "/api/mechanic/onboarding", live, KNOWN_MECHANIC),
    "list payouts": Route("GET", "/api/admin/payouts", live, {"admin": 200}),
    "decide about a held session": Route(
        "POST",
        "/api/admin/sessions/{session}/decide",
        live,
        {"admin": 409},
        lambda _session: {"outcome": "pay", "note": "Who is this?"},
    ),
    "decide about a contest": Route(
        "POST",
        "/api/admin/sessions/{session}/contest/decide",
        live,
        {"admin": 404},
        lambda _session: {"outcome": "keep", "note": "Who is this?"},
    ),
    "search sessions": Route(
        "POST", "/api/admin/sessions/search", live, {"admin": 200}, lambda _session: {"text": "Clara"}
    ),
    "see a contact": Route("POST", "/api/admin/sessions/{session}/contact", live, {"admin": 200}),
    "write as the operator": Route(
        "POST", "/api/admin/sessions/{session}/message", live, {"admin": 200}, lambda _session: {"text": "Wait."}
    ),
    "offer by name": Route(
        "POST",
        "/api/admin/sessions/{session}/offer",
        live,
        {"admin": 422},
        lambda session: {"mechanicId": str(session.session_id)},
    ),
    "list changes": Route("GET", "/api/admin/changes?sessionId={session}", live, {"admin": 200}),
    "list cases": Route("GET", "/api/admin/cases", live, {"admin": 200}),
    "see a case": Route("GET", "/api/admin/cases/{session}", live, {"admin": 200}),
    "see a dispute": Route("GET", "/api/admin/disputes/{session}", live, {"admin": 404}),
    "answer a dispute": Route(
        "POST",
        "/api/admin/disputes/{session}/evidence",
        live,
        {"admin": 404},
        lambda _session: {"version": 1, "texts": {}},
    ),
    "see a contest": Route("GET", "/api/sessions/{session}/contest", live, session_of(200, 200, 404, admin=200)),
    "contest": Route(
        "POST",
        "/api/sessions/{session}/contest",
        live,
        {"customer": 409, "other customer": 404},
        lambda _session: {"reason": "other", "text": "It squeals."},
    ),
    "answer a contest": Route(
        "POST",
        "/api/sessions/{session}/contest/answer",
        live,
        dict.fromkeys(ANY_MECHANIC, 404),
        lambda _session: {"text": "It does not."},
    ),
    "extend a session": Route(
        "POST",
        "/api/sessions/{session}/extend",
        live,
        {"customer": 422, "other customer": 404},
        lambda _session: {"pack": "m15", "payWith": "credit"},
    ),
    "answer an extension": Route(
        "POST",
        "/api/sessions/{session}/extend/{session}/answer",
        live,
        dict.fromkeys(ANY_MECHANIC, 404),
        lambda _session: {"agrees": True},
    ),
    "hold a payout": Route(
        "POST", "/api/admin/payouts/{session}/hold", live, {"admin": 404}, lambda _session: {"reason": "Who is this?"}
    ),
    "release a payout": Route("POST", "/api/admin/payouts/{session}/release", live, {"admin": 404}),
    "renew a mechanic's account": Route("POST", "/api/admin/mechanics/{session}/renew-account", live, {"admin": 404}),
}
