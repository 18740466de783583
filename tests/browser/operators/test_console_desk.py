"""The operators' desk: sessions found by people and payments, their money, and a hand for who waits."""

import pytest
from playwright.sync_api import Page, expect

from autodoctor.ids import new_id
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, signed_in
from support.browser.window import Camera, Windows


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def overflow(page: Page) -> int:
    """How much wider than its window the page is, in px."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


@pytest.mark.parametrize("window", [{}, {"phone": True, "dark": True}], ids=["laptop", "phone"])
def test_a_session_is_found_by_its_customer_and_shows_its_money(
    account: Account, windows: Windows, camera: Camera, window: dict[str, bool]
) -> None:
    created = account.world.queued(
        customer := new_id(), name="Nora New", email="nora@example.com", phone="+49 30 12345678"
    )
    page = signed_in(account, windows.open(**window), "Ada Adler")
    page.get_by_role("link", name="Sessions").click()
    text = page.get_by_role("textbox", name="Find")
    text.fill("030 1234 5678")
    text.press("Enter")
    expect(page.get_by_role("row", name="Nora New").first).to_be_visible()
    camera.take(page, "found by phone")
    assert overflow(page) == 0
    text.fill("nobody at all")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("No session is found by this.")).to_be_visible()
    text.fill("x")
    page.get_by_role("button", name="Find").click()
    expect(text).to_have_accessible_description("This must have a word of at least 2 letters.")
    windows.troubles.expect("422")
    text.fill(str(created.session_id))
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("region", name="Money")).to_contain_text("Free")
    page.get_by_role("button", name="Show phone and e-mail").click()
    expect(page.get_by_role("link", name="+49 30 12345678")).to_be_visible()
    expect(page.get_by_role("region", name="What operators did")).to_contain_text("Saw phone and e-mail")
    camera.take(page, "one session")
    assert overflow(page) == 0
    account.world.end(customer, created.session_id)
