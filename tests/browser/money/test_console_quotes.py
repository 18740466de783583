"""A session is escalated to a workshop, which gives a quote that the customer approves: three people in the console."""

import re

import pytest
from playwright.sync_api import Page, expect

from browser.consultation.test_console_journey import ended_by
from localcloud.identity.roster import WORKSHOP_NAME
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, described, say, signed_in
from support.browser.window import Camera, Windows
from support.wait import wait_until

CONCERN = "It grinds when I brake."


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def live(customer: Page, mechanic: Page) -> None:
    """From the intake until both are in the session."""
    described(customer, CONCERN)
    customer.get_by_label("Free").check()
    customer.get_by_role("button", name="Ask now").click()
    mechanic.locator("article", has_text=CONCERN).get_by_role("button", name="Accept").click()
    for page in (customer, mechanic):
        at_stage(page, "live")
    say(customer, "Hello.")
    say(mechanic, "Tell me more.")


def handed_over(mechanic: Page, camera: Camera) -> None:
    """By its mechanic, who first forgets to say to whom."""
    if (details := mechanic.get_by_role("button", name="Details")).is_visible():
        details.click()
    mechanic.get_by_text("Hand it to a workshop").click()
    mechanic.get_by_role("button", name="Ask for a quote").click()
    workshop = mechanic.get_by_label("Workshop", exact=True)
    expect(workshop).to_be_focused()
    expect(workshop).to_have_accessible_description("Choose a workshop.")
    workshop.select_option(WORKSHOP_NAME)
    mechanic.get_by_label("Note for the workshop").fill("Needs new front discs.")
    camera.take(mechanic, "handing it over")
    mechanic.get_by_role("button", name="Ask for a quote").click()
    expect(mechanic.get_by_role("heading", name=f"Quote of {WORKSHOP_NAME}")).to_be_visible()
    expect(mechanic.get_by_text("There is no other workshop to ask.")).to_be_visible()
    camera.take(mechanic, "handed over")


def test_a_field_keeps_its_error_when_a_push_rebuilds_the_page(account: Account, windows: Windows) -> None:
    mechanic = signed_in(account, windows.open(), "Mia Moreno")
    customer = signed_in(account, windows.open(), "Somebody new")
    live(customer, mechanic)
    mechanic.get_by_text("Hand it to a workshop").click()
    mechanic.get_by_role("button", name="Ask for a quote").click()
    workshop = mechanic.get_by_label("Workshop", exact=True)
    expect(workshop).to_have_accessible_description("Choose a workshop.")
    customer.goto("about:blank")
    expect(mechanic.locator(".presence")).to_have_text("not here just now")
    expect(workshop).to_have_accessible_description("Choose a workshop.")
    expect(workshop).to_have_attribute("aria-invalid", "true")
    workshop.select_option(WORKSHOP_NAME)
    expect(workshop).to_have_accessible_description("")
    expect(workshop).not_to_have_attribute("aria-invalid", "true")
    ended_by(mechanic)
    at_stage(mechanic, "over")


def amount_given(foreman: Page, camera: Camera) -> None:
    """By the workshop's mechanic, who first types what is no amount."""
    foreman.get_by_role("link", name="Quotes").click()
    expect(foreman.locator("article")).to_contain_text("Needs new front discs.")
    camera.take(foreman, "asked of the workshop")
    foreman.get_by_role("link", name="Name an amount").click()
    amount = foreman.get_by_label("Amount in dollars")
    amount.fill("about 500")
    foreman.get_by_role("button", name="Give this amount").click()
    expect(amount).to_be_focused()
    expect(amount).to_have_accessible_description(re.compile(r"an amount such as 480\.00, and at most"))
    camera.take(foreman, "no amount")
    amount.fill("480.50")
    foreman.get_by_label("What it is for").fill("Discs and pads.")
    foreman.get_by_role("button", name="Give this amount").click()
    expect(foreman.get_by_role("heading", name="Waiting for your workshop")).to_be_visible()
    expect(foreman.locator("article")).to_contain_text("$480.50")
    camera.take(foreman, "given")


def test_a_session_is_handed_to_a_workshop_whose_quote_is_approved(
    account: Account, windows: Windows, camera: Camera
) -> None:
    mechanic = signed_in(account, windows.open(phone=True), "Mia Moreno")
    foreman = signed_in(account, windows.open(phone=True, dark=True), "Walt Weber")
    customer = signed_in(account, windows.open(), "Somebody new")
    live(customer, mechanic)
    handed_over(mechanic, camera)
    amount_given(foreman, camera)
    customer.reload()
    expect(customer.get_by_text("$480.50")).to_be_visible()
    camera.take(customer, "a quote to decide on")
    customer.get_by_role("button", name="Approve").click()
    quote = customer.locator("section", has=customer.get_by_role("heading", name=f"Quote of {WORKSHOP_NAME}"))
    expect(quote.locator(".pill")).to_have_text("Approved")
    for page in (foreman, mechanic):
        page.reload()
    expect(foreman.locator("article .pill")).to_have_text("Approved")
    expect(foreman.get_by_role("link", name=re.compile("amount"))).to_have_count(0)
    expect(mechanic.get_by_text("Hand it to a workshop")).to_have_count(0)
    ended_by(mechanic)
    at_stage(mechanic, "over")
    wait_until(lambda: account.world.one("SELECT count(*) FROM payouts WHERE kind = 'escalation'") == 1)
    mechanic.goto(f"{account.cloud.api_url}/console/mechanic.html")
    mechanic.get_by_role("link", name="Earnings", exact=True).click()
    earned = mechanic.get_by_role("row", name="Escalation")
    expect(earned).to_contain_text("$24.02")
    expect(earned.locator(".pill")).to_have_text("On hold")  # nobody paid for the session
    camera.take(mechanic, "what it earned")
