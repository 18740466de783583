"""The admin's page on a marketplace with a history: every number, the longest waiting customer, and the actions."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from autodoctor.ids import new_id
from localcloud.identity.roster import ROSTER
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, hide, signed_in
from support.browser.window import Camera, Windows
from support.sessions.past_sessions import PastSessions, Story, no_show, withdrawn

MAX = next(each for each in ROSTER if each.name == "Max Meyer")


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


@pytest.fixture(scope="module")
def account(account: Account) -> Account:
    """Ten completed, two cancelled, and two customers who wait, one of them for a quarter of an hour."""
    past_sessions, now = PastSessions(account.world), datetime.now(UTC)
    past_sessions.sessions(10, now - timedelta(hours=5), Story())
    past_sessions.session(now - timedelta(hours=3), withdrawn())
    past_sessions.session(now - timedelta(hours=2), no_show())
    account.world.queued(name="Longwait Larry")
    account.world.let_time_pass(900)
    account.world.queued(name="Newer Nora", urgent=False)
    return account


def tile(page: Page, label: str) -> str:
    card = page.locator(".card", has=page.get_by_text(label, exact=True))
    return card.locator(".big").inner_text()


def test_what_operators_need_first_is_first(account: Account, windows: Windows, camera: Camera) -> None:
    page = signed_in(account, windows.open(), "Ada Adler")
    expect(page.locator("#oldest")).to_contain_text("Longwait Larry")
    camera.take(page, "health")
    assert tile(page, "Waiting") == "2"
    assert tile(page, "Live") == "0"
    expect(page.locator("#score")).to_contain_text(re.compile(r"\d+"))
    expect(page.get_by_text(re.compile(r"as of"))).to_be_visible()
    expect(page.get_by_role("img", name="Ended by the hour, your time")).to_be_visible()


def test_one_click_leads_to_who_waits_longest_and_ends_it_on_record(
    account: Account, windows: Windows, camera: Camera
) -> None:
    page = signed_in(account, windows.open(dark=True), "Ada Adler")
    page.get_by_role("link", name="Help them").click()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    expect(page.locator("dl.card")).to_contain_text("Longwait Larry")
    expect(page.locator("#waited")).to_contain_text("15:")
    page.get_by_role("button", name="Write to them").click()
    page.get_by_label("Message").fill("We are looking for somebody.")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("button", name="Offer to a mechanic").click()
    page.get_by_label("Mechanic").select_option("Max Meyer")
    camera.take(page, "to whom")
    page.get_by_role("button", name="Offer it").click()
    expect(page.get_by_role("row", name="Offered to a mechanic by name")).to_be_visible()
    expect(page.get_by_role("row", name="Wrote to the customer")).to_be_visible()
    camera.take(page, "who waits longest")
    page.get_by_role("button", name="End this session").click()
    expect(page.get_by_role("dialog")).to_contain_text("is recorded")
    page.get_by_label("What both may read about it").fill("Nobody is on duty tonight.")
    page.get_by_role("button", name="End it now").click()
    expect(page.get_by_role("row", name="Cancelled")).to_contain_text("Our team")
    expect(page.locator("dl.card")).to_contain_text("Nobody is on duty tonight.")


def test_every_number_leads_to_the_list_it_was_counted_from(account: Account, windows: Windows, camera: Camera) -> None:
    page = signed_in(account, windows.open(), "Ada Adler")
    states = page.locator("section", has=page.get_by_role("heading", name="Sessions by state"))
    row = states.get_by_role("row", name="Completed")  # not the alert that they are not settled, which a sweep ends
    expect(row.get_by_role("link")).to_have_text("10")
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(10)
    camera.take(page, "completed sessions")


def test_a_mechanic_is_suspended_and_reinstated(account: Account, windows: Windows, camera: Camera) -> None:
    asked = account.world.queued(customer := new_id(), name="Olga Offer", preferredMechanicId=MAX.row_id)
    page = signed_in(account, windows.open(phone=True), "Ada Adler")
    page.get_by_role("link", name="Mechanics").first.click()
    page.get_by_role("button", name="Suspend Max Meyer").click()
    dialog = page.get_by_role("dialog", name="Suspend Max Meyer?")
    expect(dialog).to_contain_text("What Olga Offer asked of Max Meyer goes back to the queue.")
    camera.take(page, "sure to suspend")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Suspend Max Meyer")).to_be_focused()
    page.get_by_role("button", name="Suspend Max Meyer").click()
    dialog.get_by_role("button", name="Suspend").click()  # not without a reason
    dialog.get_by_label("Why: they read this").fill("Three customers waited for you in vain this week.")
    dialog.get_by_role("button", name="Suspend").click()
    expect(page.get_by_role("row", name="Max Meyer")).to_contain_text("Suspended")
    page.get_by_role("link", name="Max Meyer").click()
    expect(page.get_by_role("row", name="Suspended, with a reason")).to_contain_text("you")
    camera.take(page, "one mechanic")
    theirs = signed_in(account, windows.open(phone=True), "Max Meyer")
    expect(theirs.get_by_role("heading", name="Your account is suspended")).to_be_visible()
    expect(theirs.get_by_role("alert")).to_contain_text("Three customers waited for you in vain this week.")
    camera.take(theirs, "what the mechanic sees")
    windows.troubles.expect("403")
    camera.take(page, "suspended")
    page.get_by_role("button", name="Reinstate Max Meyer").click()
    expect(page.get_by_role("button", name="Suspend Max Meyer")).to_be_visible()
    account.world.end(customer, asked.session_id)


@pytest.mark.parametrize("window", [{}, {"phone": True, "dark": True}], ids=["laptop", "phone"])
def test_a_user_id_that_is_none_is_said_beside_its_field(
    account: Account, windows: Windows, camera: Camera, window: dict[str, bool]
) -> None:
    page = signed_in(account, windows.open(**window), "Ada Adler")
    page.get_by_role("link", name="Mechanics").first.click()
    page.get_by_label("User id").fill("mia")
    page.get_by_label("Name, as customers see it").fill("Mia Moreno")
    page.get_by_role("button", name="Add").click()
    user = page.get_by_label("User id")
    expect(user).to_be_focused()
    expect(user).to_have_accessible_description(
        re.compile(r"This is not an id, which looks like 0199d3a5-[0-9a-f-]+\.$")
    )
    camera.take(page, "no user id")
    windows.troubles.expect("422")


def test_who_is_no_admin_is_sent_to_their_own_page(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Cora Castillo")
    page.goto(f"{account.cloud.api_url}/console/admin.html")
    page.wait_for_url(re.compile(r"customer\.html"))


def test_the_page_of_a_session_follows_it_while_it_is_looked_at(account: Account, windows: Windows) -> None:
    created = account.world.queued(name="Followed Fay")
    page = signed_in(account, windows.open(), "Ada Adler")
    page.clock.install()
    page.goto(f"{account.cloud.api_url}/console/admin.html#session?id={created.session_id}")
    page.reload()
    state = page.locator(".pill").first
    expect(state).to_have_text("Finding a mechanic")
    mechanic = account.world.mechanic()
    account.world.accept(mechanic, created)
    page.clock.run_for(16_000)
    expect(state).to_have_text("Mechanic accepted")
    hide(page, hidden=True)
    account.world.end(mechanic.user_id, created.session_id)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    expect(state).to_have_text("Mechanic accepted")
    assert asked == []
    hide(page, hidden=False)
    expect(state).to_have_text("Cancelled")
    expect(page.get_by_role("button", name="End this session")).to_have_count(0)
