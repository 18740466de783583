"""The whole stack on an AWS that we did not write: MiniStack deploys it and enforces our roles; a consultation runs.

`tests/support/emulator/adapted.py` names what that emulator lacks. What it found: Fn::Join in Rules, which
CloudFormation refuses and no linter knows.
"""

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError

from autodoctor.ids import new_id
from autodoctor.operations.smoke import smoke
from localcloud.commands.samples import INTAKE
from support.database.tls_postgres import PROGRAMS
from support.emulator.consumers import HEARD, UNSEEN, WRITTEN, consumers, scanned
from support.emulator.stack import SLOW_SECONDS, Stack, User, running_stack
from support.events.feed_client import feeds
from support.template.deployed_template import expanded_template
from support.wait import wait_until

pytestmark = pytest.mark.emulator

TALK_SECONDS = 1.2
SCHEDULED = (
    *("CheckoutFunction", "ExpireOrphansFunction", "MonitorFunction", "PayoutsFunction", "RelayFunction"),
    *("ScansFunction", "SettleFunction", "VerifyFunction"),
)
BOUNCED = {
    "source": "aws.ses",
    "detail-type": "Email Bounced",
    "detail": {
        "eventType": "Bounce",
        "mail": {"messageId": "m-1", "destination": ["cora@workshop.example"]},
        "bounce": {
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "feedbackId": "f-1",
            "timestamp": "2026-11-30T00:00:00.000Z",
            "bouncedRecipients": [{"emailAddress": "cora@workshop.example"}],
        },
    },
}


@pytest.fixture(scope="module")
def stack(built_template: Path) -> Iterator[Stack]:
    if not PROGRAMS.exists():
        pytest.skip("needs a PostgreSQL with TLS: apt-get install postgresql-15")
    with running_stack(built_template.parent) as stack:
        yield stack


@pytest.fixture(scope="module")
def admin(stack: Stack) -> User:
    return stack.user("ada", "admins")


@pytest.fixture(scope="module")
def ended(stack: Stack, admin: User) -> dict[str, Any]:
    """Walk one consultation with words, watched by both, and return the session as its customer sees it then."""
    with psycopg.connect(stack.owner_url) as owner:
        owner.execute(
            "INSERT INTO settings (key, value) VALUES ('min_billable_seconds', '1'), ('evidence_grace_seconds', '0'),"
            " ('payout_hold_hours', '0')"
        )
    mia, customer = stack.signed_up("mia"), stack.user("cora", "customers")
    person = {"userId": mia.sub, "name": "Mia Moreno", "email": "mia@workshop.example"}
    assert admin.call("POST", "/api/admin/mechanics", person)["name"] == "Mia Moreno"
    mechanic = stack.signed_in(mia)  # in the group by then, or the routes of mechanics would refuse her
    with feeds(mechanic, customer) as (of_mechanic, of_customer):
        made = customer.call("POST", "/api/intake/start", {**INTAKE, "email": "cora@workshop.example"})
        session = f"/api/sessions/{made['sessionId']}"
        customer.call("POST", "/api/waiver/submit", {"sessionId": made["sessionId"], "signedName": INTAKE["name"]})
        assert of_mechanic.wait_for_type("new_assignment", SLOW_SECONDS).payload["sessionId"] == made["sessionId"]
        (waiting,) = mechanic.call("GET", "/api/mechanic/queue")["assignments"]
        mechanic.call("POST", f"/api/mechanic/assignments/{waiting['assignmentId']}/accept")
        for feed in (of_customer, of_mechanic):
            feed.send({"action": "room", "sessionId": made["sessionId"], "after": 0})
            feed.wait_for_type("room", SLOW_SECONDS)
        for caller, words in ((customer, "It squeals when I brake."), (mechanic, "Since when?")):
            caller.call("POST", f"{session}/messages", {"clientId": str(new_id()), "text": words})
        heard = [each["text"] for each in mechanic.call("GET", f"{session}/messages")["messages"]]
        assert {"It squeals when I brake.", "Since when?"} <= set(heard)
        time.sleep(TALK_SECONDS)
        mechanic.call("POST", f"{session}/end")
        of_customer.wait_for(lambda frame: "completed" in frame.text, SLOW_SECONDS)
        for words in HEARD.values():
            of_customer.wait_for_words(words, SLOW_SECONDS)
    return customer.call("GET", session)


def test_a_consultation_ends_as_here(ended: dict[str, Any]) -> None:
    assert (ended["status"], ended["reason"]) == ("completed", "billable")
    assert ended["timeline"]


def test_every_consumer_of_a_queue_did_its_part(stack: Stack, ended: dict[str, Any]) -> None:
    assert ended
    assert consumers(expanded_template()["Resources"]) == WRITTEN.keys() | HEARD.keys() | UNSEEN.keys()
    told = {"name": "brake.png", "contentType": "image/png", "bytes": 1, "sha256": "0" * 64}
    upload = stack.user("carl", "customers").call("POST", "/api/intakes/attachments", told)["upload"]
    # Nobody may put events of AWS's own services, so these come as their rules would leave them in the queues.
    news = scanned(stack.deployed.resources["FilesBucket"], upload["fields"]["key"])
    for queue, events in {"MailFeedbackQueue": [BOUNCED], "ScansQueue": news}.items():
        for event in events:
            stack.emulator.client("sqs").send_message(
                QueueUrl=stack.deployed.resources[queue], MessageBody=json.dumps(event)
            )
    with psycopg.connect(stack.owner_url, autocommit=True) as owner:

        def some(sql: str) -> bool:
            found = owner.execute(sql).fetchone()
            assert found
            return int(found[0]) > 0

        for sql in WRITTEN.values():
            wait_until(partial(some, sql))


def test_what_schedules_run_runs(stack: Stack, ended: dict[str, Any]) -> None:
    assert ended
    for function in SCHEDULED:
        stack.run(function)


def test_a_smoke_test_passes(stack: Stack, admin: User) -> None:
    found = {each.check: each for each in smoke(stack.deployment(), admin.token)}
    assert {name for name, each in found.items() if each.state != "ok"} == {"dead letters"}
    assert "ListDeadLetterSourceQueues is not valid" in found["dead letters"].found  # which MiniStack does not know


def test_a_role_is_refused_what_it_does_not_need(stack: Stack) -> None:
    reader = stack.as_role("DatabaseRole", "secretsmanager")
    assert reader.get_secret_value(SecretId="app")["SecretString"]
    for secret in ("owner", "stripe"):
        with pytest.raises(ClientError, match="AccessDenied"):
            reader.get_secret_value(SecretId=secret)
    event = {"EventBusName": "autodoctor", "Source": "autodoctor", "DetailType": "x", "Detail": "{}"}
    with pytest.raises(ClientError, match="AccessDenied"):
        stack.as_role("DatabaseRole", "events").put_events(Entries=[event])
    assert stack.as_role("IntakeRole", "events").put_events(Entries=[event])["FailedEntryCount"] == 0


def test_no_function_was_denied_anything(stack: Stack, ended: dict[str, Any]) -> None:
    assert ended
    logs = {function: stack.log(function) for function in stack.deployed.functions}
    assert any(logs.values())
    assert [function for function, text in logs.items() if "AccessDenied" in text] == []
