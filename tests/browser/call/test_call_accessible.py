"""The session's page with the preview of a call, and in a call: axe-core finds nothing in it."""

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.accessible import Walk
from support.browser.calls import call
from support.browser.console import console_settings
from support.browser.meeting import met
from support.browser.window import Windows

pytestmark = pytest.mark.npm


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return replace(console_settings(), evidence="witnessed")


def test_a_call_from_the_preview_on(account: Account, windows: Windows, others: Windows, script: str) -> None:
    meeting = met(account, windows, others=others)
    page = meeting.customer
    walk = Walk(page, account.cloud.api_url, script)
    page.get_by_role("button", name="Start video").click()
    expect(page.get_by_role("dialog").get_by_label("Your picture")).to_be_visible()
    walk.look("the preview")
    page.keyboard.press("Escape")
    call(meeting)
    walk.look("in a call")
    page.get_by_role("button", name="Mute", exact=True).click()
    page.get_by_role("button", name="Camera off").click()
    expect(page.get_by_role("button", name="Camera on")).to_be_visible()
    walk.look("muted, without a picture")
    assert walk.found == []
