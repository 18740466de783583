"""The console on narrow screens and with long names, and the way from a count to its sessions."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, described, signed_in
from support.browser.window import Camera, Windows
from support.sessions.past_sessions import PastSessions, Story, no_show

COLOUR = """name => {
  const shown = document.createElement('i');
  shown.style.color = `var(${name})`;
  document.body.append(shown);
  return getComputedStyle(shown).color;
}"""
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


def test_the_chart_has_a_scale_and_says_each_hour_at_a_touch(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Ada Adler")
    numbers = page.locator(".scale span")
    expect(numbers).to_have_text(["0", "1", "2", "3", "4"])
    bottom, top = (box for each in (numbers.first, numbers.last) if (box := each.bounding_box()))
    bars = page.locator(".chart svg").bounding_box()
    assert bars is not None
    assert abs(top["y"] - bars["y"]) <= 2
    assert abs(bottom["y"] - bars["y"] - bars["height"]) <= 2
    hour = page.locator(".bar-hour title").filter(has_text="4 completed").first
    assert hour.text_content().endswith(":00\n4 completed\n0 cancelled\n0 expired")  # type: ignore[union-attr]


def test_operators_see_money_and_schedules_on_a_phone_as_short_tables(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(phone=True), "Ada Adler")
    for title in ("Money that waits or is stuck", "Schedules"):
        table = page.locator("section", has=page.get_by_role("heading", name=title)).get_by_role("table")
        expect(table.get_by_role("columnheader").last).to_be_visible()
    page.set_viewport_size({"width": 320, "height": 640})
    assert overflow(page) == 0


def test_what_is_bad_is_red_although_it_leads_somewhere(account: Account, windows: Windows) -> None:
    PastSessions(account.world).sessions(12, datetime.now(UTC) - timedelta(hours=3), no_show())
    page = signed_in(account, windows.open(), "Ada Adler")
    low = page.get_by_role("link", name=re.compile("^Completion: 25 %"))
    expect(low).to_have_css("color", page.evaluate(COLOUR, "--bad"))
    expect(page.get_by_role("link", name="Waiting: 0")).to_have_css("color", page.evaluate(COLOUR, "--quiet"))


def test_the_front_page_says_what_more_minutes_cost_and_that_money_goes_back(account: Account, page: Page) -> None:
    page.goto(f"{account.cloud.api_url}/")
    plan = page.locator("#plans section", has=page.get_by_role("heading", name="Video consultation"))
    expect(plan).to_contain_text("45 minutes by video call")
    expect(plan.get_by_text("15 more minutes: $9.99")).to_be_visible()
    expect(plan.get_by_text("30 more minutes: $18.99")).to_be_visible()
    expect(page.get_by_text("If no talk comes about, all of it goes back.")).to_be_visible()


def test_what_can_be_answered_in_one_way_only_is_not_asked(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(phone=True), "Somebody new")
    described(page, "It hums.")
    page.get_by_label("Free consultation").check()
    expect(page.get_by_label("Talk by")).to_be_visible()
    expect(page.get_by_label("Pay with")).to_have_count(0)
    page.get_by_label("Quick chat").check()
    expect(page.get_by_label("Talk by")).to_have_count(0)
    expect(page.get_by_label("Pay with")).to_have_value("card")
    page.get_by_label("Free consultation").check()
    page.get_by_role("button", name="Ask now").click()
    at_stage(page, "searching")


def test_an_operator_reads_one_clock(account: Account, windows: Windows) -> None:
    session_id = account.world.one("SELECT id FROM sessions WHERE ended_at IS NULL AND mechanic_id IS NOT NULL")
    page = signed_in(account, windows.open(), "Ada Adler")
    page.goto(f"{account.cloud.api_url}/console/admin.html#session?id={session_id}")
    timeline = page.locator("section.card", has=page.get_by_role("heading", name="Timeline"))
    expect(timeline.get_by_role("columnheader", name="When")).to_have_text("When")
    expect(timeline.locator("time").first).to_have_attribute("title", re.compile(r"^20\d\d-.* UTC$"))
    expect(timeline.locator("time").first).to_have_text(re.compile(r"^[A-Z][a-z]{2} \d+, 20\d\d, \d+:\d\d:\d\d"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("2019 Volvo V60")
