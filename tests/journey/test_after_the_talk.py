"""Over real HTTP: notes that outlive the end, another mechanic in place of a silent one, an operator's explanation."""

import pytest

from autodoctor.ids import new_id
from support.account import Account, Caller, document
from support.events.sent_mails import eventually, mails_to


@pytest.fixture
def customer(account: Account) -> Caller:
    return account.customer()


@pytest.fixture
def mechanic(account: Account) -> Caller:
    return account.mechanic()


def accepted(account: Account, customer: Caller, mechanic: Caller, **fields: object) -> str:
    """The path of a session that this mechanic has accepted."""
    intake = account.queued(customer, **fields)
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    return f"/api/sessions/{intake['sessionId']}"


def live(account: Account, customer: Caller, mechanic: Caller, **fields: object) -> str:
    session = accepted(account, customer, mechanic, **fields)
    for party in (customer, mechanic):
        party.post(f"{session}/join")
    return session


def shown(mechanic: Caller) -> list[str]:
    return [
        f"/api/sessions/{each['sessionId']}" for each in mechanic.get("/api/mechanic/queue", limit="100")["assignments"]
    ]


def mail_of(account: Account, address: str, kind: str) -> str:
    """The text of the one mail of this kind; earlier ones may have been superseded."""

    def found() -> list[str]:
        return [mail["text"] for mail in mails_to(account, address) if mail["kind"] == kind]

    (text,) = eventually(found, bool)
    return text


def test_notes_are_saved_while_they_are_typed_and_reach_a_customer_who_hung_up(
    account: Account, customer: Caller, mechanic: Caller
) -> None:
    address = f"{new_id()}@example.com"
    session = live(account, customer, mechanic, email=address)
    for version, text in enumerate(("Front", "Front pads"), start=1):
        document(mechanic.send("PUT", f"{session}/notes", {"text": text, "version": version}), 200)
    late = document(mechanic.send("PUT", f"{session}/notes", {"text": "Fro", "version": 1}), 409)
    assert (late["type"], late["version"]) == ("/problems/notes-changed", 2)
    customer.post(f"{session}/end")
    assert customer.get(session)["mechanicNotes"] is None
    body = {"text": "Front pads, and discs.", "version": 3, "confirmed": True}
    saved = document(mechanic.send("PUT", f"{session}/notes", body), 200)
    assert (saved["version"], saved["confirmedAt"] is None, saved["closesAt"] is None) == (3, False, False)
    assert customer.get(session)["mechanicNotes"] == "Front pads, and discs."
    assert mechanic.get(session)["notes"]["version"] == 3
    assert "Front pads, and discs." in mail_of(account, address, "notes_added")


def test_a_customer_asks_for_another_mechanic(account: Account, customer: Caller, mechanic: Caller) -> None:
    session = accepted(account, customer, mechanic)
    customer.post(f"{session}/join")
    early = customer.send("POST", f"{session}/replace")
    assert document(early, 409)["type"] == "/problems/reply-not-due"
    assert 0 < int(early.headers["Retry-After"]) <= 180
    account.world.let_time_pass(181)
    assert customer.post(f"{session}/replace")["sessionStatus"] == "pending"
    other = account.mechanic()
    assert session in shown(other)
    assert session not in shown(mechanic)
    events = [f"{each['actor']}: {each['event']}" for each in customer.get(session)["timeline"]]
    assert "customer: session.pending" in events[-3:]
    assert mechanic.send("GET", session).status_code == 404


def test_a_mechanic_who_writes_stays(account: Account, customer: Caller, mechanic: Caller) -> None:
    session = accepted(account, customer, mechanic)
    customer.post(f"{session}/join")
    account.world.let_time_pass(181)
    assert customer.get(session)["replyDueAt"] is not None
    mechanic.post(f"{session}/messages", {"clientId": str(new_id()), "text": "With you in a minute."}, 201)
    assert customer.get(session)["replyDueAt"] is None
    refused = document(customer.send("POST", f"{session}/replace"), 409)
    assert (refused["type"], refused["sessionStatus"]) == ("/problems/session-not-replaceable", "waiting")


def test_both_read_what_an_operator_says_of_the_end(account: Account, customer: Caller, mechanic: Caller) -> None:
    address = f"{new_id()}@example.com"
    session = live(account, customer, mechanic, email=address)
    customer.post(f"{session}/leave", {})
    account.admin().post(f"{session}/end", {"explanation": "The line was down."})
    assert {party.get(session)["explanation"] for party in (customer, mechanic)} == {"The line was down."}
    assert "The line was down." in mail_of(account, address, "session_cancelled")
