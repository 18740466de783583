"""A quote comes to the session's page while that is open, though its feed says nothing of quotes."""

import re

import pytest
from playwright.sync_api import expect

from localcloud.identity.roster import WORKSHOP_NAME
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings
from support.browser.meeting import asked, taken
from support.browser.window import Windows
from support.room.member import Member


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def test_a_quote_comes_to_a_page_that_its_feed_says_nothing_of(account: Account, windows: Windows) -> None:
    page = windows.open()
    page.clock.install()
    session = asked(account, page)
    mechanic = taken(account, session)
    with Member(mechanic, f"/api/sessions/{session}"):
        at_stage(page, "live")
        workshop = account.world.one("SELECT id FROM workshops WHERE name = %s", WORKSHOP_NAME)
        mechanic.post(f"/api/sessions/{session}/escalate", {"workshopId": str(workshop)}, 201)
        for _ in range(4):
            page.clock.run_for(30_000)
            page.wait_for_timeout(500)  # what it asked for is answered, or the connection would count as lost
        expect(page.get_by_role("heading", name=f"Quote of {WORKSHOP_NAME}")).to_be_attached()
        with page.expect_response(re.compile("/quotes$")):
            page.clock.run_for(31_000)
