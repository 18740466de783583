"""Statements in the console: from the earnings to a month that can be printed and kept."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.design.test_console_looks import overflow
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, signed_in
from support.browser.documents import kept, print_it
from support.browser.window import Camera, Windows

EARNED = (
    "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind)"
    " SELECT 'gift:' || m.id, 'platform_revenue', 'mechanic:' || m.id || ':payable', 699, 'usd', 'earning'"
    "  FROM mechanics m ON CONFLICT DO NOTHING"
)
OWED = (
    "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind)"
    " SELECT 'debt:' || m.id, 'mechanic:' || m.id || ':receivable', 'platform_revenue', 210, 'usd', 'receivable'"
    "  FROM mechanics m"
)


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


@pytest.fixture
def page(account: Account, windows: Windows) -> Page:
    """Give the test the earnings of a mechanic, on a phone."""
    page = signed_in(account, windows.open(phone=True, dark=True), "Mia Moreno")
    account.world.owner.execute(EARNED)
    page.get_by_role("link", name="Earnings").click()
    return page


def test_a_month_is_shown_printed_and_kept(page: Page, camera: Camera, tmp_path: Path) -> None:
    month = page.get_by_role("table").get_by_role("link")
    expect(month).to_have_count(1)
    camera.take(page, "list")
    assert overflow(page) == 0
    month.click()
    expect(page.get_by_role("heading", name="Statement 20")).to_be_visible()
    expect(page.get_by_role("row", name="Balance at the end")).to_contain_text("$6.99")
    camera.take(page, "statement")
    assert overflow(page) == 0
    for kind, begins in (("PDF", b"%PDF-"), ("CSV", b"booked_at,kind")):
        assert kept(page, kind, tmp_path).startswith(begins)
    print_it(page, camera)


def test_a_mechanic_who_owes_agrees_and_withdraws(account: Account, page: Page, camera: Camera) -> None:
    account.world.owner.execute(OWED)
    page.reload()
    expect(page.get_by_role("heading", name="You have to give back $2.10")).to_be_visible()
    camera.take(page, "owing")
    page.get_by_role("button", name="I agree").click()
    expect(page.get_by_text("You agreed on")).to_be_visible()
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text("You did not agree to this.")).to_be_visible()
