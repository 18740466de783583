"""The console for a test: an account whose mails and payments link to it, and signing in."""

import re

from playwright.sync_api import Page

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


def hide(page: Page, *, hidden: bool) -> None:
    """Have the reader look at another tab, or come back; headless windows are never hidden by themselves."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )
