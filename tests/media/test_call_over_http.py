"""The call as a page asks for it: in which sessions there is one, and for whom."""

from typing import Any

import pytest

from support.account import Account, Caller
from support.account_settings import AccountSettings
from support.money.purchases import give, spendable
from support.wait import wait_until

TWO_GROUPS: dict[str, object] = {"cognito:groups": ["customers", "mechanics"]}


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return AccountSettings(evidence="witnessed")


def accepted(account: Account, customer: Caller, mechanic: Caller, **fields: object) -> str:
    """The path of a session that the mechanic has accepted."""
    intake = account.queued(customer, **fields)
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    return f"/api/sessions/{intake['sessionId']}"


def refusal(caller: Caller, method: str, path: str, body: Any = None) -> tuple[int, str]:  # noqa: ANN401 (any JSON)
    """What a call is refused with."""
    answer = caller.send(method, path, body)
    return answer.status_code, answer.json()["type"]


def test_a_chat_of_a_plan_with_video_is_called_and_one_of_a_plan_without_is_not(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic, plan="free", sessionType="chat")
    places = [caller.post(f"{session}/call") for caller in (customer, mechanic)]
    assert [each["provider"] for each in places] == ["chime", "chime"]
    assert places[0]["meeting"] == places[1]["meeting"]
    assert places[0]["attendee"]["AttendeeId"] != places[1]["attendee"]["AttendeeId"]
    give(account.world, (buyer := account.customer()).user_id, 10)
    session = accepted(account, buyer, another := account.mechanic(), plan="quick", payWith="credit")
    for caller in (buyer, another):
        assert refusal(caller, "POST", f"{session}/call") == (409, "/problems/no-video")
    assert account.world.one("SELECT count(*) FROM session_meetings WHERE session_id = %s", session[-36:]) == 0


def test_nobody_answers_their_own_call(account: Account) -> None:
    """One account in both groups: it is refused as its own mechanic, so it has no call, and is never paid."""
    mechanic = account.world.mechanic()
    both = account.caller("customers", mechanic.user_id, expires_in=600, **TWO_GROUPS)
    give(account.world, mechanic.user_id, 10)
    intake = account.queued(both, plan="standard", sessionType="video", payWith="credit")
    session = f"/api/sessions/{intake['sessionId']}"
    accept = f"/api/mechanic/assignments/{intake['assignmentId']}/accept"
    assert refusal(both, "POST", accept) == (403, "/problems/own-session")
    assert refusal(both, "POST", f"{session}/call") == (409, "/problems/session-not-open")
    both.post(f"{session}/join")
    account.world.let_time_pass(601)
    ended = both.post(f"{session}/end")
    assert (ended["status"], ended["reason"], ended["startedAt"]) == ("cancelled", "withdrawn", None)
    assert account.world.one("SELECT count(*) FROM payouts WHERE session_id = %s", intake["sessionId"]) == 0
    wait_until(lambda: spendable(account.world, mechanic.user_id) == 10)
