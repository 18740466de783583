"""`/_dev` in a browser: what happens appears by itself, and nothing that somebody does there is lost by it."""

import pytest
from playwright.sync_api import expect

from localcloud.commands.samples import INTAKE_WITH_WAIVER
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings
from support.browser.window import Windows


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def test_what_happens_appears_by_itself(account: Account, windows: Windows) -> None:
    customer = account.customer()
    session = customer.post("/api/intake/start", INTAKE_WITH_WAIVER, 201)["sessionId"]
    page = windows.open()
    page.goto(f"{account.cloud.api_url}/_dev")
    summary = page.locator("summary", has_text="POST /api/intake/start").first
    summary.click()
    details = page.locator("details[open]")
    expect(details).to_have_count(1)
    customer.post(f"/api/sessions/{session}/end", {})
    expect(page.locator("summary", has_text=f"POST /api/sessions/{session}/end")).to_be_visible()
    expect(details).to_contain_text("POST /api/intake/start")
    expect(summary).to_be_focused()

    page.goto(f"{account.cloud.api_url}/_dev?session={session}")
    expect(page.get_by_text(f"POST /api/sessions/{session}/end")).to_be_visible()
    clock = page.locator(".lane time").first
    assert clock.evaluate("time => time.getClientRects().length") == 1, "a clock is read in one line"
    box = clock.bounding_box()
    assert box is not None
    assert box["height"] < 30
    customer.send("POST", f"/api/sessions/{session}/messages", {"text": "Too late."})
    expect(page.get_by_text(f"POST /api/sessions/{session}/messages")).to_be_visible()
