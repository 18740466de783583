"""A connection that nothing comes through any more, and that says nothing of it, is replaced by another."""

import re

import pytest
from playwright.sync_api import WebSocketRoute, expect

from bench.costs.consultation import SIGN_SECONDS
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, say
from support.browser.meeting import asked, taken
from support.browser.window import Windows
from support.room.member import Member

SILENT_MS = 40_000


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def test_a_connection_that_swallows_everything_is_replaced(account: Account, windows: Windows) -> None:
    page = windows.open()
    page.clock.install()
    dead: list[WebSocketRoute] = []
    opened: list[WebSocketRoute] = []

    def through(client: WebSocketRoute) -> None:
        server = client.connect_to_server()
        opened.append(client)
        client.on_message(lambda said: None if client in dead else server.send(said))
        server.on_message(lambda said: None if client in dead else client.send(said))

    page.route_web_socket(re.compile(r"/_ws/"), through)
    session = asked(account, page)
    mechanic = taken(account, session)
    with Member(mechanic, f"/api/sessions/{session}") as helper:
        at_stage(page, "live")
        dead.append(opened[-1])
        helper.say("Can you hear me?")
        page.clock.run_for(SIGN_SECONDS * 1000)  # the page says that it is there, and gets no answer
        expect(page.get_by_text("Can you hear me?", exact=True)).to_have_count(0)
        page.clock.run_for(SILENT_MS)
        expect(page.get_by_text("Can you hear me?", exact=True)).to_be_visible()
        assert opened[-1] not in dead
        say(page, "I can.")
        helper.hears("I can.")
