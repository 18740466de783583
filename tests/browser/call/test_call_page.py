"""Two people see and hear each other on the session's page."""

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.calls import end, in_call, overlook_the_end, uses_the_camera
from support.browser.console import console_settings, say
from support.browser.meeting import messages
from support.browser.window import Camera, Windows


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return replace(console_settings(), evidence="witnessed")


def test_two_browsers_hold_a_call_with_the_talk_beside_it(
    account: Account, windows: Windows, others: Windows, camera: Camera
) -> None:
    meeting = in_call(account, windows, others, phone=True)
    customer, mechanic = meeting.customer, meeting.mechanic
    say(customer, "Do you see the engine?")
    expect(messages(mechanic).get_by_text("Do you see the engine?")).to_be_visible()
    for page, what in ((customer, "phone"), (mechanic, "laptop")):
        camera.take(page, what)
    mechanic.get_by_role("button", name="Take a still").click()
    expect(mechanic.get_by_role("list", name="Pictures to be sent").get_by_role("img")).to_be_visible()
    mechanic.get_by_role("button", name="Send").click()
    expect(customer.get_by_role("button", name="Picture of Mia Moreno: Still")).to_be_visible()
    customer.get_by_role("button", name="Mute", exact=True).click()
    expect(customer.get_by_role("button", name="Unmute")).to_be_visible()
    uses_the_camera(meeting)
    end(meeting)
    overlook_the_end(windows, others)
