"""`/_dev`: a request and its consequences are one trace, and the buttons work."""

import re
import time
from collections.abc import Iterable
from typing import Any

import pytest

from localcloud.commands.samples import INTAKE_WITH_WAIVER
from localcloud.host.logline import LogLine
from localcloud.services.traces import Trace
from support.account import Account
from support.events.feed_client import feeds

PATIENCE_SECONDS = 60.0


def traces(account: Account) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = account.http.get("/_dev", headers={"Accept": "application/json"}).json()["traces"]
    return found


def trace_with(account: Account, *kinds: str, functions: Iterable[str] = ()) -> dict[str, Any]:
    """The newest trace that has lines of all these kinds, and these functions' invocations; waited for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for each in traces(account):
            ran = {invocation["function"] for invocation in each["invocations"]}  # a line is there before its end
            if set(kinds) <= {line["kind"] for line in each["lines"]} and set(functions) <= ran:
                return each
        time.sleep(0.1)
    raise AssertionError(f"no trace with {kinds} and {functions}")


def press(account: Account, path: str, origin: str | None = None) -> int:
    headers = {"Origin": account.cloud.api_url if origin is None else origin}
    return account.http.post(f"/_dev/{path}", headers=headers).status_code


def test_a_request_its_events_their_consumers_and_the_mail_are_one_trace(account: Account) -> None:
    account.customer().post("/api/intake/start", INTAKE_WITH_WAIVER, 201)
    ran = ("IntakeFunction", "NotifyFunction")
    found = trace_with(account, "request", "invoke", "bus", "queue", "mail", functions=ran)
    texts = [line["text"] for line in found["lines"]]
    assert "POST /api/intake/start" in texts
    assert any(text.startswith("assignment.queued -> ") for text in texts)


def test_what_changes_something_is_found_among_what_only_looks(account: Account) -> None:
    account.http.get("/console/js/lib/dom.js")
    account.customer().get("/api/customer/credits")
    account.customer().post("/api/intake/start", INTAKE_WITH_WAIVER, 201)
    changes, everything = (account.http.get(f"/_dev{query}").text for query in ("?kind=change", ""))
    assert "POST /api/intake/start" in changes
    assert "GET /api/customer/credits" not in changes
    assert "GET /api/customer/credits" in everything
    assert "GET /console/" not in everything


def test_a_replay_runs_the_function_on_the_same_event(account: Account) -> None:
    account.customer().get("/api/customer/active-session")
    found = trace_with(account, "request", "invoke")["invocations"][-1]
    before = len([line for line in account.lines if line.text.startswith(found["function"])])
    assert press(account, f"replay/{found['requestId']}") == 303
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len([line for line in account.lines if line.text.startswith(found["function"])]) == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_schedule_runs_now(account: Account) -> None:
    name = account.cloud.stack.schedules[0].name
    assert press(account, f"run/{name}") == 303
    assert any(line["text"] == name for line in trace_with(account, "schedule", "invoke")["lines"])


def test_the_page_says_where_to_begin_and_runs_no_script_but_its_own(account: Account) -> None:
    page = account.http.get("/_dev")
    assert 'href="/"' in page.text
    assert re.findall("<script[^>]*>", page.text) == ['<script type="module" src="/_dev/live.js">']
    assert "script-src 'self';" in page.headers["content-security-policy"]
    script = account.http.get("/_dev/live.js")
    assert (script.status_code, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")


@pytest.mark.parametrize("origin", ["https://evil.example", ""])
def test_another_sites_page_presses_no_button(account: Account, origin: str) -> None:
    name = account.cloud.stack.schedules[0].name
    assert press(account, f"run/{name}", origin) == 403


@pytest.mark.parametrize("path", ["run/nothing", "replay/nothing", "else/nothing"])
def test_what_is_not_there_is_not_found(account: Account, path: str) -> None:
    assert press(account, path) == 404


@pytest.mark.parametrize("path", ["/_dev", "/_stripe", "/_dev/mail.json", "/_aws/sqs"])
def test_a_name_of_the_web_that_leads_here_opens_nothing(account: Account, path: str) -> None:
    assert account.http.get(path, headers={"Host": "rebound.example:8787"}).status_code == 403


def story(account: Account, session: str) -> str:
    page = account.http.get("/_dev", params={"session": session})
    assert page.status_code == 200
    return page.text


def test_a_sessions_story_is_one_lane_with_what_others_do_left_out(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    other = account.customer().post("/api/intake/start", INTAKE_WITH_WAIVER, 201)["sessionId"]
    opened = customer.post("/api/intake/start", INTAKE_WITH_WAIVER, 201)
    session = opened["sessionId"]
    customer.get(f"/api/sessions/{session}")
    mechanic.post(f"/api/mechanic/assignments/{opened['assignmentId']}/accept")
    customer.post(f"/api/sessions/{session}/end", {})
    steps = [
        "POST /api/intake/start",
        "1 read",
        "/accept",
        "session.waiting",
        "/end",
        "ses took a mail: session_cancelled",
    ]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not all(step in (told := story(account, session)) for step in steps):
        assert time.monotonic() < deadline, [step for step in steps if step not in told]
        time.sleep(0.1)
    assert [told.index(step) for step in steps[:-1]] == sorted(told.index(step) for step in steps[:-1])
    assert told.count("POST /api/intake/start") == 1
    assert other not in told
    assert f'href="/_dev?session={session}"' in account.http.get("/_dev").text


def test_what_was_paid_is_part_of_its_sessions_story(account: Account) -> None:
    intake = {**INTAKE_WITH_WAIVER, "plan": "quick", "payWith": "card"}
    opened = account.customer().post("/api/intake/start", intake, 202)
    account.http.post(opened["checkoutUrl"], data={"action": "pay", "name": "Cora"})
    account.cloud.stripe.quiet()
    told = story(account, opened["intakeId"])
    for step in ("POST /api/intake/start", "POST /v1/checkout/sessions", "checkout.session.completed -&gt; "):
        assert step in told, step


def test_pushes_to_open_pages_and_to_browsers_are_part_of_it(account: Account) -> None:
    customer = account.customer()
    opened = account.queued(customer)
    session = opened["sessionId"]
    with feeds(customer):
        account.mechanic().post(f"/api/mechanic/assignments/{opened['assignmentId']}/accept")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while " session_updated" not in (told := story(account, session)):
            assert time.monotonic() < deadline, told
            time.sleep(0.1)
    to_browser = Trace("1", [LogLine("push", "the push service answered 201", session=session)])
    assert to_browser.is_about(session)
    assert not to_browser.sessions()
    customer.post(f"/api/sessions/{session}/end", {})


def test_a_session_that_is_not_known_has_no_story(account: Account) -> None:
    assert "Nothing is known of it any more." in story(account, "<script>")
    assert "<script>" not in story(account, "<script>")
