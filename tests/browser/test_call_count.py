"""How many calls a free consultation makes, with the consoles of both parties open: README's costs are counted so."""

import re
from collections import Counter

import pytest
from playwright.sync_api import Page, Request, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, described, note, say, signed_in
from support.browser.window import Windows

MOST = 20

NO_POLLING = """
  const later = window.setTimeout;
  window.setTimeout = (work, ms, ...rest) => (ms >= 15000 ? 0 : later(work, ms, ...rest));
"""  # what is only asked because time has passed would count the machine's speed


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def unhurried(windows: Windows) -> Page:
    """Open a window that asks for nothing just because time passes."""
    page = windows.open()
    page.add_init_script(NO_POLLING)
    return page


def counted(page: Page, calls: Counter[str]) -> None:
    """Count the API calls of a page from now on."""

    def seen(request: Request) -> None:
        if "/api/" in request.url:
            path = re.sub(r"[0-9a-f-]{36}", "{id}", request.url.partition("/api/")[2].partition("?")[0])
            calls[f"{request.method} {path}"] += 1

    page.on("request", seen)


def test_a_free_consultation_with_both_consoles_open_makes_few_calls(account: Account, windows: Windows) -> None:
    mechanic = signed_in(account, unhurried(windows), "Mia Moreno")
    expect(mechanic.get_by_text("No requests right now")).to_be_visible()
    customer = signed_in(account, unhurried(windows), "Somebody new")
    described(customer, "It squeals when I brake.")
    customer.get_by_label("Free").check()
    customer.wait_for_load_state("networkidle")
    calls: Counter[str] = Counter()
    for page in (customer, mechanic):
        counted(page, calls)
    customer.get_by_role("button", name="Ask now").click()
    at_stage(customer, "searching")
    mechanic.get_by_role("button", name="Accept").click()
    for page in (customer, mechanic):
        at_stage(page, "live")
    say(customer, "Only when it is cold.")
    say(mechanic, "Let me see.")
    expect(customer.get_by_text("Let me see.", exact=True)).to_be_visible()
    note(mechanic, "New pads, soon.")
    mechanic.get_by_role("button", name="End session").click()
    mechanic.get_by_role("button", name="End it now").click()
    for page in (customer, mechanic):
        at_stage(page, "over")
        page.wait_for_load_state("networkidle")
    assert calls.total() <= MOST, calls.most_common()
