"""Every tab of the console outlives a slow network, none, a reload, the way back, and the end of a token."""

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
from playwright.sync_api import Page, Request, Route, expect

from browser.money.test_console_payments import paid_later
from localcloud.identity.roster import ROSTER
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, signed_in
from support.browser.mishaps import back, expired, offline, reload, signed_out_meanwhile, slow, token_of
from support.browser.window import Windows

HEADINGS = {
    "customer2": {
        "Get help": "What is wrong with your car?",
        "Sessions": "Your sessions",
        "Credits": "Your credits",
        "Receipts": "Your receipts",
        "Messages": "Messages",
    },
    "mechanic2": {
        "Queue": "Requests waiting for help",
        "Earnings": "Earnings",
        "Sessions": "Your sessions",
        "Quotes": "Quotes",
        "Messages": "Messages",
    },
    "admin": {
        "Health": "Session health",
        "Sessions": "Sessions",
        "Mechanics": "Mechanics",
        "Plans": "Plans",
        "Cases": "Cases",
        "Dead letters": "Dead letters",
    },
}
WHO = pytest.mark.parametrize("key", list(HEADINGS))


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def name_of(key: str) -> str:
    return next(each.name for each in ROSTER if each.key == key)


def shows(page: Page, heading: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(heading)


def press(page: Page, tab: str) -> None:
    page.get_by_role("navigation", name="Pages").get_by_role("link", name=tab, exact=True).click()


def is_of_the_tab(request: Request) -> bool:
    return "/ticket" not in request.url  # which the feed asks for, again and again


@WHO
def test_slow_reloaded_and_back(account: Account, windows: Windows, key: str) -> None:
    page = signed_in(account, windows.open(), name_of(key))
    for tab, heading in HEADINGS[key].items():
        press(page, tab)
        shows(page, heading)
        for happens in (slow, reload, back):
            happens(page, partial(shows, heading=heading))


@WHO
def test_without_a_network_it_says_so_and_is_tried_again_when_there_is_one(
    account: Account, windows: Windows, key: str
) -> None:
    page = signed_in(account, windows.open(phone=True), name_of(key))
    for before, (tab, heading) in pairwise([*HEADINGS[key].items(), next(iter(HEADINGS[key].items()))]):
        shows(page, before[1])
        with offline(page):
            expect(page.locator("body[data-offline]")).to_be_visible()
            with page.expect_event("requestfailed", is_of_the_tab):
                page.evaluate("dispatchEvent(new Event('hashchange'))")  # the page looks again, in vain
            shows(page, before[1])
            press(page, tab)
            shows(page, "That did not work")
            expect(page.get_by_text("The service cannot be reached. Check your connection.")).to_be_visible()
            with page.expect_event("requestfailed", is_of_the_tab):
                page.get_by_role("button", name="Try again").click()
            shows(page, "That did not work")
        shows(page, heading)  # by itself
        expect(page.locator("body[data-offline]")).to_have_count(0)
    windows.troubles.expect("ERR_INTERNET_DISCONNECTED")


@WHO
def test_a_token_that_expires(account: Account, windows: Windows, key: str) -> None:
    page = signed_in(account, windows.open(), name_of(key))
    tabs = HEADINGS[key]
    shows(page, next(iter(tabs.values())))
    for tab, heading in [*list(tabs.items())[1:], next(iter(tabs.items()))]:
        token = expired(account, page)
        press(page, tab)
        shows(page, heading)
        assert token_of(page) != token
    for tab, heading in [*list(tabs.items())[1:], next(iter(tabs.items()))]:
        signed_out_meanwhile(account, page)
        press(page, tab)
        expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()
        page.get_by_role("link", name=name_of(key)).click()
        page.wait_for_url(re.compile("/console/"))
        shows(page, heading)
    windows.troubles.expect("400")


CONCERN = "It hums at sixty."


def is_typed(page: Page) -> None:
    expect(page.get_by_label("Describe what it does")).to_have_value(CONCERN)


def is_under_way(page: Page) -> None:
    shows(page, "Your payment is under way")


def typed(page: Page) -> None:
    page.get_by_label("Describe what it does").fill(CONCERN)


def paying(page: Page) -> None:
    paid_later(page, CONCERN)


@pytest.mark.parametrize(("state", "shown"), [(typed, is_typed), (paying, is_under_way)])
def test_a_request_that_is_being_made(
    account: Account, windows: Windows, state: Callable[[Page], None], shown: Callable[[Page], None]
) -> None:
    page = signed_in(account, windows.open(phone=True), "Cora Castillo")
    state(page)
    shown(page)
    for happens in (slow, reload, back):
        happens(page, shown)
    with offline(page):
        expect(page.locator("body[data-offline]")).to_be_visible()
        shown(page)
    expect(page.locator("body[data-offline]")).to_have_count(0)
    shown(page)
    expired(account, page)
    page.reload()
    shown(page)
    signed_out_meanwhile(account, page)
    page.reload()
    expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()
    page.get_by_role("link", name="Cora Castillo").click()
    shown(page)
    windows.troubles.expect("400")
    windows.troubles.overlook("ERR_INTERNET_DISCONNECTED")


def test_who_signs_out_while_the_token_is_renewed_is_signed_out(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Cora Castillo")
    shows(page, "What is wrong with your car?")
    held: dict[str, Route] = {}
    for path in ("token", "revoke"):
        page.route(f"**/_dev/issuer/{path}", lambda route: held.setdefault(route.request.url.rpartition("/")[2], route))
    expired(account, page)
    with page.expect_request("**/_dev/issuer/token"):
        press(page, "Sessions")
    with page.expect_request("**/_dev/issuer/revoke"):
        page.get_by_role("button", name="Sign out").click()
    with page.expect_response("**/_dev/issuer/token"):
        held["token"].continue_()
    held["revoke"].continue_()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
