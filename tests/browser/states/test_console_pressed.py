"""A page that is rebuilt during use: a press becomes a click, and an old answer never replaces a newer one."""

import re

import pytest
from playwright.sync_api import APIResponse, Locator, Page, Response, Route, expect

from browser.consultation.test_console_journey import ended_by
from browser.money.test_console_quotes import live
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, signed_in
from support.browser.window import Windows

SESSION = re.compile(r"/api/sessions/[0-9a-f-]{36}$")
POINTER = """(element, types) => {
  const event = (type) => new PointerEvent(type, { bubbles: true, isPrimary: true, button: 0 });
  for (const type of types) element.dispatchEvent(event(type));
}"""


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


def its_end_is_shown(page: Page) -> None:
    """Wait until the page says how the session ended; whether it counts depends on how long these tests took."""
    expect(page.get_by_text("Ended by", exact=True)).to_be_visible()


def test_a_link_that_is_pressed_while_news_come_is_followed(account: Account, windows: Windows) -> None:
    mechanic, customer = together(account, windows)
    press(mechanic, mechanic.get_by_role("link", name="Queue"))
    with mechanic.expect_response(ends):
        ended_by(customer)
    mechanic.mouse.up()
    mechanic.wait_for_url(re.compile(r"/console/mechanic\.html"))


def test_what_came_while_something_was_pressed_is_shown_when_it_is_let_go(account: Account, windows: Windows) -> None:
    mechanic, customer = together(account, windows)
    talking = mechanic.get_by_role("heading", name="Helping")
    press(mechanic, talking)
    with mechanic.expect_response(ends):
        ended_by(customer)
    at_stage(mechanic, "over")
    expect(talking).to_be_visible()
    mechanic.mouse.up()
    its_end_is_shown(mechanic)


def test_a_press_right_after_another_counts_as_well(account: Account, windows: Windows) -> None:
    """What the page does once the first is over comes when the second has begun."""
    mechanic, customer = together(account, windows)
    talking = mechanic.get_by_role("heading", name="Helping")
    talking.evaluate(POINTER, ["pointerdown", "pointerup", "pointerdown"])
    ended_by(customer)
    at_stage(mechanic, "over")
    expect(talking).to_be_visible()
    talking.evaluate(POINTER, ["pointerup"])
    its_end_is_shown(mechanic)


def test_an_answer_that_was_overtaken_is_not_shown(account: Account, windows: Windows) -> None:
    mechanic, customer = together(account, windows)
    seen: list[Route] = []
    older: list[APIResponse] = []

    def hold_the_first(route: Route) -> None:
        seen.append(route)
        if len(seen) > 1:
            route.continue_()
        else:
            older.append(route.fetch())

    mechanic.route(SESSION, hold_the_first)
    with mechanic.expect_request(SESSION):
        mechanic.evaluate("dispatchEvent(new Event('online'))")  # it looks again
    ended_by(customer)
    at_stage(mechanic, "over")
    with mechanic.expect_response(SESSION):
        seen[0].fulfill(response=older[0])
    mechanic.evaluate("new Promise(requestAnimationFrame)")
    at_stage(mechanic, "over")
