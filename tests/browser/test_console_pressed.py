"""A page that is rebuilt during use: a press becomes a click, and an old answer never replaces a newer one."""

import re

import pytest
from playwright.sync_api import APIResponse, Locator, Page, Response, Route, expect

from browser.test_console_journey import ended_by
from browser.test_console_quotes import CONCERN, live
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, signed_in
from support.browser.window import Windows

SESSION = re.compile(r"/api/sessions/[0-9a-f-]{36}$")


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def together(account: Account, windows: Windows) -> tuple[Page, Page]:
    """A mechanic and a customer in a session that is live."""
    mechanic = signed_in(account, windows.open(), "Mia Moreno")
    customer = signed_in(account, windows.open(), "Somebody new")
    live(customer, mechanic)
    return mechanic, customer


def press(page: Page, what: Locator) -> None:
    """Press on it, and not let go yet."""
    what.scroll_into_view_if_needed()
    box = what.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()


def ends(session: Response) -> bool:
    """Whether it tells a page that its session is over."""
    return bool(SESSION.search(session.url)) and session.json()["endedAt"] is not None


def test_a_link_that_is_pressed_while_news_come_is_followed(account: Account, windows: Windows) -> None:
    mechanic, customer = together(account, windows)
    press(mechanic, mechanic.get_by_role("link", name="Back"))
    with mechanic.expect_response(ends):
        ended_by(customer)
    mechanic.mouse.up()
    mechanic.wait_for_url(re.compile(r"/console/mechanic\.html"))


def test_what_came_while_something_was_pressed_is_shown_when_it_is_let_go(account: Account, windows: Windows) -> None:
    mechanic, customer = together(account, windows)
    press(mechanic, mechanic.get_by_text(CONCERN))
    with mechanic.expect_response(ends):
        ended_by(customer)
    expect(mechanic.locator(".pill").first).to_have_text("live")
    mechanic.mouse.up()
    expect(mechanic.get_by_role("heading", name="Session over")).to_be_visible()


def test_an_answer_that_was_overtaken_is_not_shown(account: Account, windows: Windows) -> None:
    mechanic, customer = together(account, windows)
    held: list[tuple[Route, APIResponse]] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    mechanic.route(SESSION, hold_the_first)
    with mechanic.expect_request(SESSION):
        customer.get_by_role("button", name="Leave for a moment").click()
    ended_by(customer)
    over = mechanic.get_by_role("heading", name="Session over")
    expect(over).to_be_visible()
    [(route, older)] = held
    with mechanic.expect_response(SESSION):
        route.fulfill(response=older)
    mechanic.evaluate("new Promise(requestAnimationFrame)")
    expect(over).to_be_visible()
