"""What the preview says where camera or microphone cannot be used, and how one joins nevertheless."""

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.calls import without_devices
from support.browser.console import console_settings, signed_in
from support.browser.meeting import MECHANIC, accepted, asked
from support.browser.window import Camera, Windows


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return replace(console_settings(), evidence="witnessed")


@pytest.fixture
def page(account: Account, windows: Windows) -> Page:
    """The page of a customer with devices, whose request was accepted."""
    mechanic = signed_in(account, windows.open(), MECHANIC)
    page = windows.open(devices=True)
    asked(account, page)
    accepted(mechanic)
    return page


def previews(page: Page) -> None:
    """Open the preview."""
    page.get_by_role("button", name="Start video").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_a_refused_page_says_where_to_allow_it(page: Page, camera: Camera) -> None:
    page.context.clear_permissions()
    previews(page)
    expect(page.get_by_text("This page may not use your camera. Press the sign beside the address")).to_be_visible()
    expect(page.get_by_text("This page may not use your microphone.")).to_be_visible()
    camera.take(page, "refused")
    page.context.grant_permissions(["camera", "microphone"])
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_label("Your picture")).to_be_visible()
    camera.take(page, "allowed")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Start video")).to_be_visible()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("NotFoundError", "No camera was found. Plug one in and try again, or join without it."),
        ("NotReadableError", "Another program is using your camera. Close that program, then try again."),
    ],
    ids=["none", "busy"],
)
def test_without_a_camera_one_joins_with_sound(page: Page, error: str, words: str) -> None:
    without_devices(page, error, ["video"])
    previews(page)
    expect(page.get_by_text(words)).to_be_visible()
    page.get_by_role("button", name="Join with sound only").click()
    expect(page.get_by_text("Waiting for Mia Moreno …")).to_be_visible()
    expect(page.get_by_role("button", name="Mute", exact=True)).to_be_visible()


def test_with_neither_one_may_watch_and_listen(page: Page) -> None:
    without_devices(page, "NotFoundError", ["video", "audio"])
    previews(page)
    page.get_by_role("button", name="Join to watch and listen").click()
    expect(page.get_by_text("Waiting for Mia Moreno …")).to_be_visible()
    expect(page.get_by_role("button", name="Use microphone")).to_be_visible()
