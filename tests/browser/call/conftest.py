"""Two browsers whose cameras and microphones play something; and what the tests of the session's page share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, sync_playwright

from support.account import Account
from support.browser.window import QUIET, Camera, Troubles, Windows

DEVICES = [*QUIET, "--use-fake-device-for-media-stream=device-count=2"]

type Launch = Callable[..., Browser]


@pytest.fixture(scope="module")
def launch(chromium: Path) -> Iterator[Launch]:
    """Start browsers that have two cameras; a page may use them if its window was opened so."""
    with sync_playwright() as playwright:
        started: list[Browser] = []

        def launch(*more: str) -> Browser:
            arguments = [*DEVICES, *more]
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments, chromium_sandbox=False)
            started.append(browser)
            return browser

        yield launch
        for browser in started:
            browser.close()


@pytest.fixture(scope="module")
def browser(launch: Launch) -> Browser:
    """The customer's."""
    return launch()


@pytest.fixture
def others(launch: Launch, camera: Camera) -> Iterator[Windows]:
    """The mechanic's, which a test may kill."""
    mark = f"--autodoctor-test={uuid4().hex}"
    windows = Windows(launch(mark), Troubles(), camera, mark)
    yield windows
    if windows.browser.is_connected():
        windows.close()
        windows.browser.close()
    assert windows.troubles.seen == []


@pytest.fixture(autouse=True)
def everybody_is_free(account: Account) -> Iterator[None]:
    """End what a test leaves open, or the roster's mechanic could take nothing in the next one."""
    yield
    open_sessions = account.world.owner.execute("SELECT id FROM sessions WHERE ended_at IS NULL").fetchall()
    for session in open_sessions:
        account.admin().post(f"/api/sessions/{session['id']}/end")
