"""A call that a browser breaks off: reloaded, taken over by another device, killed."""

import time
from dataclasses import replace

import httpx
import pytest
from playwright.sync_api import expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.calls import in_call, joins, second_device, sees
from support.browser.console import console_settings
from support.browser.meeting import Meeting
from support.browser.mishaps import token_expires
from support.browser.window import Camera, Windows
from support.wait import wait_until

DROPPED_WITHIN_SECONDS = 15


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return replace(console_settings(), evidence="witnessed")


def stretches(account: Account, meeting: Meeting, role: str) -> list[bool]:
    """A party's stretches in the medium, the newest last: whether each lasts."""
    intervals = account.admin().get(f"/api/sessions/{meeting.session_id}")["evidence"]["intervals"]
    return [each["until"] is None for each in intervals if (each["role"], each["source"]) == (role, "medium")]


def until_of_all(account: Account, meeting: Meeting) -> list[float | None]:
    """When each attendee of the meeting was there last, as the media server says; None: they are there."""
    meetings = httpx.get(f"{account.cloud.api_url}/_dev/meetings.json").json()["meetings"]
    (found,) = [each for each in meetings if each["externalMeetingId"] == str(meeting.session_id)]
    last = [each["stretches"][-1] for each in found["attendees"]]
    return [each[1] if len(each) > 1 else None for each in last]


def test_a_page_that_is_reloaded_joins_again(account: Account, windows: Windows, others: Windows) -> None:
    meeting = in_call(account, windows, others)
    meeting.customer.reload()
    expect(meeting.mechanic.get_by_text("Waiting for Cora Castillo …")).to_be_visible()
    expect(meeting.customer.get_by_text("Mia Moreno is in a video call and waits for you.")).to_be_visible()
    joins(meeting.customer, "Join the call")
    for page, other in ((meeting.mechanic, "Cora Castillo"), (meeting.customer, "Mia Moreno")):
        sees(page, other)
    wait_until(lambda: stretches(account, meeting, "customer") == [False, True])
    assert stretches(account, meeting, "mechanic") == [True]


def test_a_token_that_expires_in_a_call_is_renewed_without_a_break(
    account: Account, windows: Windows, others: Windows
) -> None:
    meeting = in_call(account, windows, others)
    for page in (meeting.customer, meeting.mechanic):
        token_expires(account, page)
    sees(meeting.mechanic, "Cora Castillo")
    sees(meeting.customer, "Mia Moreno")
    assert [stretches(account, meeting, role) for role in ("customer", "mechanic")] == [[True], [True]]


def test_a_second_device_of_one_person_takes_over(
    account: Account, windows: Windows, others: Windows, camera: Camera
) -> None:
    meeting = in_call(account, windows, others)
    phone = second_device(windows, meeting.customer)
    joins(phone, "Join the call")
    sees(phone, "Mia Moreno")
    expect(meeting.customer.get_by_text("The call goes on at your other device.")).to_be_visible()
    camera.take(meeting.customer, "taken over")
    sees(meeting.mechanic, "Cora Castillo")
    wait_until(lambda: stretches(account, meeting, "customer") == [False, True])
    meeting.customer.get_by_role("button", name="Take it back").click()
    meeting.customer.get_by_role("dialog").get_by_role("button", name="Join", exact=True).click()
    sees(meeting.customer, "Mia Moreno")
    expect(phone.get_by_text("The call goes on at your other device.")).to_be_visible()
    wait_until(lambda: stretches(account, meeting, "customer") == [False, False, True])


def test_who_is_killed_is_dropped_within_fifteen_seconds(account: Account, windows: Windows, others: Windows) -> None:
    meeting = in_call(account, windows, others)
    killed_at = time.time()
    others.kill()
    expect(meeting.customer.get_by_text("Waiting for Mia Moreno …")).to_be_visible()
    wait_until(lambda: stretches(account, meeting, "mechanic") == [False])
    gone = [until for until in until_of_all(account, meeting) if until is not None]
    assert [0 < each - killed_at < DROPPED_WITHIN_SECONDS for each in gone] == [True]
