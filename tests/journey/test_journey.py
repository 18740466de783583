"""Consultations over real HTTP, as a client experiences them: gateway, real processes and PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.commands.samples import INTAKE, INTAKE_WITH_WAIVER
from support.account import Account, Caller, document


def outcome(ended: dict[str, Any]) -> tuple[str, str, int | None, bool]:
    return ended["status"], ended["reason"], ended["durationSeconds"], ended["alreadyEnded"]


# --- the whole way --------------------------------------------------------------------------------


def test_one_consultation_from_intake_to_completed(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    intake = account.pending(customer)
    session_id, assignment_id = intake["sessionId"], intake["assignmentId"]
    assert intake == {
        "sessionId": session_id,
        "assignmentId": assignment_id,
        "sessionStatus": "pending",
        "assignmentStatus": "pending_waiver",
        "preferredMechanic": None,
        "next": "sign_waiver",
    }
    signed = customer.post("/api/waiver/submit", {"sessionId": session_id, "signedName": "Cora Castillo"})
    assert signed == {
        "sessionId": session_id,
        "assignmentId": assignment_id,
        "assignmentStatus": "queued",
        "preferredMechanic": None,
    }
    shown = {shown["sessionId"]: shown for shown in mechanic.get("/api/mechanic/queue", limit="100")["assignments"]}
    assert set(shown[session_id]) == {
        *("assignmentId", "sessionId", "status", "sessionType", "plan", "customerName", "vehicleSummary", "concern"),
        *("pictureId", "urgent", "workshopId", "queuedAt", "scheduledFor", "offerExpiresAt"),
        *("paysCents", "currency", "includedMinutes"),
    }
    accepted = mechanic.post(f"/api/mechanic/assignments/{assignment_id}/accept")
    assert accepted == {"assignmentId": assignment_id, "sessionId": session_id, "sessionStatus": "waiting"}
    talk_and_end(account, customer, mechanic, session_id)


def talk_and_end(account: Account, customer: Caller, mechanic: Caller, session_id: str) -> None:
    session = f"/api/sessions/{session_id}"
    assert customer.post(f"{session}/join")["sessionStatus"] == "waiting"
    joined = mechanic.post(f"{session}/join")
    assert (joined["sessionId"], joined["sessionStatus"]) == (session_id, "live")
    assert datetime.now(UTC) - datetime.fromisoformat(joined["startedAt"]) < timedelta(minutes=1)
    account.world.let_time_pass(75)
    ended = mechanic.post(f"{session}/end", {"mechanicNotes": "New pads.", "status": "cancelled"})
    assert set(ended) == {
        *("sessionId", "status", "reason", "startedAt", "endedAt", "durationSeconds", "endedBy", "alreadyEnded"),
    }
    together = datetime.fromisoformat(ended["endedAt"]) - datetime.fromisoformat(ended["startedAt"])
    assert together >= timedelta(seconds=75)
    assert outcome(ended) == ("completed", "billable", together // timedelta(seconds=1), False)
    detail = customer.get(session)
    assert (detail["status"], mechanic.get(session)["mechanicNotes"]) == ("completed", "New pads.")
    assert [event["event"] for event in detail["timeline"]][-2:] == ["session.completed", "assignment.completed"]
    for who, path in ((customer, "customer"), (mechanic, "mechanic")):
        assert who.get(f"/api/{path}/active-session") == {"session": None}
        assert [past["sessionId"] for past in who.get(f"/api/{path}/sessions")["sessions"]] == [session_id]


def test_an_offer_declined_goes_to_the_others(account: Account) -> None:
    asked_for, other, customer = account.world.mechanic(), account.mechanic(), account.customer()
    intake = account.queued(customer, preferredMechanicId=str(asked_for.id))
    assert (intake["assignmentStatus"], intake["next"]) == ("offered", "wait")
    declined = account.mechanic(asked_for).post(
        f"/api/mechanic/assignments/{intake['assignmentId']}/decline", {"reason": "Too far"}
    )
    assert declined == {
        "assignmentId": intake["assignmentId"],
        "sessionId": intake["sessionId"],
        "assignmentStatus": "declined",
    }
    shown = {shown["sessionId"]: shown for shown in other.get("/api/mechanic/queue", limit="100")["assignments"]}
    again = shown[intake["sessionId"]]["assignmentId"]
    assert other.post(f"/api/mechanic/assignments/{again}/accept")["sessionStatus"] == "waiting"


def test_a_session_given_back_and_swept(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    intake = account.queued(customer)
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    session = f"/api/sessions/{intake['sessionId']}"
    released = mechanic.post(f"{session}/release")
    assert released == {"sessionId": intake["sessionId"], "sessionStatus": "pending"}
    account.world.let_time_pass(7201)
    swept = account.cloud.invoke("ExpireOrphansFunction", {})
    assert (swept.error, swept.status) == (None, 200)
    assert isinstance(swept.payload, dict)
    assert swept.payload["orphans"] >= 1
    assert outcome(customer.post(f"{session}/end")) == ("expired", "expired", None, True)


def test_a_wish_for_a_mechanic_and_what_who_waits_is_told(account: Account) -> None:
    mechanic = account.world.mechanic(available_until=None)
    customer, caller, wish = account.customer(), account.mechanic(mechanic), {"preferredMechanicId": str(mechanic.id)}
    intake = account.queued(customer, **wish)
    assert (intake["assignmentStatus"], intake["preferredMechanic"]) == ("queued", "unavailable")
    before = customer.get(f"/api/sessions/{intake['sessionId']}")["waiting"]
    lease = caller.post("/api/mechanic/availability", {"available": True, "minutes": 5})
    assert caller.get("/api/mechanic/availability") == lease
    until = datetime.fromisoformat(lease.pop("availableUntil"))
    assert timedelta(minutes=4) < until - datetime.now(UTC) < timedelta(minutes=6)
    assert lease == {"mechanicId": str(mechanic.id), "available": True, "keptAliveByFeed": False}
    after = customer.get(f"/api/sessions/{intake['sessionId']}")["waiting"]
    assert set(after) == {"position", "mechanicsAvailable", "estimatedWaitSeconds"}
    assert after["mechanicsAvailable"] == before["mechanicsAvailable"] + 1
    intake = account.queued(account.customer(), **wish)
    assert (intake["assignmentStatus"], intake["preferredMechanic"]) == ("offered", "offered")
    refused = caller.post("/api/mechanic/availability", {"available": True, "minutes": 721}, 422)
    assert [error["pointer"] for error in refused["errors"]] == ["/minutes"]


def test_a_deployment_migrates_as_often_as_it_likes(account: Account) -> None:
    assert account.cloud.invoke("MigrateFunction", {}).payload == {"applied": []}


# --- the six ends ---------------------------------------------------------------------------------


def test_both_joined_and_long_enough(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = account.live(customer, mechanic)
    account.world.let_time_pass(60)
    assert outcome(customer.post(f"{session}/end")) == ("completed", "billable", 60, False)


def test_never_started(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    intake = account.queued(customer)
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    ended = mechanic.post(f"/api/sessions/{intake['sessionId']}/end")
    assert outcome(ended) == ("cancelled", "withdrawn", None, False)
    assert ended["startedAt"] is None


def test_too_short(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = account.live(customer, mechanic)
    assert outcome(customer.post(f"{session}/end")) == ("cancelled", "too_short", 0, False)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [("60 s", ("completed", "billable", 60, False)), ("59.999 s", ("cancelled", "too_short", 59, False))],
)
def test_exactly_the_threshold(account: Account, interval: str, expected: tuple[str, str, int, bool]) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = account.live(customer, mechanic)
    mechanic.post(f"{session}/leave")
    with account.world.without_triggers() as connection:
        connection.execute(
            "UPDATE sessions SET started_at = parted_at - %s::interval, accepted_at = parted_at - interval '1 h'"
            " WHERE id = %s",
            [interval, session.rpartition("/")[2]],
        )
        connection.execute(
            "UPDATE session_presence p SET since = s.started_at"
            "  FROM sessions s WHERE s.id = p.session_id AND s.id = %s",
            [session.rpartition("/")[2]],
        )
    assert outcome(customer.post(f"{session}/end")) == expected


def test_ended_twice(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = account.live(customer, mechanic)
    first = customer.post(f"{session}/end")
    assert mechanic.post(f"{session}/end") == customer.post(f"{session}/end") == {**first, "alreadyEnded": True}
    assert [event["event"] for event in customer.get(session)["timeline"]].count("session.cancelled") == 1


def test_ended_by_two_callers_at_once(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session, barrier = account.live(customer, mechanic), threading.Barrier(2)
    account.world.let_time_pass(60)

    def end(caller: Caller) -> dict[str, Any]:
        barrier.wait()
        return caller.post(f"{session}/end", {"status": "cancelled"})

    with ThreadPoolExecutor(2) as pool:
        one, other = sorted(pool.map(end, [customer, mechanic]), key=lambda ended: ended["alreadyEnded"])
    assert (one["status"], one["alreadyEnded"]) == ("completed", False)
    assert other == {**one, "alreadyEnded": True}


# --- what goes wrong, as a client sees it ---------------------------------------------------------


def problem(caller: Caller, method: str, path: str, status: int, body: Any = None, **parts: Any) -> dict[str, Any]:  # noqa: ANN401
    response = caller.send(method, path, body, **parts)
    assert response.headers["content-type"] == "application/problem+json"
    shown = document(response, status)
    assert shown["status"] == status
    return shown


def test_a_second_session_names_the_first(account: Account) -> None:
    first = account.pending(customer := account.customer())
    shown = problem(customer, "POST", "/api/intake/start", 409, INTAKE)
    assert shown["type"] == "/problems/active-session-exists"
    assert shown["activeSession"] == {"sessionId": first["sessionId"], "status": "pending"}


def test_the_same_idempotency_key_is_the_same_answer(account: Account) -> None:
    customer, headers = account.customer(), {"Idempotency-Key": "4711"}
    first = document(customer.send("POST", "/api/intake/start", INTAKE, headers=headers), 201)
    assert document(customer.send("POST", "/api/intake/start", INTAKE, headers=headers), 201) == first
    shown = problem(customer, "POST", "/api/intake/start", 422, INTAKE_WITH_WAIVER, headers=headers)
    assert shown["type"] == "/problems/idempotency-key-reused"


def test_a_body_that_is_no_json_is_malformed(account: Account) -> None:
    customer = account.customer()
    for content in (b"{", b"\xff\xfe", b'{"name": NaN}'):
        assert problem(customer, "POST", "/api/intake/start", 400, content=content)["title"] == "Malformed JSON"


def test_what_is_wrong_is_pointed_at(account: Account) -> None:
    body = {**INTAKE, "vehicle": {"year": 1885, "make": "Benz", "model": "\x00"}, "email": "x"}
    shown = problem(account.customer(), "POST", "/api/intake/start", 422, body)
    assert [error["pointer"] for error in shown["errors"]] == ["/vehicle/model"]
    body["vehicle"]["model"] = "Patent-Motorwagen"
    shown = problem(account.customer(), "POST", "/api/intake/start", 422, body)
    assert {error["pointer"] for error in shown["errors"]} == {"/vehicle/year", "/email"}


def test_a_body_of_another_content_type_is_json_all_the_same(account: Account) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    content = b'{"sessionId": "0197d3a5-0000-7000-8000-000000000001", "signedName": "Cora"}'
    problem(account.customer(), "POST", "/api/waiver/submit", 404, content=content, headers=headers)


def test_a_scheduled_session_is_not_open_yet(account: Account) -> None:
    next_week = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    created = account.queued(customer := account.customer(), scheduledFor=next_week)
    assert created["sessionStatus"] == "scheduled"
    shown = problem(customer, "POST", f"/api/sessions/{created['sessionId']}/join", 409)
    assert shown["type"] == "/problems/session-not-open"


def test_credits_that_one_does_not_have_pay_for_nothing(account: Account) -> None:
    body = {**INTAKE, "plan": "quick", "payWith": "credit"}
    shown = problem(customer := account.customer(), "POST", "/api/intake/start", 402, body)
    assert (shown["type"], shown["balance"], shown["price"]) == ("/problems/insufficient-credits", 0, 1)
    assert shown["detail"] == "This plan costs 1 credit; you have 0."
    assert customer.get("/api/customer/active-session") == {"session": None}


def test_a_busy_session_says_when_to_come_back(account: Account) -> None:
    session = account.live(customer := account.customer(), account.mechanic())
    owner = account.world.owner
    with owner.transaction():
        owner.execute("SELECT FROM sessions WHERE id = %s FOR NO KEY UPDATE", [session.rpartition("/")[2]])
        response = customer.send("POST", f"{session}/end")
    assert (response.status_code, response.headers["retry-after"]) == (409, "1")
    assert document(response, 409)["type"] == "/problems/session-busy"


@pytest.mark.parametrize("route", ["accept", "decline", "join", "leave", "release", "end"])
def test_a_body_that_nobody_needs_has_to_be_one_all_the_same(account: Account, route: str) -> None:
    mechanic = account.world.mechanic()
    created = account.world.queued(preferredMechanicId=mechanic.id)
    path = f"/api/mechanic/assignments/{created.assignment_id}/{route}"
    if route not in {"accept", "decline"}:
        account.world.accept(mechanic, created)
        path = f"/api/sessions/{created.session_id}/{route}"
    caller = account.mechanic(mechanic)
    problem(caller, "POST", path, 400, content=b"{")
    shown = problem(caller, "POST", path, 422, {"anything": ["\x00"]})
    assert [error["pointer"] for error in shown["errors"]] == ["/anything/0"]
    assert caller.send("POST", path, {"unknown": True}).status_code == 200


RETIRED = {
    "/api/mechanics/requests": "/api/mechanic/queue",
    "/api/mechanics/requests/5/anything": "/api/mechanic/queue",
    "/api/mechanic/accept": "/api/mechanic/assignments/%7BassignmentId%7D/accept",
    "/api/requests": "/api/intake/start",
    "/api/requests/5": "/api/intake/start",
    "/api/cron/expire-requests": "/api/mechanic/queue",
}


@pytest.mark.parametrize("path", RETIRED)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_what_is_retired_is_gone_and_names_its_successor(account: Account, path: str, method: str) -> None:
    response = Caller(account.http, None).send(method, path)
    assert response.status_code == 410
    assert response.headers["link"] == f'<{RETIRED[path]}>; rel="successor-version"'
    assert response.headers["content-type"] == "application/problem+json"


def test_every_answer_of_ours_is_fresh_and_has_its_request_id(account: Account) -> None:
    customer = account.customer()
    answers = [
        customer.send("GET", "/api/customer/active-session"),
        customer.send("POST", "/api/intake/start", {}),
        customer.send("GET", "/api/mechanic/queue"),
        customer.send("GET", "/api/requests"),
        customer.send("GET", "/api/sessions/5"),
    ]
    assert [answer.status_code for answer in answers] == [200, 422, 403, 410, 404]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"] == answer.headers["apigw-requestid"]
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)


def test_what_nobody_answers_is_the_gateways_own_404(account: Account) -> None:
    for method, path in (("GET", "/api/intake/start"), ("POST", "/api/nothing"), ("DELETE", "/api/sessions/5")):
        response = account.customer().send(method, path)
        assert (response.status_code, response.json()) == (404, {"message": "Not Found"})
