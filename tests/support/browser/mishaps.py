"""What happens to anybody's page: a slow network, none, a reload, going back, a token that has expired."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Page, expect

from support.account import Account
from support.browser.calls import SIGNED_IN
from support.wait import wait_until

type Shown = Callable[[Page], None]
"""Waits until a page shows what it showed before."""

# A bad mobile network: https://github.com/GoogleChrome/lighthouse/blob/main/docs/throttling.md ("Slow 3G").
_SLOW: Final = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
_FAST: Final = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
_KEEP: Final = """([key, changed]) => sessionStorage.setItem(key,
  JSON.stringify({ ...JSON.parse(sessionStorage.getItem(key)), ...changed }))"""
_KEPT: Final = "key => JSON.parse(sessionStorage.getItem(key))"


def slow(page: Page, shown: Shown) -> None:
    """Load it on a bad mobile network."""
    network = page.context.new_cdp_session(page)
    network.send("Network.emulateNetworkConditions", _SLOW)
    page.reload(wait_until="commit")
    shown(page)
    network.send("Network.emulateNetworkConditions", _FAST)
    network.detach()


def reload(page: Page, shown: Shown) -> None:
    """Load it again."""
    page.reload()
    shown(page)


def back(page: Page, shown: Shown) -> None:
    """Go somewhere else, and back by the browser's button."""
    address = page.url
    page.goto(re.sub(r"/console/.*", "/console/settings.html", address))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.go_back()
    shown(page)
    assert page.url == address


@contextmanager
def offline(page: Page) -> Iterator[None]:
    """Have no network for as long as this lasts."""
    page.context.set_offline(offline=True)
    try:
        yield
    finally:
        page.context.set_offline(offline=False)


def expired(account: Account, page: Page) -> str:
    """Have the page's token be one that has expired, which the page knows too; gives that token."""
    who = page.evaluate(_KEPT, SIGNED_IN)
    token = account.cloud.issuer.token(who["sub"], who["groups"], expires_in=-60)
    page.evaluate(_KEEP, [SIGNED_IN, {"token": token, "expiresAt": 0, "since": 0}])
    return token


def token_expires(account: Account, page: Page) -> None:
    """Have the token expire while the page is open, which renews it at its next look."""
    token = expired(account, page)
    page.evaluate("dispatchEvent(new Event('online'))")
    wait_until(lambda: token_of(page) != token)


def signed_out_meanwhile(account: Account, page: Page) -> None:
    """Have the token be expired, and the sign-in over, so that it is not renewed either."""
    expired(account, page)
    page.evaluate(_KEEP, [SIGNED_IN, {"refresh": "over"}])


def token_of(page: Page) -> str:
    """The token that the page's calls carry."""
    return str(page.evaluate(_KEPT, SIGNED_IN)["token"])
