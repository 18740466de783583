"""An admin's dead letters: listed without their contents, sent again from any queue, on record."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from autodoctor.ids import new_id
from support.account import Account, Caller
from support.account_settings import AccountSettings
from support.events.dead_letter_queues import DeadLetterQueues, arn

SECRET = "Mrs. Miller"  # noqa: S105 - what must not be shown
PATH = "/api/admin/dead-letters"


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return AccountSettings(longest_redelivery_seconds=0.3)


@pytest.fixture(scope="module")
def letters(account: Account) -> DeadLetterQueues:
    return DeadLetterQueues(account.cloud.api_url)


@pytest.fixture
def admin(account: Account) -> Caller:
    return account.admin()


def seen(admin: Caller, name: str) -> dict[str, Any]:
    (found,) = [each for each in admin.get(PATH)["queues"] if each["name"] == name]
    return dict(found)


def redrive(admin: Caller, name: str) -> tuple[int, int]:
    answer = admin.post(f"{PATH}/{name}/redrive")
    assert answer["queue"] == name
    return answer["sending"], answer["kept"]


def eventually(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


def failure_of(function: str, **payload: str) -> str:
    """Lambda's record of a failed asynchronous event."""
    context = {"functionArn": f"{arn('lambda', f'function:{function}')}:$LATEST", "condition": "RetriesExhausted"}
    answer = {"errorType": "RuntimeError", "errorMessage": SECRET}
    return json.dumps({"requestContext": context, "requestPayload": payload, "responsePayload": answer})


def test_shows_every_queue_and_its_letters_without_what_they_say(admin: Caller, letters: DeadLetterQueues) -> None:
    event_id, session_id = str(new_id()), str(new_id())
    detail = {"eventId": event_id, "sessionId": session_id, "customerName": SECRET}
    letters.put("SettleDeadLetterQueue", json.dumps({"detail-type": "session.ended", "detail": detail}))
    letters.put("SettleDeadLetterQueue", json.dumps({"detail-type": "x", "detail": {"sessionId": SECRET}}))
    letters.put("SettleDeadLetterQueue", SECRET)
    answer = admin.get(PATH)
    assert {each["name"] for each in answer["queues"]} == {name for name in letters.names() if "DeadLetter" in name}
    assert SECRET not in str(answer)
    found = seen(admin, "SettleDeadLetterQueue")  # looked at twice, and still all there
    assert found["count"] == 3
    assert 0 <= found["oldestSeconds"] < 60
    first, second, third = found["letters"]
    kinds = [first["detailType"], first["eventId"], first["sessionId"]]
    assert kinds == ["session.ended", event_id, session_id]
    assert (second["detailType"], second["sessionId"], third["detailType"]) == ("x", None, None)


def test_what_is_listed_is_short_whatever_the_letters_are(admin: Caller, letters: DeadLetterQueues) -> None:
    long = "x" * 100_000
    detail = dict.fromkeys(("eventId", "sessionId", "assignmentId"), long)
    event = json.dumps({"detail-type": f"{SECRET}: {long}", "detail": {}})
    for body in (event, json.dumps({"detail-type": [long], "id": {}, "detail": detail})):
        for _ in range(10):
            letters.put("PushDeadLetterQueue", body)
    context = {"functionArn": arn("lambda", "function:PushFunction"), "condition": long}
    answer = {"errorType": [SECRET]}
    letters.put("MediaDeadLetterQueue", json.dumps({"requestContext": context, "responsePayload": answer}))
    shown = admin.send("GET", PATH)
    assert len(shown.content) < 32_768
    assert SECRET not in shown.text
    assert seen(admin, "PushDeadLetterQueue")["count"] == 20
    assert {each["detailType"] for each in seen(admin, "PushDeadLetterQueue")["letters"]} == {None}


def test_a_redriven_letter_that_fails_again_becomes_a_dead_letter_again(
    account: Account, admin: Caller, letters: DeadLetterQueues
) -> None:
    letters.put("NotifyQueue", json.dumps({"detail-type": "session.ended", "detail": SECRET}))
    eventually(lambda: account.cloud.depth("NotifyDeadLetterQueue").visible == 1)
    (before,) = seen(admin, "NotifyDeadLetterQueue")["letters"]
    assert (before["origin"], before["target"], before["received"] >= 5) == ("queue", "NotifyQueue", True)
    assert redrive(admin, "NotifyDeadLetterQueue") == (1, 0)
    eventually(lambda: account.cloud.depth("NotifyDeadLetterQueue").visible == 1)
    (after,) = seen(admin, "NotifyDeadLetterQueue")["letters"]
    assert after["letterId"] != before["letterId"]


def test_what_a_rule_could_not_deliver_goes_to_its_target_and_what_has_none_stays(
    account: Account, admin: Caller, letters: DeadLetterQueues
) -> None:
    event = {"detail-type": "notify.nobody", "detail": {"eventId": str(new_id())}}
    letters.undelivered(json.dumps(event), "SettleQueue")
    letters.undelivered(json.dumps(event), "FeedQueue.fifo")
    letters.put("BusDeadLetterQueue", "who knows")
    found = seen(admin, "BusDeadLetterQueue")["letters"]
    assert {(each["origin"], each["target"], each["error"]) for each in found} == {
        ("rule", "SettleQueue", "NO_PERMISSIONS"),
        ("rule", "FeedQueue.fifo", "NO_PERMISSIONS"),
        ("unknown", None, None),
    }
    assert redrive(admin, "BusDeadLetterQueue") == (2, 1)
    assert account.cloud.depth("BusDeadLetterQueue").visible == 1  # let go at once


def test_what_a_function_gave_up_invokes_it_once_more(
    account: Account, admin: Caller, letters: DeadLetterQueues
) -> None:
    letters.put("SweepDeadLetterQueue", failure_of("ExpireOrphansFunction"))
    letters.put("SweepDeadLetterQueue", failure_of("NoFunction", secret=SECRET))
    letters.put("SweepDeadLetterQueue", failure_of("SettleFunction", Records="cannot be"))
    found = seen(admin, "SweepDeadLetterQueue")["letters"]
    assert [(each["origin"], each["target"], each["error"]) for each in found] == [
        ("function", name, "RetriesExhausted RuntimeError")
        for name in ("ExpireOrphansFunction", "NoFunction", "SettleFunction")
    ]
    assert redrive(admin, "SweepDeadLetterQueue") == (2, 1)
    ran = "ExpireOrphansFunction asynchronously"
    eventually(lambda: any((line.text, line.status) == (ran, "ok") for line in account.lines))
    eventually(lambda: seen(admin, "SweepDeadLetterQueue")["count"] == 2)  # what failed again is a new letter
    again = seen(admin, "SweepDeadLetterQueue")["letters"]
    assert {each["target"] for each in again} == {"NoFunction", "SettleFunction"}
    assert found[2]["letterId"] not in {each["letterId"] for each in again}


def test_every_redrive_is_written_down_and_one_of_nothing_is_none(
    account: Account, admin: Caller, letters: DeadLetterQueues
) -> None:
    letters.put("MailFeedbackDeadLetterQueue", "{}")
    assert redrive(admin, "MailFeedbackDeadLetterQueue") == (1, 0)
    assert redrive(admin, "FeedDeadLetterQueue") == (0, 0)
    rows = account.world.owner.execute(
        "SELECT kind, subject, changed, before, after FROM admin_changes WHERE actor_id = %s", (admin.user_id,)
    ).fetchall()
    assert rows == [
        {
            "kind": "dead_letter_queue.redriven",
            "subject": "MailFeedbackDeadLetterQueue",
            "changed": ["letters"],
            "before": {"letters": 1},
            "after": {},
        }
    ]


@pytest.mark.parametrize("name", ["NotifyQueue", "nothing", "..", "%00"])
def test_there_is_nothing_else_to_redrive(admin: Caller, name: str) -> None:
    assert admin.send("POST", f"{PATH}/{name}/redrive").status_code in (404, 400)
