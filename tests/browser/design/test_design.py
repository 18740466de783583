"""The look of the console, measured: edges, targets, widths, motion, and toasts that cover nothing."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from autodoctor.ids import new_id
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, signed_in
from support.browser.contrast import faint, small
from support.browser.plain_words import table_names
from support.browser.window import Camera, Windows

PAGES = {
    "Cora Castillo": ["customer.html#now", "customer.html#sessions", "customer.html#credits"],
    "Mia Moreno": ["mechanic.html#queue", "mechanic.html#earnings", "mechanic.html#messages"],
    "Ada Adler": [
        "admin.html#health",
        "admin.html#sessions",
        "admin.html#mechanics",
        "admin.html#plans",
        "admin.html#dead-letters",
    ],
}


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


@pytest.fixture(scope="module")
def account(account: Account) -> Account:
    world = account.world
    world.queued(name="Nora New")
    customer = new_id()
    ended = world.queued(customer)
    world.accept(world.mechanic(), ended)
    world.end(customer, ended.session_id)
    return account


def components(account: Account, page: Page) -> Page:
    """Open the page that shows every component in every state."""
    page.goto(f"{account.cloud.api_url}/_dev/components")
    expect(page.get_by_role("heading", name="Data")).to_be_visible()
    return page


def overflow(page: Page) -> int:
    """How much wider than its window the page is, in px."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]


def test_every_component_stands_out_and_can_be_hit(account: Account, windows: Windows, camera: Camera) -> None:
    page = components(account, windows.open())
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert (scheme, faint(page)) == (scheme, [])
        assert small(page) == []
        for width in (1440, 390, 320):
            page.set_viewport_size({"width": width, "height": 800})
            assert overflow(page) == 0, width
            camera.take(page, f"components {width} {scheme}")


@pytest.mark.parametrize("name", PAGES)
def test_every_page_stands_out_and_can_be_hit(account: Account, windows: Windows, name: str) -> None:
    page = signed_in(account, windows.open(phone=True), name)
    for address in PAGES[name]:
        page.goto(f"{account.cloud.api_url}/console/{address}")
        expect(page.locator("[aria-current=page]")).to_have_attribute("href", f"#{address.partition('#')[2]}")
        expect(page.locator("main .skeleton")).to_have_count(0)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert (address, scheme, faint(page)) == (address, scheme, [])
        assert (address, small(page)) == (address, [])
        assert (address, table_names(page)) == (address, [])
        assert overflow(page) == 0, address


def test_the_pages_of_a_session_speak_like_people(account: Account, windows: Windows) -> None:
    session_id = account.world.one("SELECT id FROM sessions WHERE ended_at IS NOT NULL LIMIT 1")
    page = signed_in(account, windows.open(), "Ada Adler")
    for address in (
        f"admin.html#session?id={session_id}",
        f"chat/{session_id}",
        "admin.html#sessions?status=cancelled",
    ):
        page.goto(f"{account.cloud.api_url}/console/{address}")
        expect(page.locator("main .skeleton")).to_have_count(0)
        expect(page.locator("main :is(h1, #outcome)")).to_have_count(1)
        assert (address, table_names(page)) == (address, [])


def test_a_mistyped_address_and_a_session_of_others_say_so(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Cyrus Chen")
    page.goto(f"{account.cloud.api_url}/console/custmer.html")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.get_by_role("link", name="Go to the beginning").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What is wrong with your car?")
    page.goto(f"{account.cloud.api_url}/console/chat/{new_id()}")
    expect(page.get_by_role("heading", name="This session is not yours")).to_be_visible()
    page.get_by_role("link", name="Your own page").click()
    page.wait_for_url(re.compile(r"customer\.html"))
    windows.troubles.expect("404")


def test_the_front_page_says_what_it_costs_before_anybody_signs_in(account: Account, windows: Windows) -> None:
    page = windows.open(phone=True)
    page.goto(f"{account.cloud.api_url}/")
    expect(page.get_by_text("Free for 5 minutes, from $9.99 for 30")).to_be_visible()
    expect(page.locator("#plans .card")).to_have_count(4)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert (scheme, faint(page)) == (scheme, [])
    assert small(page) == []
    assert overflow(page) == 0
    page.get_by_role("button", name="Ask a mechanic").click()
    expect(page.get_by_role("link", name="Somebody new")).to_be_visible()


def test_a_toast_covers_nothing_that_is_read(account: Account, windows: Windows, camera: Camera) -> None:
    page = components(account, windows.open())
    page.get_by_role("button", name="Toast").click()
    toast, read = page.get_by_text("Saved.").bounding_box(), page.get_by_role("main").bounding_box()
    camera.take(page, "toast")
    assert toast is not None
    assert read is not None
    assert toast["y"] + toast["height"] <= read["y"]


def test_nothing_moves_for_readers_who_asked_for_that(account: Account, windows: Windows) -> None:
    page = components(account, windows.open())
    moving = "document.getAnimations().filter((each) => each.effect.getComputedTiming().duration > 0).length"
    assert page.evaluate(moving) == 0
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(moving) > 0  # skeletons, and what is being sent


def test_the_header_says_who_one_is_and_can_be_skipped(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Mia Moreno")
    expect(page.locator("#who")).to_have_text("Signed in as MMMia Moreno, Mechanic")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    assert page.url.endswith("mechanic.html")
