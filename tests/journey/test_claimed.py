"""Under `claimed` the word of both is enough, for operators who send no evidence; a witness weighs more even so."""

from contextlib import ExitStack
from typing import Any
from uuid import UUID

from support.account import Account, Caller
from support.events.coming import connected
from support.wait import wait_until


def accepted(account: Account, customer: Caller, mechanic: Caller) -> str:
    """The path of a session that the mechanic has accepted."""
    intake = account.queued(customer)
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    return f"/api/sessions/{intake['sessionId']}"


def seen(caller: Caller, session: str) -> list[tuple[str, str, bool]]:
    """The evidence that there is: who was there, who says so, and whether it lasts; oldest first."""
    intervals = caller.get(session)["evidence"]["intervals"]
    return [(each["role"], each["source"], each["until"] is None) for each in intervals]


def present(account: Account, session: str) -> tuple[bool, bool]:
    """Whether the customer is there, and whether the mechanic is."""
    row = account.world.owner.execute(
        "SELECT customer_present, mechanic_present FROM sessions WHERE id = %s", [UUID(session.rpartition("/")[2])]
    ).fetchone()
    assert row is not None
    return row["customer_present"], row["mechanic_present"]


def outcome(ended: dict[str, Any]) -> tuple[str, str, bool]:
    """How it ended, and whether for less than half a minute."""
    return ended["status"], ended["reason"], (ended["durationSeconds"] or 0) < 30


def test_two_words_are_enough_and_the_session_says_what_they_rest_on(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic)
    customer.post(f"{session}/join")
    assert mechanic.post(f"{session}/join")["sessionStatus"] == "live"
    account.world.let_time_pass(61)
    shown = customer.get(session)["evidence"]
    assert (shown["class"], shown["togetherSeconds"] >= 61) == ("claimed", True)
    assert seen(customer, session) == [("customer", "claim", True), ("mechanic", "claim", True)]
    assert outcome(customer.post(f"{session}/end")) == ("completed", "billable", False)
    assert seen(mechanic, session) == [("customer", "claim", False), ("mechanic", "claim", False)]


def test_any_source_is_presence_also_without_a_written_word(account: Account, sockets: ExitStack) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic)
    _, mine = connected(sockets, customer)
    customer.post(f"{session}/join", {"connectionId": mine})
    assert mechanic.post(f"{session}/join")["sessionStatus"] == "live"
    account.world.let_time_pass(61)
    assert outcome(mechanic.post(f"{session}/end")) == ("completed", "billable", False)


def test_a_later_claim_neither_weakens_nor_replaces_what_was_witnessed(account: Account, sockets: ExitStack) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic)
    mechanic.post(f"{session}/join")
    client, mine = connected(sockets, customer)
    customer.post(f"{session}/join", {"connectionId": mine})
    customer.post(f"{session}/join")
    assert seen(customer, session)[1:] == [("customer", "room", True)]
    client.vanish()
    wait_until(lambda: present(account, session) == (False, True))  # no claim holds who is gone
    account.world.let_time_pass(120)
    assert outcome(mechanic.post(f"{session}/end")) == ("cancelled", "too_short", True)


def test_a_socket_takes_the_place_of_a_claim(account: Account, sockets: ExitStack) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic)
    customer.post(f"{session}/join")
    client, mine = connected(sockets, customer)
    customer.post(f"{session}/join", {"connectionId": mine})
    assert seen(customer, session) == [("customer", "claim", False), ("customer", "room", True)]
    client.vanish()
    wait_until(lambda: present(account, session) == (False, False))


def test_a_leave_takes_back_the_one_it_names_and_a_bare_one_all_of_the_callers(
    account: Account, sockets: ExitStack
) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic)
    mechanic.post(f"{session}/join")
    devices = [connected(sockets, customer)[1] for _ in range(3)]
    for named in devices:
        customer.post(f"{session}/join", {"connectionId": named})
    customer.post(f"{session}/leave", {"connectionId": devices[0]})
    lasting = [each for each in seen(customer, session) if each[2]]
    assert lasting == [("mechanic", "claim", True), ("customer", "room", True), ("customer", "room", True)]
    assert present(account, session) == (True, True)
    customer.post(f"{session}/leave")
    assert [each for each in seen(customer, session) if each[2]] == [("mechanic", "claim", True)]
    assert present(account, session) == (False, True)


def test_a_join_names_a_connection_of_the_callers_that_is_open(account: Account, sockets: ExitStack) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic)
    _, theirs = connected(sockets, mechanic)
    closed, gone = connected(sockets, customer)
    closed.vanish()
    wait_until(
        lambda: not account.world.one("SELECT count(*) FROM realtime_connections WHERE connection_id = %s", gone)
    )
    for named in (theirs, gone, "L0SM9cOFvHcCIhw="):
        refused = customer.post(f"{session}/join", {"connectionId": named}, 422)
        assert [each["pointer"] for each in refused["errors"]] == ["/connectionId"]
    assert (seen(customer, session), present(account, session)) == ([], (False, False))


def test_what_a_party_says_counts_only_against_itself(account: Account) -> None:
    """Neither brings the other, nor takes them away; and who has left is not there because they come again."""
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic)
    for _ in range(2):
        assert mechanic.post(f"{session}/join")["sessionStatus"] == "waiting"
        mechanic.post(f"{session}/leave")
    mechanic.post(f"{session}/join")
    assert present(account, session) == (False, True)
    assert customer.post(f"{session}/join")["sessionStatus"] == "live"
    mechanic.post(f"{session}/leave")
    assert present(account, session) == (True, False)
    account.world.let_time_pass(120)
    assert mechanic.post(f"{session}/join")["sessionStatus"] == "live"
    assert customer.get(session)["evidence"]["togetherSeconds"] < 30  # what they were away stays away
    assert outcome(mechanic.post(f"{session}/end")) == ("cancelled", "too_short", True)


def test_one_word_alone_is_no_talk_however_long(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic)
    mechanic.post(f"{session}/join")
    account.world.let_time_pass(601)
    ended = mechanic.post(f"{session}/end")
    assert (ended["status"], ended["reason"], ended["startedAt"]) == ("cancelled", "no_show", None)
