"""Customer and mechanic play whole sessions in the console, in two windows, without instructions."""

import re

import pytest
from playwright.sync_api import Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, described, note, say, signed_in
from support.browser.window import Camera, Windows

BANNER = "active-session-banner section"


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def ended_by(page: Page) -> None:
    """End the session, after being told what that does."""
    page.get_by_role("button", name="End session").click()
    page.get_by_role("dialog").get_by_role("button", name="End it now").click()


def played(
    customer: Page, mechanic: Page, concern: str, camera: Camera, pays: str = "A free talk pays nothing"
) -> None:
    """From the queue to the end, on one page of the customer's, on which there is no banner."""
    request = mechanic.locator("article", has_text=concern)
    expect(request).to_be_visible()
    camera.take(mechanic, "in the queue")
    request.get_by_role("button", name="Accept").click()
    mechanic.wait_for_url(re.compile("/console/(chat|video)/"))
    for page in (customer, mechanic):
        at_stage(page, "live")
    expect(customer.get_by_role("heading", name="Talking to Mia Moreno")).to_be_visible()
    expect(customer.locator(BANNER)).to_have_count(0)
    say(customer, "Here I am.")
    say(mechanic, "Let me see.")
    expect(customer.get_by_text("Let me see.", exact=True)).to_be_visible()
    expect(customer.get_by_role("timer")).to_have_text(re.compile(r"[1-9]$|[1-9]\d$"))  # no more 0:00
    camera.take(customer, "live")
    note(mechanic, "New pads, soon.")
    camera.take(mechanic, "live at the mechanic's")
    mechanic.get_by_role("button", name="End session").click()
    expect(mechanic.get_by_role("dialog")).to_have_accessible_description(re.compile(pays))
    camera.take(mechanic, "sure to end it")
    mechanic.get_by_role("button", name="End it now").click()
    for page in (customer, mechanic):
        at_stage(page, "over")
    mechanic.get_by_role("button", name="Send them now").click()
    expect(mechanic.get_by_text("The customer has them.")).to_be_visible()
    customer.reload()
    expect(customer.get_by_text("New pads, soon.")).to_be_visible()
    expect(customer.get_by_role("heading", name="You talked to Mia Moreno")).to_be_visible()
    expect(customer.get_by_text("Let me see.", exact=True)).to_be_visible()
    camera.take(customer, "over")


def test_a_free_session_from_the_first_word_to_the_summary(account: Account, windows: Windows, camera: Camera) -> None:
    mechanic = signed_in(account, windows.open(), "Mia Moreno")
    expect(mechanic.get_by_text("No requests right now")).to_be_visible()
    customer = signed_in(account, windows.open(phone=True), "Somebody new")
    concern = "It squeals when I brake."
    described(customer, concern)
    customer.get_by_label("Free").check()
    camera.take(customer, "asking")
    customer.get_by_role("button", name="Ask now").click()
    expect(customer.get_by_role("heading", name="Finding you a mechanic")).to_be_visible()
    expect(customer.locator(BANNER)).to_have_count(0)
    camera.take(customer, "waiting")
    played(customer, mechanic, concern, camera)


def test_a_session_that_is_paid_by_card_comes_back_to_the_waiting_room(
    account: Account, windows: Windows, camera: Camera
) -> None:
    mechanic = signed_in(account, windows.open(dark=True), "Mia Moreno")
    customer = signed_in(account, windows.open(dark=True), "Somebody new")
    concern = "It smells of burnt rubber."
    described(customer, concern)
    customer.get_by_label("Quick").check()
    camera.take(customer, "asking")
    customer.get_by_role("button", name="Continue").click()
    customer.get_by_label("E-mail").fill("cora@example.com")
    customer.get_by_label("Name on card").fill("Cora Castillo")
    customer.get_by_role("button", name="Pay", exact=True).click()
    expect(customer.get_by_role("heading", name="Finding you a mechanic")).to_be_visible()
    played(customer, mechanic, concern, camera, "you are paid for it")
    expect(customer.get_by_text("$9.99 was charged to your card.")).to_be_visible()
    customer.get_by_role("link", name="Sessions").click()
    past = customer.locator("article", has_text="with Mia Moreno")
    for words in ("2015 Toyota Corolla", concern, "Completed", "$9.99"):
        expect(past).to_contain_text(words)
    mechanic.get_by_role("link", name="Earnings", exact=True).click()
    expect(mechanic.get_by_role("heading", name="Earnings")).to_be_visible()
    camera.take(mechanic, "earnings")


def test_a_mechanic_is_asked_for_by_name(account: Account, windows: Windows, camera: Camera) -> None:
    mechanic = signed_in(account, windows.open(phone=True, dark=True), "Mia Moreno")
    customer = signed_in(account, windows.open(phone=True), "Clara Costa")
    described(customer, "It drips.")
    customer.get_by_label("Free").check()
    expect(customer.get_by_label("Mechanic", exact=True)).to_have_count(0)
    customer.get_by_role("button", name="Ask now").click()
    played(customer, mechanic, "It drips.", camera)
    mechanic.get_by_role("link", name="Queue").click()
    customer.get_by_role("link", name="Sessions").click()
    again = customer.get_by_role("link", name="Ask again: Mia Moreno")
    expect(again).to_be_visible()
    camera.take(customer, "whom she had")
    again.click()
    described(customer, "It drips again.")
    customer.get_by_label("Free").check()
    chosen = customer.get_by_label("Mechanic", exact=True)
    expect(chosen.locator("option:checked")).to_have_text("Mia Moreno")
    chosen.scroll_into_view_if_needed()
    camera.take(customer, "asking for her")
    customer.get_by_role("button", name="Ask now").click()
    expect(customer.get_by_role("heading", name="Asking the mechanic you chose")).to_be_visible()
    camera.take(customer, "she is asked")
    offer = mechanic.locator("section", has=mechanic.get_by_role("heading", name="Asked for you"))
    expect(offer.locator("article")).to_contain_text("It drips again.")
    expect(offer.locator("time[data-direction='-1']")).to_have_text(re.compile(r"[01]:\d\d"))
    camera.take(mechanic, "asked for by name")
    offer.get_by_role("button", name="Decline").click()
    expect(customer.get_by_role("heading", name="Finding you a mechanic")).to_be_visible()
    customer.get_by_role("button", name="Cancel this request").click()
    customer.get_by_role("button", name="Cancel the request").click()
    expect(customer.get_by_role("heading", level=1)).to_have_text(re.compile("cancelled.* before anybody accepted it"))
    camera.take(customer, "cancelled")
    customer.get_by_role("button", name="Ask again").click()
    expect(customer.get_by_label("Describe what it does")).to_have_value("It drips again.")
    expect(customer.get_by_label("Model")).to_have_value("Corolla")
    expect(customer.get_by_label("E-mail")).to_have_value("cora@example.com")


def test_nothing_is_ended_before_its_end_was_confirmed(account: Account, windows: Windows, camera: Camera) -> None:
    customer = signed_in(account, windows.open(phone=True, dark=True), "Somebody new")
    described(customer, "It pulls to the left.")
    customer.get_by_label("Free").check()
    customer.get_by_role("button", name="Ask now").click()
    cancel = customer.get_by_role("button", name="Cancel this request")
    cancel.focus()
    customer.keyboard.press("Enter")
    dialog = customer.get_by_role("dialog", name="Cancel this request?")
    expect(dialog).to_have_accessible_description(re.compile("Nothing is charged"))
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    camera.take(customer, "cancel this request")
    customer.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(cancel).to_be_focused()
    customer.reload()
    cancel.click()
    customer.keyboard.press("Enter")
    expect(cancel).to_be_visible()
    customer.get_by_role("button", name="Cancel this request").click()
    customer.keyboard.press("Shift+Tab")
    customer.keyboard.press("Enter")
    at_stage(customer, "over")


@pytest.mark.parametrize("address", ["/", "/console", "/console/"], ids=["root", "console", "folder"])
def test_every_address_of_the_console_leads_to_its_front(account: Account, windows: Windows, address: str) -> None:
    page = windows.open()
    page.goto(f"{account.cloud.api_url}{address}")
    page.wait_for_url(re.compile(r"/console/index\.html$"))
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_what_is_wrong_is_said_where_it_is(account: Account, windows: Windows, camera: Camera) -> None:
    customer = signed_in(account, windows.open(), "Somebody new")
    described(customer, "It rattles.")
    customer.get_by_label("Free").check()
    customer.get_by_label("Year").fill("1700")
    customer.get_by_role("button", name="Ask now").click()
    year = customer.get_by_label("Year")
    expect(year).to_have_attribute("aria-invalid", "true")
    expect(year).to_be_focused()
    expect(year).to_have_accessible_description(re.compile(r"^This must be a year from 1886 to 20\d\d\.$"))
    camera.take(customer, "refused")


def test_an_empty_form_says_of_each_field_that_it_is_missing_until_it_is_not(
    account: Account, windows: Windows, camera: Camera
) -> None:
    customer = signed_in(account, windows.open(phone=True), "Somebody new")
    missing = customer.locator("#intake [aria-invalid]")
    concern = customer.get_by_label("Describe what it does")
    expect(concern).to_be_visible()
    expect(customer.get_by_label("Year")).to_be_hidden()  # it asks for one thing after the other
    customer.get_by_role("button", name="Continue").click()
    expect(missing).to_have_count(1)
    expect(concern).to_be_focused()
    expect(concern).to_have_accessible_description("Please say what it does: a few words are enough.")
    camera.take(customer, "nothing filled in")
    described(customer, "It whistles.")
    expect(missing).to_have_count(0)
    for label in ("E-mail", "Make"):
        customer.get_by_label(label).fill("")
    customer.get_by_label("VIN").fill("1HGCM82633A00435I")
    waiver = customer.get_by_label("I have read and agree")
    waiver.uncheck()
    customer.get_by_role("button", name="Ask now").click()
    expect(missing).to_have_count(4)
    expect(customer.get_by_label("Make")).to_be_focused()  # the first on the page
    expect(customer.get_by_label("Make")).to_have_accessible_description("Please fill this in.")
    expect(customer.get_by_label("VIN")).to_have_accessible_description(re.compile("none of them I, O or Q"))
    expect(waiver).to_have_accessible_description("Please agree to this first.")
    camera.take(customer, "what is wrong")
    waiver.check()
    expect(customer.get_by_text("Please agree to this first.")).to_have_count(0)
    expect(missing).to_have_count(3)


def test_credits_that_one_does_not_have_cannot_be_chosen(account: Account, windows: Windows) -> None:
    customer = signed_in(account, windows.open(), "Somebody new")
    described(customer, "It hums.")
    for plan, price in (("Quick", "1 credit (you have 0)"), ("Video consultation", "3 credits (you have 0)")):
        customer.get_by_label(plan).check()
        option = customer.get_by_label("Pay with").get_by_role("option", name=price, exact=True)
        expect(option).to_be_disabled()


@pytest.mark.parametrize(
    ("name", "theirs", "others"),
    [
        ("Somebody new", "A quote for your car", "A payout is on its way"),
        ("Mia Moreno", "A payout is on its way", "A payment did not go through"),
    ],
)
def test_settings_offer_only_what_concerns_their_reader(  # noqa: PLR0913, PLR0917 (the fixtures, and who and what)
    account: Account, windows: Windows, camera: Camera, name: str, theirs: str, others: str
) -> None:
    page = signed_in(account, windows.open(phone=True), name)
    page.get_by_role("link", name="Messages").click()
    page.get_by_role("link", name="Notification settings").click()
    expect(page.get_by_role("group", name=theirs)).to_be_visible()
    expect(page.get_by_role("group", name=others)).to_have_count(0)
    camera.take(page, "settings")


def test_a_page_that_is_reloaded_while_live_is_in_the_session_again(account: Account, windows: Windows) -> None:
    mechanic = signed_in(account, windows.open(), "Mia Moreno")
    customer = signed_in(account, windows.open(), "Somebody new")
    concern = "It stalls at lights."
    described(customer, concern)
    customer.get_by_label("Free").check()
    customer.get_by_role("button", name="Ask now").click()
    mechanic.locator("article", has_text=concern).get_by_role("button", name="Accept").click()
    pages = (customer, mechanic)
    for page in pages:
        at_stage(page, "live")
    note(mechanic, "Clean the throttle.")
    say(customer, "Only when it is warm.")
    for page in pages:
        page.reload()
    for page in pages:
        at_stage(page, "live")
        expect(page.get_by_text("Only when it is warm.")).to_be_visible()
        expect(page.locator(".presence")).to_have_text("here")
    expect(mechanic.get_by_label("Notes for the customer")).to_have_value("Clean the throttle.")
    ended_by(customer)
    at_stage(mechanic, "over")
    expect(mechanic.get_by_label("Notes for the customer")).to_have_value("Clean the throttle.")
    mechanic.get_by_role("button", name="Send them now").click()
    expect(mechanic.get_by_text("The customer has them.")).to_be_visible()
    customer.reload()
    expect(customer.get_by_text("Clean the throttle.")).to_be_visible()


def test_who_signs_out_leaves_nothing_for_the_next_one(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Somebody new")
    described(page, "It is mine alone.")
    page.get_by_label("VIN").fill("no VIN")
    page.get_by_label("Free").check()
    page.get_by_role("button", name="Ask now").click()
    expect(page.get_by_text("17 letters and digits, none of them")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Cyrus Chen").click()
    expect(page.get_by_label("Describe what it does")).to_have_value("")


@pytest.mark.parametrize(
    ("name", "tabs"),
    [
        ("Somebody new", ["sessions", "credits", "messages"]),
        ("Mia Moreno", ["earnings", "sessions", "messages"]),
        ("Ada", ["health", "sessions", "mechanics", "dead-letters"]),
    ],
)
def test_every_tab_is_an_address_of_its_own(account: Account, windows: Windows, name: str, tabs: list[str]) -> None:
    page = signed_in(account, windows.open(), name)
    for tab in tabs:
        page.goto(f"{page.url.partition('#')[0]}#{tab}")
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_role("heading", name="That did not work")).to_have_count(0)


def test_a_token_that_is_refused_later_leads_to_signing_in_again(account: Account, windows: Windows) -> None:
    customer = signed_in(account, windows.open(), "Somebody new")
    expect(customer.get_by_role("heading", name="What is wrong with your car?")).to_be_visible()
    customer.evaluate(
        "sessionStorage.setItem('autodoctor.signed-in', JSON.stringify({"
        "...JSON.parse(sessionStorage.getItem('autodoctor.signed-in')), token: 'revoked', refresh: null, since: 0}))"
    )
    customer.get_by_role("link", name="Sessions").click()
    expect(customer.get_by_role("heading", name="Who are you?")).to_be_visible()
    customer.get_by_role("link", name="Cora Castillo").click()
    expect(customer.get_by_role("heading", name="Your sessions")).to_be_visible()
    windows.troubles.expect("401")
