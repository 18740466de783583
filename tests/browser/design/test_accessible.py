"""Every page, light and dark, wide and narrow: axe-core finds nothing in it, and it does not shift while it loads."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from autodoctor.ids import new_id
from browser.money.test_console_statements import EARNED
from browser.operators.test_console_cases import CORA, MIA, talked
from localcloud.identity.roster import ROSTER
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.accessible import Walk, Walks
from support.browser.console import console_settings
from support.sessions.past_sessions import PastSessions, Story
from support.world import Mechanic

pytestmark = pytest.mark.npm

CYRUS, MAX = (next(each for each in ROSTER if each.key == key) for key in ("customer2", "mechanic2"))
OTHERS = ("/", "/_dev", "/_dev/mail", "/_dev/rooms", "/_dev/meetings", "/_dev/alerts", "/_stripe")


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def search(page: Page) -> None:
    """Leave what a search finds: the other hundred operations are made alike, and axe takes minutes for them all."""
    page.get_by_label("Search operations").fill("post intake")
    expect(page.locator("#listPlans")).to_be_hidden()
    page.evaluate("for (const each of document.querySelectorAll('main [hidden], nav [hidden]')) each.remove()")


def test_pages_for_everybody(account: Account, walks: Walks) -> None:
    walk, customer = walks(None), account.customer()
    session = account.queued(customer)["sessionId"]
    customer.post(f"/api/sessions/{session}/end", {})
    walk.see(f"/_dev?session={session}", walk.page.get_by_text("/end"))
    for address in OTHERS:
        walk.see(address)
    walk.see("/api/docs", do=search)
    walk.see("/_dev/components", walk.page.get_by_role("heading", name="Data"))
    walk.see("/console/custmer.html")
    assert walk.found == []


def test_a_drivers_pages(account: Account, walks: Walks) -> None:
    talked(account)
    walk = walks(CORA.name)
    page = walk.page
    page.get_by_role("link", name="Receipts").click()
    receipt = page.locator("tbody a").first.get_attribute("href")
    for tab in ("now", "now?later", "sessions", "credits", "receipts", "messages"):
        walk.see(f"customer.html#{tab}")
    walk.see(f"customer.html{receipt}", page.get_by_role("heading", name="Receipt 20"))
    walk.see("settings.html")
    assert walk.found == []


def test_a_mechanics_pages(account: Account, walks: Walks) -> None:
    talked(account)
    account.world.urgent(name="Nora New")
    account.world.owner.execute(EARNED)
    walk = walks(MIA.name)
    for tab in ("queue", "earnings", "sessions", "quotes", "messages"):
        walk.see(f"mechanic.html#{tab}")
    walk.see(f"mechanic.html#statement?month={datetime.now(UTC):%Y-%m}")
    walk.see("settings.html")
    assert walk.found == []


def test_a_mechanics_pages_while_they_are_in_a_session(account: Account, walks: Walks) -> None:
    assert MIA.row_id is not None
    world, customer = account.world, new_id()
    session = world.waiting(Mechanic(MIA.row_id, MIA.sub), customer).session_id
    world.urgent(name="Nora New")
    walk = walks(MIA.name)
    walk.see("mechanic.html#queue", walk.page.get_by_text("You are in a session"))
    world.end(customer, session)
    assert walk.found == []


def test_an_operators_pages(account: Account, walks: Walks) -> None:
    world, session = account.world, talked(account)
    PastSessions(world).sessions(4, datetime.now(UTC) - timedelta(hours=5), Story())
    walk = walks("Ada Adler")
    for tab in ("health", "sessions", "sessions?status=completed", "mechanics", "plans", "cases", "dead-letters"):
        walk.see(f"admin.html#{tab}")
    for one in (f"session?id={session}", f"mechanic?id={MIA.row_id}", "plan?code=standard", f"case?id={session}"):
        walk.see(f"admin.html#{one}")
    assert walk.found == []


def test_a_session_in_every_state(account: Account, walks: Walks) -> None:
    assert MAX.row_id is not None
    world, mechanic = account.world, Mechanic(MAX.row_id, MAX.sub)
    customers, mechanics = walks(CYRUS.name), walks(MAX.name)
    session = world.pending(CYRUS.sub).session_id

    def see(walk: Walk, stage: str) -> None:
        walk.see(f"chat/{session}", walk.page.locator(f"body[data-stage={stage}] main"))

    see(customers, "unsigned")
    world.sign(CYRUS.sub, session)
    see(customers, "searching")
    world.accept_current(mechanic, session)
    see(customers, "connecting")
    world.meet(session, CYRUS.sub, mechanic)
    see(customers, "live")
    see(mechanics, "live")
    world.end(CYRUS.sub, session)
    for walk in (customers, mechanics):
        see(walk, "over")
        assert walk.found == []
