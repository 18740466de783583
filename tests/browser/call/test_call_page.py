"""Two people see and hear each other on the session's page."""

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, say
from support.browser.meeting import Meeting, messages, met
from support.browser.window import Camera, Windows

MOVES = """video => new Promise((resolve) => {
  const from = video.currentTime;
  const moves = () => video.videoWidth > 0 && video.currentTime > from;
  const look = () => moves() ? resolve(video.videoWidth) : setTimeout(look, 100);
  look();
})"""


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return replace(console_settings(), evidence="witnessed")


def joins(page: Page, button: str = "Start video") -> None:
    """Go through the preview into the call."""
    page.get_by_role("button", name=button).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Your picture")).to_be_visible()
    dialog.get_by_role("button", name="Join", exact=True).click()
    expect(page.get_by_role("button", name="Leave call")).to_be_visible()


def sees(page: Page, other: str) -> None:
    """Wait until the other's picture moves in somebody's window."""
    picture = page.get_by_label(f"Picture of {other}")
    expect(picture).to_be_visible()
    assert picture.evaluate(MOVES) > 0


def in_call(account: Account, windows: Windows, others: Windows, *, phone: bool = False) -> Meeting:
    """Both in the call of a session."""
    meeting = met(account, windows, phone=phone, others=others)
    joins(meeting.customer)
    expect(meeting.customer.get_by_text("Waiting for Mia Moreno …")).to_be_visible()
    joins(meeting.mechanic, "Join the call")
    sees(meeting.mechanic, "Cora Castillo")
    sees(meeting.customer, "Mia Moreno")
    return meeting


@pytest.mark.slow
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
    customer.get_by_role("button", name="Other camera").click()
    sees(mechanic, "Cora Castillo")
    customer.get_by_role("button", name="Camera off").click()
    expect(mechanic.get_by_text("Cora Castillo is here, without a picture.")).to_be_visible()
    customer.get_by_role("button", name="Camera on").click()
    sees(mechanic, "Cora Castillo")
    mechanic.get_by_role("button", name="End session").click()
    mechanic.get_by_role("button", name="End it now").click()
    for page in (customer, mechanic):
        at_stage(page, "over")
        expect(page.get_by_role("region", name="Video call")).to_be_hidden()
    for each in (
        windows,
        others,
    ):  # what a page says of the call once the other has ended it; a picture before its scan
        each.troubles.seen = [
            trouble for trouble in each.troubles.seen if "410" not in trouble and "409" not in trouble
        ]
