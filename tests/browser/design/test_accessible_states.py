"""What only acts lead to, and states that are rare: axe-core finds nothing there either."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from autodoctor.ids import new_id
from browser.operators.test_console_cases import disputed
from localcloud.identity.roster import ROSTER, WORKSHOP_ID
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.accessible import Walks
from support.browser.console import console_settings
from support.browser.window import Windows
from support.events.dead_letter_queues import DeadLetterQueues
from support.money.quote_case import QuoteCase
from support.world import Mechanic

pytestmark = pytest.mark.npm

CYRUS, MAX, WALT = (
    next(each for each in ROSTER if each.key == key) for key in ("customer2", "mechanic2", "workshopMechanic")
)


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


@pytest.fixture
def suspended(account: Account) -> Iterator[UUID]:
    """Suspend one of the roster's mechanics, and reinstate them afterwards."""
    assert MAX.row_id is not None
    reason = {"status": "suspended", "suspensionReason": "Three customers waited for you in vain this week."}
    account.admin().send("PATCH", f"/api/admin/mechanics/{MAX.row_id}", reason).raise_for_status()
    yield MAX.row_id
    account.admin().send("PATCH", f"/api/admin/mechanics/{MAX.row_id}", {"status": "active"}).raise_for_status()


def test_asking_step_by_step(walks: Walks) -> None:
    walk = walks("Somebody new")
    page = walk.page
    walk.look("what is wrong")
    page.get_by_label("Describe what it does").fill("It squeals when I brake.")
    walk.look("the car")
    for label, value in (("Year", "1015"), ("Make", "Toyota"), ("Model", "Corolla")):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_label("Year")).to_be_focused()
    walk.look("a year that is none")
    page.get_by_label("Year").fill("2015")
    page.get_by_label("Quick").check()
    page.get_by_text("Later instead of now").click()
    walk.look("when and how")
    for label, value in (("Your name", "Cora Castillo"), ("E-mail", "cora@example.com")):
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_label("I have read and agree")).to_be_focused()
    walk.look("not agreed to")
    assert walk.found == []


def test_a_booked_session(account: Account, walks: Walks) -> None:
    next_week = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    session = account.world.queued(CYRUS.sub, scheduledFor=next_week).session_id
    walk = walks(CYRUS.name)
    walk.see(f"chat/{session}", walk.page.locator("body[data-stage=booked] main"))
    account.world.end(CYRUS.sub, session)
    assert walk.found == []


def test_a_request_that_is_offered_by_name(account: Account, walks: Walks) -> None:
    asked = account.world.queued(customer := new_id(), preferredMechanicId=MAX.row_id)
    walk = walks(MAX.name)
    walk.see("mechanic.html#queue", walk.page.get_by_role("heading", name="Asked for you"))
    account.world.end(customer, asked.session_id)
    assert walk.found == []


@pytest.mark.usefixtures("suspended")
def test_what_a_suspended_mechanic_sees(walks: Walks, windows: Windows) -> None:
    walk = walks(MAX.name)
    walk.see("mechanic.html", walk.page.get_by_text("Three customers waited for you"))
    windows.troubles.expect("403")
    assert walk.found == []


def test_a_quote_at_the_workshop_and_at_the_customer(account: Account, walks: Walks) -> None:
    assert MAX.row_id is not None
    assert WALT.row_id is not None
    world, mechanic = account.world, Mechanic(MAX.row_id, MAX.sub)
    session = world.live(mechanic, CYRUS.sub).session_id
    case = QuoteCase(world, CYRUS.sub, mechanic, session, WORKSHOP_ID, Mechanic(WALT.row_id, WALT.sub))
    quote = case.escalate(note="Needs new front discs.")
    foreman = walks(WALT.name)
    foreman.see("mechanic.html#quotes")
    foreman.see(f"mechanic.html#quote?id={quote.quote_id}")
    case.give(quote, 48050, "Discs and pads.")
    case.complete()
    customer = walks(CYRUS.name)
    customer.see(f"chat/{session}", customer.page.get_by_role("button", name="Approve"))
    assert foreman.found + customer.found == []


def test_a_dispute_and_letters_that_were_not_delivered(account: Account, walks: Walks) -> None:
    queues, detail = DeadLetterQueues(account.cloud.api_url), {"eventId": str(new_id()), "sessionId": str(new_id())}
    queues.undelivered(json.dumps({"detail-type": "session.ended", "detail": detail}), "FeedQueue.fifo")
    queues.put("SettleDeadLetterQueue", json.dumps({"detail-type": "session.ended", "detail": {}}))
    walk = walks("Ada Adler")
    walk.see("admin.html#dead-letters", walk.page.get_by_role("button", name="Send again").first, do=asked_to_send)
    walk.see(f"admin.html#dispute?id={disputed(account.world)}", walk.page.get_by_text("There is no signature"))
    assert walk.found == []


def asked_to_send(page: Page) -> None:
    """Have the page ask whether to send them."""
    page.get_by_role("button", name="Send again").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
