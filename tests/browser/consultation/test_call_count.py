"""What a free consultation does to the account, with the consoles of both parties open: README has its costs."""

import json
import os
import re
import time
from collections import Counter
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, WebSocket, expect

from bench.costs.consultation import CALM_LOOKS, MINUTES, SIGN_SECONDS, Consultation, Stored
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, described, note, say, signed_in
from support.browser.meeting import asked, taken
from support.browser.requests import unanswered
from support.browser.window import Windows
from support.room.member import Member

MOST_CALLS = 20
MOST_INVOCATIONS = 43
SPLIT = 2
"""Queues may bring in two batches what they mostly bring in one."""
QUIET_SECONDS = 3.0
STEP_SECONDS = 10
"""How far the clock jumps at once: a page that looks every half a minute has its answer before it may look again."""

NO_POLLING = """
  const later = window.setTimeout;
  window.setTimeout = (work, ms, ...rest) => (ms >= 15000 ? 0 : later(work, ms, ...rest));
"""  # what is only asked because time has passed would count the machine's speed


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def unhurried(windows: Windows) -> Page:
    """Open a window that asks for nothing just because time passes."""
    page = windows.open()
    page.add_init_script(NO_POLLING)
    return page


def counted(page: Page, calls: Counter[str]) -> None:
    """Count the API calls of a page from now on."""

    def seen(request: Request) -> None:
        path = urlsplit(request.url).path
        if path.startswith("/api/"):  # a module of the console's may be in js/api/
            route = re.sub(r"[0-9a-f-]{36}", "{id}", path.removeprefix("/api/"))
            calls[f"{request.method} {route}"] += 1

    page.on("request", seen)


def rest(account: Account) -> int:
    """Wait until nothing happens any more; how many lines the account has logged."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        if len(account.lines) != seen:
            seen, since = len(account.lines), time.monotonic()
        time.sleep(0.1)
    return seen


@pytest.fixture
def consultation(account: Account, windows: Windows) -> Consultation:
    """Count a whole one, after another one, so that every function is warm."""
    for _ in range(2):
        mechanic = signed_in(account, unhurried(windows), "Mia Moreno")
        expect(mechanic.get_by_text("No requests right now")).to_be_visible()
        customer = signed_in(account, unhurried(windows), "Somebody new")
        described(customer, "It squeals when I brake.")
        customer.get_by_label("Free").check()
        customer.wait_for_load_state("networkidle")
        first, before = rest(account), Stored.of(account.world.owner)
        consulted(customer, mechanic)
        last, after = rest(account), Stored.of(account.world.owner)
        for page in (customer, mechanic):
            page.close()
    return Consultation.counted(account.lines[first:last], before, after)


def consulted(customer: Page, mechanic: Page) -> None:
    """Asked, accepted, a message each, notes, ended."""
    customer.get_by_role("button", name="Ask now").click()
    at_stage(customer, "searching")
    mechanic.get_by_role("button", name="Accept").click()
    for page in (customer, mechanic):
        at_stage(page, "live")
    say(customer, "Only when it is cold.")
    say(mechanic, "Let me see.")
    expect(customer.get_by_text("Let me see.", exact=True)).to_be_visible()
    note(mechanic, "New pads, soon.")
    mechanic.get_by_role("button", name="End session").click()
    mechanic.get_by_role("button", name="End it now").click()
    for page in (customer, mechanic):
        at_stage(page, "over")
        page.wait_for_load_state("networkidle")


def test_a_consultation_costs_no_more_than_the_readme_says(consultation: Consultation) -> None:
    """With COUNT=write in the environment, what was counted is what README's table is made of from now on."""
    if os.environ.get("COUNT") == "write":
        consultation.state()
    stated = Consultation.stated()
    assert consultation.calls <= stated.calls <= MOST_CALLS, consultation
    assert consultation.invoked <= stated.invoked + SPLIT <= MOST_INVOCATIONS + SPLIT, consultation
    assert consultation.events <= stated.events, consultation
    assert consultation.mails <= stated.mails, consultation
    assert consultation.queue_messages <= stated.queue_messages, consultation
    assert consultation.files <= stated.files, consultation
    assert consultation.rows <= stated.rows, consultation
    assert consultation.log_lines <= consultation.invoked, "more than a line a request"


def test_a_quarter_of_an_hour_asks_for_little(account: Account, windows: Windows) -> None:
    """While the feed is open it says what changes; a sign of life is one action, answered by the room itself."""
    page = windows.open()
    page.clock.install()
    actions: Counter[str] = Counter()
    answers: list[str] = []

    def watched(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: actions.update([str(json.loads(frame)["action"])]))
        socket.on("framereceived", lambda frame: answers.append(str(json.loads(frame)["type"])))

    page.on("websocket", watched)
    session = asked(account, page)
    mechanic = taken(account, session)
    with Member(mechanic, f"/api/sessions/{session}"):
        at_stage(page, "live")
        rest(account)
        calls: Counter[str] = Counter()
        counted(page, calls)
        under_way = unanswered(page)
        actions.clear()
        for _ in range(MINUTES * 60 // SIGN_SECONDS):
            answered = answers.count("room") + 1
            for _ in range(SIGN_SECONDS // STEP_SECONDS):
                page.clock.run_for(STEP_SECONDS * 1000)
                page.evaluate("0")  # what the step began has been said by the time this is answered
                while under_way:
                    page.wait_for_timeout(10)
            while answers.count("room") < answered:
                page.wait_for_timeout(20)
    assert calls.total() <= CALM_LOOKS, calls.most_common()
    assert actions == {"room": MINUTES * 60 // SIGN_SECONDS}
