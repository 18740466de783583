"""A video session in which only one side has a camera: the other is heard, and it is a talk all the same."""

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.calls import joins, overlook_the_end, sees, without_devices
from support.browser.console import at_stage, console_settings
from support.browser.meeting import met
from support.browser.window import Camera, Windows
from support.wait import wait_until


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return replace(console_settings(), evidence="witnessed")


def joins_with_sound(page: Page) -> None:
    """Join where no camera is found."""
    without_devices(page, "NotFoundError", ["video"])
    page.get_by_role("button", name="Start video").click()
    page.get_by_role("button", name="Join with sound only").click()


def test_one_side_has_a_camera_and_both_have_talked(
    account: Account, windows: Windows, others: Windows, camera: Camera
) -> None:
    meeting = met(account, windows, others=others)
    customer, mechanic = meeting.customer, meeting.mechanic
    joins_with_sound(mechanic)
    joins(customer, "Join the call")
    sees(mechanic, "Cora Castillo")
    expect(customer.get_by_text("Mia Moreno is here, without a picture.")).to_be_visible()
    camera.take(customer, "without a picture")
    path = f"/api/sessions/{meeting.session_id}"
    wait_until(lambda: account.admin().get(path)["evidence"]["togetherSeconds"] >= 1)
    mechanic.get_by_role("button", name="End session").click()
    mechanic.get_by_role("button", name="End it now").click()
    for page in (customer, mechanic):
        at_stage(page, "over")
    ended = account.admin().get(path)
    assert (ended["status"], ended["reason"]) == ("completed", "billable")
    heard = {(each["role"], each["source"]) for each in ended["evidence"]["intervals"]}
    assert heard >= {(role, "medium") for role in ("customer", "mechanic")}
    overlook_the_end(windows, others)
