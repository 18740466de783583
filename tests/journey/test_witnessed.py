"""Two people talk under `witnessed`, as it is by default: real sockets, words over HTTP, and the evidence of it."""

from contextlib import ExitStack
from typing import Any, cast
from uuid import UUID

import pytest

from support.account import Account, Caller
from support.account_settings import AccountSettings
from support.events.coming import come, connected
from support.wait import wait_until


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return AccountSettings(evidence="witnessed")


def accepted(account: Account, customer: Caller, mechanic: Caller) -> str:
    """The path of a session that the mechanic has accepted."""
    intake = account.queued(customer)
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    return f"/api/sessions/{intake['sessionId']}"


def test_a_talk_that_witnesses_saw_is_completed(account: Account, sockets: ExitStack) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic)
    mine = come(sockets, customer, session, "It squeals.")
    come(sockets, mechanic, session, "Since when?")
    account.world.let_time_pass(61)
    before: dict[str, Any] = customer.get(session)["evidence"]
    assert (before["class"], before["togetherSeconds"] >= 61) == ("witnessed", True)
    mine.vanish()
    id_ = UUID(session.rpartition("/")[2])
    wait_until(lambda: account.world.one("SELECT NOT customer_present FROM sessions WHERE id = %s", id_))
    ended = mechanic.post(f"{session}/end")
    assert (ended["status"], ended["reason"], ended["endedBy"]) == ("completed", "billable", "mechanic")
    shown = customer.get(session)
    assert shown["endedBy"] == "mechanic"
    assert [(each["role"], each["source"]) for each in shown["evidence"]["intervals"]] == [
        ("customer", "room"),
        ("mechanic", "room"),
    ]
    assert shown["evidence"]["togetherSeconds"] == shown["durationSeconds"] >= 61
    events = [each["event"] for each in shown["timeline"]]
    assert events.index("customer.left") < events.index("session.completed")


def test_joins_alone_are_no_talk(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic)
    for caller in (customer, mechanic):
        caller.post(f"{session}/join")
    account.world.let_time_pass(68)
    ended = customer.post(f"{session}/end")
    assert (ended["status"], ended["reason"], ended["durationSeconds"]) == ("cancelled", "no_talk", 0)
    refused = account.admin().post(f"/api/admin{session[4:]}/decide", {"outcome": "pay", "note": "Please."}, 409)
    assert refused["type"] == "/problems/settlement-not-held"


def test_a_join_names_a_connection_of_ones_own(account: Account, sockets: ExitStack) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic)
    _, theirs = connected(sockets, mechanic)
    for named in (theirs, "L0SM9cOFvHcCIhw="):
        refused = customer.post(f"{session}/join", {"connectionId": named}, 422)
        assert [each["pointer"] for each in refused["errors"]] == ["/connectionId"]


def test_the_schedule_asks_about_every_socket_in_a_room(account: Account, sockets: ExitStack) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = accepted(account, customer, mechanic)
    for caller in (customer, mechanic):
        come(sockets, caller, session, "Hello.")
    swept = _swept(account)
    assert (swept["silentSockets"], swept["goneSockets"]) == (0, 0)
    assert account.world.one("SELECT count(*) FROM realtime_connections WHERE room IS NOT NULL AND seen_at IS NOT NULL")
    account.world.owner.execute(
        "UPDATE realtime_connections SET connection_id = 'L0SM9cOFvHcCIhw=' WHERE user_id = %s", [customer.user_id]
    )
    swept = _swept(account)
    assert (swept["silentSockets"], swept["goneSockets"]) == (0, 1)
    assert [each["present"] for each in mechanic.get(session)["participants"]] == [False, True]


def _swept(account: Account) -> dict[str, Any]:
    return cast("dict[str, Any]", account.cloud.invoke("ExpireOrphansFunction", {}).payload)
