"""How much a page asks of the console's function: all of it once, packed, and from then on the page alone."""

from collections import Counter
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page

from localcloud.identity.roster import ROSTER
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, signed_in
from support.browser.window import Windows

CYRUS = next(each for each in ROSTER if each.key == "customer2")
MOST_PACKED_BYTES = 110_000


class Loads:
    """What a page fetched of the console, as the browser's network counts it."""

    def __init__(self, page: Page) -> None:
        self.asked: Counter[str] = Counter()
        self.bytes = 0
        self._names: dict[str, str] = {}
        network: CDPSession = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.on("Network.responseReceived", self._answered)
        network.on("Network.dataReceived", self._received)
        network.on("Network.loadingFinished", self._loaded)

    def _answered(self, event: dict[str, Any]) -> None:
        answer = event["response"]
        if "/console/" in answer["url"] and not answer.get("fromDiskCache"):
            self._names[event["requestId"]] = answer["url"]

    def _received(self, event: dict[str, Any]) -> None:
        if event["requestId"] in self._names:
            self.bytes += int(event["encodedDataLength"])

    def _loaded(self, event: dict[str, Any]) -> None:
        if (name := self._names.pop(event["requestId"], None)) and event["encodedDataLength"]:
            self.asked[name.partition("/console/")[2]] += 1


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def test_a_page_that_is_known_asks_for_itself_alone(account: Account, windows: Windows) -> None:
    session = account.world.queued(CYRUS.sub).session_id
    page = signed_in(account, windows.open(), CYRUS.name)
    at_stage(page, "searching")
    page.wait_for_load_state("networkidle")
    loads = Loads(page)
    page.goto("about:blank")
    page.goto(f"{account.cloud.api_url}/console/video/{session}")
    at_stage(page, "searching")
    page.wait_for_load_state("networkidle")
    kept = [name for name in loads.asked if name.startswith("v/")]
    assert kept == [], loads.asked
    assert f"video/{session}" in loads.asked
    account.world.end(CYRUS.sub, session)


def test_a_page_that_is_new_comes_packed(account: Account, windows: Windows) -> None:
    session = account.world.queued(CYRUS.sub).session_id
    page = windows.open(phone=True)
    signed_in(account, page, CYRUS.name)
    at_stage(page, "searching")
    page.wait_for_load_state("networkidle")
    loads = Loads(page)
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    page.goto("about:blank")
    page.goto(f"{account.cloud.api_url}/console/chat/{session}")
    at_stage(page, "searching")
    page.wait_for_load_state("networkidle")
    once = [name for name, count in loads.asked.items() if name.startswith("v/") and count != 1]
    assert once == []
    assert 0 < loads.bytes < MOST_PACKED_BYTES, loads.asked
    account.world.end(CYRUS.sub, session)
