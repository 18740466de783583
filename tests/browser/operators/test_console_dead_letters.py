"""The admin's dead letters tab, and a reader's state on a page that survives its refreshes."""

import json

import pytest
from playwright.sync_api import Page, expect

from autodoctor.ids import new_id
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, signed_in
from support.browser.window import Camera, Windows
from support.events.dead_letter_queues import DeadLetterQueues

SECRET = "Mrs. Miller"  # noqa: S105 - what must not be shown
BETWEEN = "Between the bus and its consumers"


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


@pytest.fixture(scope="module")
def dead_letter_queues(account: Account) -> DeadLetterQueues:
    return DeadLetterQueues(account.cloud.api_url)


def opened(page: Page) -> Page:
    page.get_by_role("link", name="Dead letters").click()
    expect(page.get_by_role("heading", name="Dead letters", level=1)).to_be_visible()
    return page


def test_letters_are_seen_without_what_they_say_and_sent_again_when_confirmed(
    account: Account, dead_letter_queues: DeadLetterQueues, windows: Windows, camera: Camera
) -> None:
    session_id = str(new_id())
    detail = {"eventId": str(new_id()), "sessionId": session_id, "customerName": SECRET}
    dead_letter_queues.undelivered(json.dumps({"detail-type": "session.ended", "detail": detail}), "FeedQueue.fifo")
    dead_letter_queues.put("BusDeadLetterQueue", SECRET)
    page = opened(signed_in(account, windows.open(), "Ada Adler"))
    row = page.get_by_role("row", name="session.ended")
    expect(row).to_contain_text("NO_PERMISSIONS")
    expect(row.get_by_role("link")).to_have_attribute("href", f"#session?id={session_id}")
    expect(page.locator("main")).not_to_contain_text(SECRET)
    camera.take(page, "two events")
    again = page.get_by_role("button", name=f"Send again: {BETWEEN}")
    again.click()
    expect(page.get_by_role("dialog")).to_contain_text("Send 2 events of")
    camera.take(page, "asked")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert account.cloud.depth("BusDeadLetterQueue").visible == 2
    again.click()
    page.get_by_role("dialog").get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status")).to_contain_text("1 event sent again. 1 could not be sent and stay here.")
    expect(page.get_by_role("row", name="session.ended")).to_have_count(0)
    expect(again).to_be_focused()
    camera.take(page, "one stays")


def test_it_fits_a_phone(
    account: Account, dead_letter_queues: DeadLetterQueues, windows: Windows, camera: Camera
) -> None:
    dead_letter_queues.put("SettleDeadLetterQueue", json.dumps({"detail-type": "session.ended", "detail": {}}))
    page = opened(signed_in(account, windows.open(phone=True, dark=True), "Ada Adler"))
    expect(page.get_by_role("heading", name="Payouts and refunds")).to_be_visible()
    camera.take(page, "phone")
    for link, title in (("Sessions", "Sessions"), ("Mechanics", "Mechanics"), ("Health", "Session health")):
        page.get_by_role("navigation").get_by_role("link", name=link).click()
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, link
        camera.take(page, link)


def test_a_refresh_keeps_open_details_and_the_focus(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Ada Adler")
    page.get_by_text("How it is computed").click()
    page.get_by_text("As a table").focus()
    before = page.locator(".stamp").inner_text()
    page.wait_for_timeout(1100)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as when the reader comes back to the tab
    expect(page.locator(".stamp")).not_to_have_text(before)
    expect(page.locator("#score details")).to_have_attribute("open", "")
    expect(page.locator(".chart details")).not_to_have_attribute("open", "")
    expect(page.get_by_text("As a table")).to_be_focused()


def test_a_refresh_keeps_what_is_being_typed(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Ada Adler")
    page.get_by_role("navigation").get_by_role("link", name="Mechanics").click()
    page.get_by_label("Name, as customers see it").fill("Nina Newman")
    page.get_by_role("button", name="Suspend Max Meyer").press("Enter")
    page.get_by_label("Why: they read this").fill("A try.")
    page.get_by_role("dialog", name="Suspend Max Meyer?").get_by_role("button", name="Suspend").press("Enter")
    expect(page.get_by_role("row", name="Max Meyer")).to_contain_text("Suspended")
    expect(page.get_by_label("Name, as customers see it")).to_have_value("Nina Newman")
    expect(page.get_by_role("button", name="Reinstate Max Meyer")).to_be_focused()
