"""Every state of a session's page outlives a slow network, none, a reload, the way back, and the end of a token."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from localcloud.identity.roster import ROSTER
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, say, signed_in
from support.browser.mishaps import back, offline, reload, signed_out_meanwhile, slow, token_expires, token_of
from support.browser.window import Windows
from support.world import Mechanic, World

type Made = Callable[[World], UUID]
type Role = Literal["customer", "mechanic"]

CYRUS, MAX = (next(each for each in ROSTER if each.key == key) for key in ("customer2", "mechanic2"))
NAMES: dict[Role, str] = {"customer": CYRUS.name, "mechanic": MAX.name}
TALKING = ("searching", "connecting", "live")
"""Where there is something to write in."""


def mechanic() -> Mechanic:
    assert MAX.row_id is not None
    return Mechanic(MAX.row_id, MAX.sub)


def booked(world: World) -> UUID:
    return world.queued(CYRUS.sub, scheduledFor=(datetime.now(UTC) + timedelta(days=7)).isoformat()).session_id


def unsigned(world: World) -> UUID:
    return world.pending(CYRUS.sub).session_id


def asked(world: World) -> UUID:
    return world.queued(CYRUS.sub, preferredMechanicId=MAX.row_id).session_id


def searching(world: World) -> UUID:
    return world.queued(CYRUS.sub).session_id


def connecting(world: World) -> UUID:
    return world.waiting(mechanic(), CYRUS.sub).session_id


def live(world: World) -> UUID:
    return world.live(mechanic(), CYRUS.sub).session_id


def over(world: World) -> UUID:
    session_id = live(world)
    world.end(CYRUS.sub, session_id)
    return session_id


STATES: list[tuple[Role, Made]] = [
    *(("customer", made) for made in (booked, unsigned, asked, searching, connecting, live, over)),
    *(("mechanic", made) for made in (connecting, live, over)),
]
EACH = pytest.mark.parametrize(("role", "made"), STATES, ids=[f"{role}-{made.__name__}" for role, made in STATES])


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


@pytest.fixture
def session(account: Account, made: Made) -> Iterator[UUID]:
    """A session of the roster's in this state, until the test is over."""
    account.world.lift_limits()  # one customer asks for all of them
    session_id = made(account.world)
    yield session_id
    account.world.end(CYRUS.sub, session_id)


def opened(account: Account, windows: Windows, role: Role, session: UUID, stage: str) -> Page:
    """The session's page, which asks first who is there: from their own page some would be led here by themselves."""
    page = windows.open(phone=role == "customer")
    page.goto(f"{account.cloud.api_url}/console/chat/{session}")
    page.get_by_role("link", name=NAMES[role]).click()
    at_stage(page, stage)
    return page


@EACH
def test_slow_reloaded_back_and_without_a_network(
    account: Account, windows: Windows, session: UUID, role: Role, made: Made
) -> None:
    stage = made.__name__
    page = opened(account, windows, role, session, stage)
    for happens in (slow, reload, back):
        happens(page, lambda page: at_stage(page, stage))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    strip = page.locator(".strip")
    expect(strip).to_be_hidden()
    with offline(page):
        expect(strip).to_contain_text("You are offline.")
        at_stage(page, stage)
        if stage in TALKING:
            say(page, "I wrote this in a tunnel.")
    expect(strip).to_be_hidden()
    at_stage(page, stage)
    expect(page.locator(".messages .waiting")).to_have_count(0)
    windows.troubles.overlook("ERR_INTERNET_DISCONNECTED")


@EACH
def test_a_token_that_expires(account: Account, windows: Windows, session: UUID, role: Role, made: Made) -> None:
    stage = made.__name__
    page = opened(account, windows, role, session, stage)
    address = page.url
    page.evaluate("window.untouched = true")
    token_expires(account, page)
    if stage in TALKING:
        say(page, "I am still here.")
        expect(page.locator(".messages .waiting")).to_have_count(0)
        page.get_by_label("Message", exact=True).fill("It began when")
    at_stage(page, stage)
    assert page.evaluate("window.untouched"), "it was left for the sign-in"
    signed_out_meanwhile(account, page)
    page.reload()
    expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()
    page.get_by_role("link", name=NAMES[role]).click()
    at_stage(page, stage)
    assert page.url == address
    if stage in TALKING:
        expect(page.get_by_label("Message", exact=True)).to_have_value("It began when")
    windows.troubles.expect("400")


def test_a_token_that_is_revoked_is_renewed_once(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), CYRUS.name)
    page.evaluate(
        "key => sessionStorage.setItem(key, JSON.stringify({"
        "...JSON.parse(sessionStorage.getItem(key)), token: 'revoked', since: 0}))",
        "autodoctor.signed-in",
    )
    page.get_by_role("link", name="Receipts").click()
    expect(page.get_by_role("heading", name="Your receipts")).to_be_visible()
    assert token_of(page) != "revoked"
    windows.troubles.expect("401")
