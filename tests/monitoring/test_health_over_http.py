"""Health over HTTP: template, gateway, function and topic together, as an admin's browser uses them."""

import pytest

from support.account import Account

HEALTH, SESSIONS, ANALYTICS = (f"/api/admin/{path}" for path in ("session-health", "sessions", "analytics"))


def test_an_operator_goes_from_a_number_to_the_session(account: Account) -> None:
    admin = account.admin()
    waiting = account.queued(account.customer())
    account.world.let_time_pass(700)
    page = admin.get(HEALTH)
    assert page["now"]["oldestWaiting"]["sessionId"] == waiting["sessionId"]
    (alert,) = page["alerts"]["sessions"]
    assert (alert["alert"], alert["severity"], alert["sessionIds"]) == (
        "waiting_too_long",
        "warning",
        [waiting["sessionId"]],
    )
    path, _, query = alert["list"].partition("?")
    (found,) = admin.get(path, **dict([query.split("=")]))["sessions"]
    assert (found["sessionId"], found["customerName"], found["assignmentStatus"]) == (
        waiting["sessionId"],
        "Cora Castillo",
        "queued",
    )
    assert admin.get(f"/api/sessions/{found['sessionId']}")["timeline"]


def test_the_monitor_publishes_an_alert_once(account: Account) -> None:
    account.queued(account.customer())
    account.world.let_time_pass(700)
    runs = [account.cloud.invoke("MonitorFunction", {}) for _ in range(2)]
    assert [run.error for run in runs] == [None, None]
    assert runs[1].payload["told"] == 0  # type: ignore[index]
    told = account.http.get("/_dev/alerts.json").json()["messages"]
    assert [each["subject"] for each in told if "waiting" in each["subject"]]
    assert len({each["message_id"] for each in told}) == len(told)
    page = account.http.get("/_dev/alerts")
    assert "waiting_too_long" in page.text
    (monitor,) = (each for each in account.admin().get(HEALTH)["schedules"] if each["name"] == "monitor")
    assert (monitor["state"], monitor["nextRun"] > monitor["lastRun"]) == ("ok", True)


@pytest.mark.parametrize("path", [HEALTH, SESSIONS, ANALYTICS])
def test_only_admins_look(account: Account, path: str) -> None:
    for caller in (account.customer(), account.mechanic()):
        refused = caller.send("GET", path)
        assert (refused.status_code, refused.json()["type"]) == (403, "/problems/forbidden")


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        (f"{HEALTH}?from=yesterday", "/from"),
        (f"{HEALTH}?from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z", "/from"),
        (f"{ANALYTICS}?bucket=year", "/bucket"),
        (f"{ANALYTICS}?format=xlsx", "/format"),
        (f"{SESSIONS}?status=%00", "/status"),
        (f"{SESSIONS}?alert=stuck_live&cursor=%00", "/cursor"),
    ],
)
def test_a_bad_question_says_which_part_is_bad(account: Account, path: str, pointer: str) -> None:
    refused = account.admin().send("GET", path)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)


def test_a_report_as_json_and_as_csv(account: Account) -> None:
    admin = account.admin()
    account.queued(account.customer())
    report = admin.get(ANALYTICS, bucket="hour")
    assert (report["bucket"], report["created"][0]["sessionType"]) == ("hour", "chat")
    for asked in ({"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}):
        answer = admin.send("GET", ANALYTICS, **asked)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.text.startswith("section,period_start,")
