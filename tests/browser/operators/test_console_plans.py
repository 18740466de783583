"""An operator changes what a talk can be extended by: each mistake is said at its field, and what is saved is sold."""

import pytest
from playwright.sync_api import Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, signed_in
from support.browser.window import Camera, Windows


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def fill_in(page: Page, number: int, **fields: str) -> None:
    """Type into the fields of a pack, counted from one."""
    labels = {"name": "Name", "minutes": "Minutes", "price": "Price in dollars", "credits": "Credits"}
    pack = page.get_by_role("group", name=f"Pack {number}")
    for name, text in fields.items():
        pack.get_by_label(labels[name]).fill(text)


def test_packs_of_minutes_are_edited(account: Account, windows: Windows, camera: Camera) -> None:
    page = signed_in(account, windows.open(), "Ada Adler")
    page.get_by_role("link", name="Plans").click()
    expect(page.get_by_role("cell", name="15 minutes for $5.99 or 1 credit")).to_be_visible()
    camera.take(page, "plans")
    page.get_by_role("link", name="Quick chat").click()
    page.get_by_role("button", name="Add a pack").click()
    pack = page.get_by_role("group", name="Pack 2")
    expect(pack.get_by_label("Name")).to_be_focused()
    fill_in(page, 2, name="m15", minutes="20", price="0.10")
    page.get_by_role("button", name="Save").click()
    expect(pack.get_by_text("This must be another name than that of the packs above.")).to_be_visible()
    expect(pack.get_by_text("This must be an amount of at least $0.50, such as 5.99.")).to_be_visible()
    expect(pack.get_by_label("Name")).to_be_focused()
    camera.take(page, "mistakes")
    fill_in(page, 2, name="m160", minutes="160", price="19,90", credits="2")
    page.get_by_role("button", name="Save").click()  # what only the API knows is said at the field too
    expect(pack.get_by_text("This must be at most the 150 that maxMinutes leaves.")).to_be_visible()
    windows.troubles.expect("422")
    fill_in(page, 2, name="m20", minutes="20")
    page.get_by_role("button", name="Remove pack 1").click()
    expect(page.get_by_role("group", name="Pack 1").get_by_label("Name")).to_have_value("m20")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    camera.take(page, "saved")
    sold = account.world.one("SELECT minute_packs FROM plans WHERE code = 'quick'")
    assert sold == [{"code": "m20", "minutes": 20, "price_cents": 1990, "credits": 2}]


def test_a_phone_shows_all_of_it(account: Account, windows: Windows, camera: Camera) -> None:
    page = signed_in(account, windows.open(phone=True, dark=True), "Ada Adler")
    page.goto(f"{account.cloud.api_url}/console/admin.html#plan?code=standard")
    expect(page.get_by_role("group", name="Pack 2").get_by_label("Price in dollars")).to_have_value("18.99")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    camera.take(page, "on a phone")
    page.goto(f"{account.cloud.api_url}/console/admin.html#plan?code=none")
    expect(page.get_by_text("There is no such plan.")).to_be_visible()
