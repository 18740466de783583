"""A mechanic is called: with the page closed, by the service worker for real; and with it open, until they look.

Without a network no browser subscribes, so the page's `subscribe` asks the local cloud's push service, with keys that
the test keeps. What it then holds is opened by an independent library, and handed to the service worker by DevTools.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, hide, signed_in
from support.browser.window import Windows
from support.push_env import Keys
from support.wait import wait_until

MIA = "Mia Moreno"
_STUB = """([keys, service]) => {
  const register = async (applicationServerKey) => {
    const answer = await fetch(service, { method: 'POST', body: JSON.stringify({ applicationServerKey }) });
    return answer.json();
  };
  PushManager.prototype.getSubscription = async () => window.subscription ?? null;
  PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
    const { endpoint } = await register(applicationServerKey);
    const unsubscribe = async () => (window.subscription = null);
    window.subscription = { endpoint, unsubscribe, toJSON: () => ({ endpoint, keys }) };
    return window.subscription;
  };
}"""
_SHOWN = """async () => {
  const registration = await navigator.serviceWorker.getRegistration('/console/');
  const shown = await registration.getNotifications();
  return shown.map(({ title, body, tag, data }) => ({ title, body, tag, url: data.url }));
}"""


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


@dataclass
class Worker:
    """The console's service worker, as DevTools see it from a page of the same origin that is none of the console's."""

    page: Page
    devtools: CDPSession
    registrations: dict[str, str]

    def deliver(self, message: bytes) -> None:
        """Hand it a message, as the browser does that has opened it."""
        wait_until(lambda: self._registration() is not None)
        self.devtools.send(
            "ServiceWorker.deliverPushMessage",
            {
                "origin": self.page.evaluate("location.origin"),
                "registrationId": self._registration(),
                "data": message.decode(),
            },
        )

    def shown(self) -> list[dict[str, Any]]:
        """The notifications that are shown."""
        found: list[dict[str, Any]] = self.page.evaluate(_SHOWN)
        return found

    def _registration(self) -> str | None:
        self.page.evaluate("1")  # lets events of DevTools come in
        return next(iter(self.registrations), None)


def worker_beside(page: Page, url: str) -> Worker:
    """Look at the service worker from a page of the same person."""
    beside = page.context.new_page()
    beside.goto(f"{url}/problems")
    devtools = page.context.new_cdp_session(beside)
    registrations: dict[str, str] = {}

    def updated(event: dict[str, Any]) -> None:
        registrations.update({each["registrationId"]: each["scopeURL"] for each in event["registrations"]})

    devtools.on("ServiceWorker.workerRegistrationUpdated", updated)
    devtools.send("ServiceWorker.enable")
    return Worker(beside, devtools, registrations)


def called(account: Account, page: Page) -> Keys:
    """Have the signed-in person called in this browser, from its settings page; returns the browser's keys."""
    keys, url = Keys(), account.cloud.api_url
    page.context.grant_permissions(["notifications"], origin=url)
    page.goto(f"{url}/console/settings.html")
    page.evaluate(_STUB, [keys.subscription("")["keys"], f"{url}/_push/subscriptions"])
    page.get_by_role("button", name="Tell me in this browser").click()
    expect(page.get_by_role("button", name="Stop telling me here")).to_be_visible()
    return keys


def held(account: Account, endpoint: str, keys: Keys, count: int) -> list[bytes]:
    """What waits for the browser, opened, as soon as there is so much."""
    wait_until(lambda: len(account.cloud.push.taken) >= count)
    return [keys.opened(each.body) for each in account.cloud.push.held(endpoint)]


def test_a_closed_page_is_called_and_the_call_is_taken_back(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), MIA)
    keys = called(account, page)
    windows.camera.take(page, "the settings")
    endpoint = page.evaluate("window.subscription.endpoint")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_text("A trial is on its way to 1 browser.")).to_be_visible()
    (trial,) = held(account, endpoint, keys, 1)
    worker = worker_beside(page, account.cloud.api_url)
    page.close()
    worker.deliver(trial)
    wait_until(lambda: [each["title"] for each in worker.shown()] == ["Calls work here"])
    asked = account.queued(account.customer())
    request = held(account, endpoint, keys, 2)[-1]
    worker.deliver(request)
    told = json.loads(request)
    wait_until(lambda: len(worker.shown()) == 2)
    assert worker.shown()[-1] == {
        "title": f"New request: {told['title'].removeprefix('New request: ')}",
        "body": told["text"],
        "tag": asked["assignmentId"].replace("-", ""),
        "url": "mechanic.html#queue",
    }
    account.mechanic().post(f"/api/mechanic/assignments/{asked['assignmentId']}/accept")
    worker.deliver(held(account, endpoint, keys, 3)[-1])
    wait_until(lambda: [each["title"] for each in worker.shown()] == ["Calls work here"])


def test_a_browser_that_is_to_be_called_no_more_is_forgotten(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Max Meyer")
    called(account, page)
    page.get_by_role("button", name="Stop telling me here").click()
    expect(page.get_by_role("button", name="Tell me in this browser")).to_be_visible()
    assert page.evaluate("window.subscription") is None


def test_a_kind_can_be_left_out_of_calls(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Max Meyer")
    page.goto(f"{account.cloud.api_url}/console/settings.html")
    kind = page.get_by_role("group", name="Somebody waits for a mechanic")
    expect(kind.get_by_label("E-mail")).to_have_count(0)
    kind.get_by_label("While the page is closed").uncheck()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.reload()
    expect(kind.get_by_label("While the page is closed")).not_to_be_checked()


def test_an_open_page_is_called_until_its_reader_looks(account: Account, windows: Windows) -> None:
    page = windows.open()
    page.add_init_script(
        "window.chimes = 0; const start = OscillatorNode.prototype.start;"
        " OscillatorNode.prototype.start = function (...at) { window.chimes += 1; return start.apply(this, at); };"
    )
    signed_in(account, page, "Max Meyer")
    expect(page.get_by_role("heading", name="Requests waiting for help")).to_be_visible()
    expect(page).to_have_title(re.compile("^Queue"))
    page.get_by_role("heading", name="Requests waiting for help").click()
    hide(page, hidden=True)
    asked = account.queued(account.customer(), urgent=True)
    said = page.locator("#announcements")
    expect(said.get_by_text(re.compile("^New request: .*, urgent$"))).to_be_visible()
    expect(page).to_have_title(re.compile(r"^\(1\) Queue"))
    assert "data:image/svg" in page.locator("link[rel=icon]").get_attribute("href")  # type: ignore[operator]
    wait_until(lambda: page.evaluate("window.chimes") > 2)
    hide(page, hidden=False)
    account.mechanic().post(f"/api/mechanic/assignments/{asked['assignmentId']}/accept")
    expect(page).to_have_title(re.compile("^Queue"))
