"""The console for a test: an account whose mails and payments link to it, and signing in."""

import re

from playwright.sync_api import Page, expect

from localcloud.host.ports import LOOPBACK, scattered_port
from support.account import Account
from support.account_settings import AccountSettings


def console_settings(origins: str = "") -> AccountSettings:
    """An account with the roster's people whose mails and payments lead to its own console.

    `origins` may call its API from a browser, beside its own.
    """
    port = scattered_port()
    base = f"http://{LOOPBACK}:{port}/console"
    return AccountSettings(port=port, roster=True, parameters={"SessionBaseUrl": base, "AllowedOrigins": origins})


def signed_in(account: Account, page: Page, name: str) -> Page:
    """Open the console as somebody of the roster, or as somebody new."""
    page.goto(f"{account.cloud.api_url}/")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=name).click()
    page.wait_for_url(re.compile(r"/console/(customer|mechanic|admin)\.html"))
    return page


def described(page: Page, concern: str) -> None:
    """Fill in what every intake needs."""
    page.get_by_label("Describe what it does").fill(concern)
    page.get_by_label("Year").fill("2015")
    page.get_by_label("Make").fill("Toyota")
    page.get_by_label("Model").fill("Corolla")
    page.get_by_label("Your name").fill("Cora Castillo")
    page.get_by_label("E-mail").fill("cora@example.com")
    page.get_by_label("I have read and agree").check()


def at_stage(page: Page, stage: str) -> None:
    """Wait until the session's page shows this state: booked, unsigned, asked, searching, connecting, live or over."""
    expect(page.locator("body")).to_have_attribute("data-stage", stage)


def say(page: Page, words: str) -> None:
    """Write a message on the session's page; it is there as soon as this returns, and sent as soon as it can be."""
    page.get_by_label("Message", exact=True).fill(words)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("region", name="Messages").get_by_text(words, exact=True)).to_be_visible()


def note(page: Page, words: str) -> None:
    """Write notes for the customer, which are saved; on a phone they stand behind a button."""
    details = page.get_by_role("button", name="Details")
    if narrow := details.is_visible():
        details.click()
    page.get_by_label("Notes for the customer").fill(words)
    expect(page.locator("#notes-state")).to_have_text("Saved.")
    if narrow:
        page.get_by_role("button", name="Back to the talk").click()


def hide(page: Page, *, hidden: bool) -> None:
    """Have the reader look at another tab, or come back; headless windows are never hidden by themselves."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )
