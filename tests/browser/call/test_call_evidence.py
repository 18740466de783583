"""A call without a written word, whose medium is silent: the pages are witnesses, and without them a person decides."""

from dataclasses import replace

import pytest

from autodoctor.payments.settlement import settle
from localcloud.media.faults import WAYS, WayFaults
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.calls import call, in_call, overlook_the_end
from support.browser.console import at_stage, console_settings
from support.browser.meeting import Meeting, met
from support.browser.window import Windows
from support.wait import wait_until


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return replace(console_settings(), evidence="witnessed")


def silent_medium(account: Account) -> None:
    """No event of a meeting arrives any more, on neither way."""
    for way in WAYS:
        account.cloud.meeting_faults.change(way, WayFaults(lost=1.0))


def sources(account: Account, meeting: Meeting) -> set[str]:
    """Who saw the parties there, the room apart, which both entered."""
    evidence = account.admin().get(f"/api/sessions/{meeting.session_id}")["evidence"]
    return {each["source"] for each in evidence["intervals"]} - {"room"}


def over(meeting: Meeting) -> None:
    """The mechanic ends it."""
    meeting.mechanic.get_by_role("button", name="End session").click()
    meeting.mechanic.get_by_role("button", name="End it now").click()
    for page in (meeting.customer, meeting.mechanic):
        at_stage(page, "over")


def outcome(account: Account, meeting: Meeting) -> tuple[str, str]:
    """How the session ended."""
    row = account.world.owner.execute(
        "SELECT status, end_reason FROM sessions WHERE id = %s", [meeting.session_id]
    ).fetchone()
    assert row is not None
    return row["status"], row["end_reason"]


def test_pages_that_hear_each_other_are_enough(account: Account, windows: Windows, others: Windows) -> None:
    silent_medium(account)
    meeting = in_call(account, windows, others)
    wait_until(lambda: sources(account, meeting) == {"mutual"})
    wait_until(lambda: account.admin().get(f"/api/sessions/{meeting.session_id}")["evidence"]["togetherSeconds"] >= 2)
    over(meeting)
    assert outcome(account, meeting) == ("completed", "billable")
    overlook_the_end(windows, others)


def test_without_their_word_too_a_person_decides_before_anybody_is_paid(
    account: Account, windows: Windows, others: Windows
) -> None:
    silent_medium(account)
    meeting = met(account, windows, others=others)
    for page in (meeting.customer, meeting.mechanic):
        page.route("**/call/report", lambda route: route.abort())
    with meeting.customer.expect_request("**/call/report"), meeting.mechanic.expect_request("**/call/report"):
        call(meeting)
    over(meeting)
    assert sources(account, meeting) == set()
    assert outcome(account, meeting) == ("cancelled", "no_talk")
    for each in (windows, others):
        each.troubles.expect("call/report")
    assert not settle(account.world.app, meeting.session_id)
    held = account.world.one(
        "SELECT facts ->> 'because' FROM settlement_holds WHERE session_id = %s", meeting.session_id
    )
    assert held == "silent"
    assert account.world.one("SELECT count(*) FROM payouts WHERE session_id = %s", meeting.session_id) == 0
