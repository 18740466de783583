"""Receipts in the console: the list, and one that can be printed and kept."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.design.test_console_looks import overflow
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, described, signed_in
from support.browser.documents import kept, print_it
from support.browser.window import Camera, Windows


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def credits_bought(account: Account, page: Page) -> None:
    """Buy a pack, and come back from Stripe's page."""
    page.get_by_role("link", name="Credits").click()
    page.get_by_role("button", name="Buy").first.click()
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_role("heading", name="Your credits")).to_be_visible()
    account.cloud.stripe.quiet()


@pytest.mark.parametrize("window", [{"phone": True, "dark": True}, {}], ids=["phone", "laptop"])
def test_a_payment_has_a_receipt_to_print_and_to_keep(
    account: Account, windows: Windows, camera: Camera, tmp_path: Path, window: dict[str, bool]
) -> None:
    page = signed_in(account, windows.open(**window), "Cora Castillo" if window else "Clara Costa")
    credits_bought(account, page)
    page.get_by_role("link", name="Receipts").click()
    number = page.locator("tbody a")
    expect(number).to_have_count(1)
    camera.take(page, "list")
    assert overflow(page) == 0
    number.click()
    expect(page.get_by_role("heading", name="Receipt 20")).to_be_visible()
    expect(page.get_by_role("row", name="Total")).to_contain_text("$")
    camera.take(page, "receipt")
    assert overflow(page) == 0
    assert kept(page, "PDF", tmp_path).startswith(b"%PDF-")
    print_it(page, camera)


def test_the_link_of_a_mail_leads_to_it(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Cyrus Chen")
    credits_bought(account, page)
    receipt_id = account.world.one("SELECT id FROM receipts ORDER BY id DESC LIMIT 1")
    page.goto(f"{account.cloud.api_url}/console/receipts/{receipt_id}")
    expect(page.get_by_role("heading", name="Receipt 20")).to_be_visible()


def test_a_session_leads_to_its_own_receipts(account: Account, windows: Windows, camera: Camera) -> None:
    account.cloud.stripe.set_retries(first=0.1, longest=0.5)
    page = signed_in(account, windows.open(phone=True), "Somebody new")
    credits_bought(account, page)
    page.get_by_role("link", name="Get help").click()
    described(page, "It hums.")
    page.get_by_label("Quick").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Pay", exact=True).click()
    at_stage(page, "searching")
    page.get_by_role("button", name="Cancel this request").click()
    page.get_by_role("button", name="Cancel the request").click()
    at_stage(page, "over")
    page.get_by_role("link", name="Receipt", exact=True).click()
    for _ in range(2):
        expect(page.get_by_role("heading", name="Receipts of this session")).to_be_visible()
        expect(page.locator("tbody a")).to_have_count(1)
        expect(page.locator("tbody")).to_contain_text("$9.99")
        camera.take(page, "of the session")
        page.get_by_role("link", name="Sessions").click()
        expect(page.get_by_role("heading", name="Your sessions")).to_be_visible()
        camera.take(page, "sessions")
        page.get_by_role("link", name="Receipt: 2015 Toyota Corolla").click()
    page.get_by_role("link", name="All receipts").click()
    expect(page.get_by_role("heading", name="Your receipts")).to_be_visible()
    expect(page.locator("tbody a")).to_have_count(2)
