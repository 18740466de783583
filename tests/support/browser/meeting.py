"""Two people of the roster who meet on the session's page: Mia Moreno, and a customer who asks for help now."""

import re
from dataclasses import dataclass
from uuid import UUID

from playwright.sync_api import Locator, Page

from support.account import Account, Caller
from support.browser.console import at_stage, signed_in
from support.browser.window import Windows

CUSTOMER = "Somebody new"
MECHANIC = "Mia Moreno"


@dataclass(frozen=True)
class Meeting:
    """A session, as its two parties see it.

    Attributes:
        customer: the customer's window.
        mechanic: the mechanic's window.
        session_id: the session.
    """

    customer: Page
    mechanic: Page
    session_id: UUID


def asked(account: Account, page: Page, concern: str = "It squeals when I brake.", plan: str = "Free") -> UUID:
    """Have somebody new ask for help, and stand in the waiting room; gives the session."""
    signed_in(account, page, CUSTOMER)
    page.get_by_label("Describe what it does").fill(concern)
    for label, value in (("Year", "2015"), ("Make", "Toyota"), ("Model", "Corolla"), ("Your name", "Cora Castillo")):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_label("E-mail").fill("cora@example.com")
    page.get_by_label("I have read and agree").check()
    page.get_by_label(plan).check()
    page.get_by_role("button", name="Ask now").click()
    at_stage(page, "searching")
    return UUID(page.url[-36:])


def accepted(mechanic: Page, concern: str = "It squeals when I brake.") -> None:
    """Have the mechanic take it from the queue, which leads to the session's page."""
    mechanic.locator("article", has_text=concern).get_by_role("button", name="Accept").click()
    mechanic.wait_for_url(re.compile("/console/(chat|video)/"))


def taken(account: Account, session_id: UUID) -> Caller:
    """Have a mechanic take a session by the API, without a page; gives the mechanic."""
    mechanic = account.mechanic()
    assignment = account.world.one("SELECT current_assignment_id FROM sessions WHERE id = %s", session_id)
    mechanic.post(f"/api/mechanic/assignments/{assignment}/accept")
    return mechanic


def met(account: Account, windows: Windows, *, phone: bool = False, others: Windows | None = None) -> Meeting:
    """Both on the page of a session that is live, the customer perhaps with a phone.

    With `others`, a second browser, the mechanic is there, and both may use camera and microphone.
    """
    devices = others is not None
    mechanic = signed_in(account, (others or windows).open(devices=devices), MECHANIC)
    customer = windows.open(phone=phone, devices=devices)
    session_id = asked(account, customer)
    accepted(mechanic)
    for page in (customer, mechanic):
        at_stage(page, "live")
    return Meeting(customer, mechanic, session_id)


def messages(page: Page) -> Locator:
    """The list of what was said."""
    return page.get_by_role("region", name="Messages")


def words(page: Page) -> list[str]:
    """What people have said, as it stands in the page, in order; what is not sent yet comes last."""
    return messages(page).locator(".words").all_inner_texts()
