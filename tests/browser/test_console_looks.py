"""The console on narrow screens and with long names, and the way from a count to its sessions."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, signed_in
from support.browser.window import Camera, Windows
from support.past_sessions import PastSessions, Story

LONG = "Wolfeschlegelsteinhausenbergerdorff" * 5


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


@pytest.fixture(scope="module")
def account(account: Account) -> Account:
    """Four completed sessions; two mechanics who are available, one who is away, one in a session; the long name."""
    world = account.world
    PastSessions(world).sessions(4, datetime.now(UTC) - timedelta(hours=5), Story())
    world.owner.execute("UPDATE mechanics SET available_until = NULL")
    world.mechanic(), world.mechanic(), world.mechanic(available_until=None)
    world.owner.execute("UPDATE mechanics SET name = %s WHERE id = %s", [LONG, (busy := world.mechanic()).id])
    world.accept(busy, world.queued(name=LONG))
    return account


def overflow(page: Page) -> int:
    """How much wider than its window the page is, in px."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


@pytest.mark.parametrize("window", [{"phone": True}, {"dark": True}], ids=["phone", "laptop"])
def test_no_page_is_wider_than_its_window(
    account: Account, windows: Windows, camera: Camera, window: dict[str, bool]
) -> None:
    page = signed_in(account, windows.open(**window), "Ada Adler")
    expect(page.get_by_role("heading", name="Session health")).to_be_visible()
    for tab in ("health", "sessions?status=active", "mechanics", "cases", "dead-letters"):
        page.goto(f"{account.cloud.api_url}/console/admin.html#{tab}")
        page.reload()
        expect(page.locator("h1")).not_to_have_text("That did not work")
        camera.take(page, tab)
        assert overflow(page) == 0, tab
    session_id = account.world.one("SELECT id FROM sessions WHERE ended_at IS NULL")
    page.goto(f"{account.cloud.api_url}/console/admin.html#session?id={session_id}")
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    camera.take(page, "session")
    assert overflow(page) == 0
    page.evaluate("name => { document.querySelector('h1').textContent = name; }", LONG)
    assert overflow(page) == 0


@pytest.mark.parametrize("window", [{"phone": True, "dark": True}, {}], ids=["phone", "laptop"])
def test_the_hours_below_the_chart_can_be_read(account: Account, windows: Windows, window: dict[str, bool]) -> None:
    page = signed_in(account, windows.open(**window), "Ada Adler")
    labels = page.locator(".axis span")
    expect(labels.first).to_be_visible()
    chart = page.locator(".axis").bounding_box()
    boxes = [label.bounding_box() for label in labels.all()]
    assert chart is not None
    assert len(boxes) >= 4
    right = 0.0
    for box in boxes:
        assert box is not None
        assert box["height"] >= 12
        assert box["x"] >= right
        right = box["x"] + box["width"]
    assert right <= chart["x"] + chart["width"]


def test_mechanics_and_the_score_lead_to_what_was_counted(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Ada Adler")
    page.get_by_role("link", name="Mechanics available: 2").click()
    expect(page.get_by_label("Show", exact=True)).to_have_value("available")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody td:nth-child(3)")).to_have_text(["available", "available"])
    page.get_by_label("Show", exact=True).select_option("In a session")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("row", name=LONG)).to_contain_text("in a session")
    page.get_by_role("link", name="Health").click()
    page.get_by_role("link", name="1 in a session").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    for link, count in ((re.compile("^4 sessions ended$"), 4), (re.compile("^1 active$"), 1)):
        page.get_by_role("link", name="Health").click()
        page.locator("#score").get_by_role("link", name=link).click()
        expect(page.locator("tbody tr")).to_have_count(count)
