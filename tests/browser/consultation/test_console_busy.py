"""A mechanic's second tab while they are in a session."""

import pytest
from playwright.sync_api import expect

from autodoctor.ids import new_id
from localcloud.identity.roster import ROSTER
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, signed_in
from support.browser.window import Camera, Windows
from support.world import Mechanic

MIA = next(each for each in ROSTER if each.key == "mechanic1")


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def test_who_is_in_a_session_takes_no_other_until_it_is_over(
    account: Account, windows: Windows, camera: Camera
) -> None:
    assert MIA.row_id is not None
    world, customer = account.world, new_id()
    session = world.waiting(Mechanic(MIA.row_id, MIA.sub), customer).session_id
    world.queued(name="Nora New")
    page = signed_in(account, windows.open(), MIA.name)
    accept = page.get_by_role("button", name="Accept")
    expect(page.get_by_text("You are in a session: you can take another one when it is over.")).to_be_visible()
    expect(accept).to_be_disabled()
    camera.take(page, "busy")
    world.end(customer, session)
    expect(page.get_by_text("You are available")).to_be_visible()
    expect(accept).to_be_enabled()
