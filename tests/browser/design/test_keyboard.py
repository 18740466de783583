"""A paid consultation by the keyboard alone, on both sides, from the front page to the receipt."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from localcloud.identity.roster import ROSTER
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings
from support.browser.keyboard import Keyboard
from support.browser.meeting import messages
from support.browser.window import Camera, Windows

CONCERN = "It smells of burnt rubber."


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def entered(account: Account, page: Page, name: str, button: str) -> Keyboard:
    """Sign in from the front page, by one of its buttons."""
    page.goto(f"{account.cloud.api_url}/")
    keyboard = Keyboard(page)
    keyboard.press(page.get_by_role("button", name=button))
    keyboard.press(page.get_by_role("link", name=name))
    page.wait_for_url(re.compile(r"/console/(customer|mechanic)\.html"))
    return keyboard


def asked(customer: Keyboard) -> None:
    """Fill in the steps as they unfold; the second plan is the paid one."""
    page = customer.page
    customer.type(page.get_by_label("Describe what it does"), CONCERN)
    customer.press(page.get_by_label("It is urgent"), "Space")
    for label, value in (("Year", "2015"), ("Make", "Toyota"), ("Model", "Corolla")):
        customer.type(page.get_by_label(label, exact=True), value)
    customer.press(page.get_by_label("Free"), "ArrowDown")
    expect(page.get_by_label("Quick")).to_be_checked()
    customer.check()
    for label, value in (("Your name", "Cora Castillo"), ("E-mail", "cora@example.com")):
        if not page.get_by_label(label).input_value():
            customer.type(page.get_by_label(label), value)
    customer.press(page.get_by_role("button", name="Continue to payment"))
    expect(page.get_by_label("I have read and agree")).to_be_focused()  # what was left out
    customer.check()
    page.keyboard.press("Space")
    customer.press(page.get_by_role("button", name="Continue to payment"))


def paid(customer: Keyboard) -> None:
    """On the page of the stand-in for Stripe, from which the way leads to the waiting room."""
    page = customer.page
    customer.type(page.get_by_label("Name on card"), "Cora Castillo")
    customer.press(page.get_by_role("button", name="Pay", exact=True))
    at_stage(page, "searching")


def talked(customer: Keyboard, mechanic: Keyboard) -> None:
    """Both write, and stay where they write."""
    for person, words in ((mechanic, "Let me see."), (customer, "Here I am.")):
        person.type(person.page.get_by_label("Message", exact=True), words)
        person.page.keyboard.press("Enter")
        expect(messages(person.page).get_by_text(words, exact=True)).to_be_visible()
        assert "message" in person.check()["what"]


def asked_to_end(customer: Keyboard, no: str, yes: str) -> Locator:
    """End it, after being asked: once no, once yes; returns the button that begins it."""
    page = customer.page
    end = page.get_by_role("button", name="End session")
    customer.press(end)
    customer.press(page.get_by_role("dialog").get_by_role("button", name=no))
    expect(end).to_be_focused()
    page.keyboard.press("Enter")
    customer.press(page.get_by_role("dialog").get_by_role("button", name=yes))
    return end


def ended(customer: Keyboard) -> None:
    asked_to_end(customer, "Stay in it", "End it now")
    at_stage(customer.page, "over")
    customer.check()


def completed(mechanic: Keyboard) -> None:
    """The end came while the notes were typed: they are typed on, and sent."""
    page, notes = mechanic.page, mechanic.page.get_by_label("Notes for the customer")
    at_stage(page, "over")
    expect(notes).to_be_focused()
    page.keyboard.type(", soon.")
    mechanic.press(page.get_by_role("button", name="Send them now"))
    expect(page.get_by_text("The customer has them.")).to_be_visible()
    expect(page.get_by_role("link", name="See your earnings")).to_be_visible()
    expect(notes).to_have_value("New pads, soon.")
    mechanic.check()


def test_a_paid_consultation_by_keyboard(account: Account, windows: Windows, camera: Camera) -> None:
    mechanic = entered(account, windows.open(), "Mia Moreno", "Sign in")
    customer = entered(account, windows.open(), "Cora Castillo", "Ask a mechanic")
    asked(customer)
    paid(customer)
    customer.go_to(customer.page.get_by_role("button", name="Cancel this request"))
    camera.take(customer.page, "waiting")
    mechanic.press(mechanic.page.get_by_role("button", name=re.compile(r"Accept · \$6\.99, Quick, 30\smin")))
    mechanic.page.wait_for_url(re.compile("/console/(chat|video)/"))
    expect(customer.page.get_by_role("heading", name="Mia Moreno").first).to_be_visible()
    customer.check()  # what had the focus is gone
    talked(customer, mechanic)
    for person in (customer, mechanic):
        at_stage(person.page, "live")
    account.world.let_time_pass(90)
    mechanic.type(mechanic.page.get_by_label("Notes for the customer"), "New pads")
    ended(customer)
    completed(mechanic)
    customer.press(customer.page.get_by_role("link", name="Receipt", exact=True))
    customer.press(customer.page.locator("tbody a"))
    expect(customer.page.get_by_role("heading", name="Receipt 20")).to_be_visible()
    customer.check()
    camera.take(customer.page, "the receipt")


def test_a_request_is_cancelled_in_the_banner(account: Account, windows: Windows) -> None:
    customer = entered(account, windows.open(), "Clara Costa", "Sign in")
    page, clara = customer.page, next(each for each in ROSTER if each.name == "Clara Costa")
    account.world.queued(clara.sub)
    page.goto(f"{account.cloud.api_url}/console/customer.html#sessions")
    page.reload()
    expect(asked_to_end(customer, "Keep it", "Cancel the request")).to_be_hidden()
    customer.check()


# All of it before the browser's next event, which is the dialog's `close`.
_ASKED_AGAIN_AT_ONCE = """async () => {
  document.querySelector('dialog button[value=no]').click();
  const at = document.activeElement.id;
  for (let turn = 0; turn < 20; turn++) await null;
  document.activeElement.click();
  return { at, dialogs: document.querySelectorAll('dialog[open]').length };
}"""


def test_who_thinks_again_is_asked_again_at_once(account: Account, windows: Windows) -> None:
    customer = entered(account, windows.open(), "Cora Castillo", "Sign in")
    page, cora = customer.page, next(each for each in ROSTER if each.name == "Cora Castillo")
    session_id = account.world.queued(cora.sub)
    page.goto(f"{account.cloud.api_url}/console/chat/{session_id}")
    customer.press(page.get_by_role("button", name="Cancel this request"))
    assert page.evaluate(_ASKED_AGAIN_AT_ONCE) == {"at": "withdraw", "dialogs": 1}
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Cancel this request")).to_be_focused()
    at_stage(page, "searching")
