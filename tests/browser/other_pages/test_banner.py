"""The banner on somebody else's site, under a policy that allows only the banner's file and our API."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from support.account import Account, Caller
from support.account_settings import AccountSettings
from support.browser.console import console_settings
from support.browser.window import Camera, Windows
from support.world import Mechanic

SHOP = """<!doctype html><html lang="en"><title>A shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<script type="module" src="{api}/console/banner/active-session-banner.js"></script>
<script type="module" src="/shop.js"></script>
<h1>A shop</h1><active-session-banner api="{api}" user="{user}"></active-session-banner></html>"""
SCRIPT = """
const banner = document.querySelector("active-session-banner");
window.told = [];
for (const name of ["ready", "change", "ended", "loaderror", "return"]) {
  document.addEventListener(`autodoctor:${name}`, (event) => {
    window.told.push({ name, detail: event.detail, composed: event.composed });
    document.body.dataset.told = window.told.map((each) => each.name).join(" ");
    if (name === "return") event.preventDefault();
  });
}
banner.token = async () => new URLSearchParams(location.hash.slice(1)).get("token");
"""


class _Shop(BaseHTTPRequestHandler):
    api = ""
    user = "customer"

    def do_GET(self) -> None:
        api, feed = self.api, self.api.replace("http", "ws", 1)
        script = self.path == "/shop.js"
        body = (SCRIPT if script else SHOP.format(api=api, user=self.user)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if script else "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header(
            "Content-Security-Policy",
            f"default-src 'none'; script-src 'self' {api}; connect-src {api} {feed}; "
            "require-trusted-types-for 'script'; base-uri 'none'",
        )
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@pytest.fixture(scope="module")
def shop() -> Iterator[ThreadingHTTPServer]:
    """A site of its own, at an origin of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Shop)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def account_settings(shop: ThreadingHTTPServer) -> AccountSettings:
    """Let the shop's pages call the account."""
    return console_settings(f"http://127.0.0.1:{shop.server_address[1]}")


@pytest.fixture(scope="module")
def account(account: Account) -> Account:
    _Shop.api = account.cloud.api_url
    return account


type Visit = Callable[[Page, Caller], Page]


@pytest.fixture
def visit(shop: ThreadingHTTPServer) -> Visit:
    """Open the shop as somebody."""

    def visit(page: Page, who: Caller) -> Page:
        assert who.authorization is not None
        token = who.authorization.removeprefix("Bearer ")
        page.goto(f"http://127.0.0.1:{shop.server_address[1]}/#token={token}")
        expect(page.locator("body")).to_have_attribute("data-told", re.compile("ready|loaderror"))
        return page

    return visit


def told(page: Page, name: str) -> list[dict[str, object]]:
    """The details of the events of this name, oldest first."""
    events: list[dict[str, object]] = json.loads(page.evaluate("JSON.stringify(window.told)"))
    return [each for each in events if each["name"] == name]


def test_it_shows_nothing_where_there_is_no_session(account: Account, page: Page, visit: Visit) -> None:
    visit(page, account.customer())
    expect(page.locator("active-session-banner section")).to_be_hidden()
    assert [each["detail"] for each in told(page, "ready")] == [{"session": None}]


def test_it_follows_every_state_by_push_and_is_gone_with_the_session(
    account: Account, windows: Windows, camera: Camera, visit: Visit
) -> None:
    customer, person = account.customer(), account.world.mechanic()
    mechanic = account.mechanic(Mechanic(person.id, person.user_id))
    intake = account.queued(customer)
    page = visit(windows.open(), customer)
    banner = page.locator("active-session-banner")
    status = banner.locator("[part=status]")
    expect(status).to_have_text("Finding a mechanic")
    camera.take(page, "pending")
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    expect(status).to_have_text("Mechanic accepted")
    expect(banner.locator("[part=counterpart]")).to_contain_text("with Mia")
    for who in (customer, mechanic):
        who.post(f"/api/sessions/{intake['sessionId']}/join")
    expect(status).to_have_text("Talking now")
    camera.take(page, "live")
    mechanic.post(f"/api/sessions/{intake['sessionId']}/end")
    expect(banner.locator("section")).to_be_hidden()
    assert all(each["composed"] for each in told(page, "change"))
    assert told(page, "change")[-1]["detail"]["session"] is None  # type: ignore[index]


@pytest.mark.parametrize("window", [{}, {"phone": True, "dark": True}], ids=["laptop", "phone"])
def test_ending_it_asks_first_and_tells_the_outcome(
    account: Account, windows: Windows, camera: Camera, visit: Visit, window: dict[str, bool]
) -> None:
    customer = account.customer()
    account.queued(customer)
    page = visit(windows.open(**window), customer)
    end = page.get_by_role("button", name="End session")
    end.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Cancel this request?")
    expect(dialog).to_have_accessible_description(re.compile("It leaves the queue"))
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    camera.take(page, "sure")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(end).to_be_focused()
    assert told(page, "ended") == []
    end.click()
    page.get_by_role("button", name="Cancel the request").click()
    expect(page.locator("active-session-banner section")).to_be_hidden()
    expect(page.locator("body")).to_have_attribute("data-told", re.compile("ended"))  # the push may be quicker
    (ended,) = told(page, "ended")
    assert ended["detail"]["reason"] == "withdrawn"  # type: ignore[index]


def test_who_is_asked_is_asked_no_more_once_it_is_over(account: Account, page: Page, visit: Visit) -> None:
    customer = account.customer()
    intake = account.queued(customer)
    visit(page, customer)
    page.get_by_role("button", name="End session").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    customer.post(f"/api/sessions/{intake['sessionId']}/end")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("active-session-banner section")).to_be_hidden()


def test_a_page_may_keep_the_reader_where_they_are(account: Account, page: Page, visit: Visit) -> None:
    customer = account.customer()
    intake = account.queued(customer)
    visit(page, customer)
    link = page.get_by_role("link", name="Return to session")
    assert (link.get_attribute("href") or "").endswith(f"/console/chat/{intake['sessionId']}")
    link.click()
    assert len(told(page, "return")) == 1
    expect(page).to_have_title("A shop")


def test_a_token_that_is_not_taken_is_told_and_shows_nothing(account: Account, windows: Windows, visit: Visit) -> None:
    page = visit(windows.open(), Caller(account.http, "Bearer nonsense"))
    assert told(page, "loaderror")[0]["detail"]["status"] == 401  # type: ignore[index]
    expect(page.locator("active-session-banner section")).to_be_hidden()
    page.close()  # the feed's ticket is refused as well, perhaps later
    windows.troubles.expect("401")
