"""Limits, the queue's order and the threshold over HTTP, as somebody who wants more than their share meets them."""

import psycopg
import pytest

from localcloud.commands.samples import INTAKE, INTAKE_WITH_WAIVER
from support.account import Account


def test_the_eleventh_session_within_an_hour_is_too_many_and_others_start_theirs(account: Account) -> None:
    customer = account.customer()
    for _ in range(10):
        session = account.pending(customer)["sessionId"]
        customer.post(f"/api/sessions/{session}/end")
    refused = customer.send("POST", "/api/intake/start", INTAKE)
    problem = refused.json()
    assert (refused.status_code, problem["type"]) == (429, "/problems/too-many-requests")
    assert problem["limit"] == "intakes"
    assert int(refused.headers["retry-after"]) == problem["retryAfterSeconds"] > 0
    assert account.http.get("/problems/too-many-requests").status_code == 200
    account.pending(account.customer())


def test_the_sixty_first_ticket_is_too_many(account: Account) -> None:
    customer = account.customer()
    for _ in range(60):
        customer.post("/api/realtime/ticket")
    refused = customer.send("POST", "/api/realtime/ticket")
    assert (refused.status_code, refused.json()["limit"]) == (429, "tickets")


def test_free_accounts_that_call_themselves_urgent_displace_nobody(account: Account) -> None:
    mechanic = account.mechanic()
    honest = account.queued(account.customer())["sessionId"]
    ring = [account.queued(account.customer(), urgent=True)["sessionId"] for _ in range(5)]
    listed = [each["sessionId"] for each in mechanic.get("/api/mechanic/queue", limit="100")["assignments"]]
    assert [each for each in listed if each in {honest, *ring}] == [honest, *ring]


def test_a_mechanic_who_gives_sessions_back_is_paused(account: Account) -> None:
    mechanic = account.mechanic()
    for _ in range(3):
        intake = account.queued(account.customer())
        mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
        mechanic.post(f"/api/sessions/{intake['sessionId']}/release")
    intake = account.queued(account.customer())
    refused = mechanic.send("POST", f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    assert (refused.status_code, refused.json()["limit"]) == (429, "releases")
    account.mechanic().post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")


def test_a_stolen_password_completes_no_session_that_was_too_short(account: Account) -> None:
    customer = account.customer()
    session = account.live(customer, account.mechanic())
    chosen = "-c app.min_billable_seconds=0"
    with (
        psycopg.connect(account.world.urls.app_url, options=chosen) as thief,
        pytest.raises(psycopg.errors.CheckViolation),
    ):
        thief.execute("UPDATE sessions SET status = 'completed' WHERE id = %s", [session.rpartition("/")[2]])
    assert customer.post(f"{session}/end")["status"] == "cancelled"


def test_a_signature_that_shows_nothing_is_refused(account: Account) -> None:
    body = {**INTAKE_WITH_WAIVER, "waiver": {"signedName": "\u200b\u2060"}}
    refused = account.customer().send("POST", "/api/intake/start", body)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/waiver/signedName")
