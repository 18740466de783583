"""A real browser for tests: headless Chromium, windows in it, and pictures of what they showed.

The Chromium is the machine's own; where there is none, `.ci/chromium` installs Debian's, which takes root and apt-get.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.accessible import Walk, Walks, axe
from support.browser.console import signed_in
from support.browser.site import running_site
from support.browser.window import PATIENCE_MS, QUIET, SCREENSHOTS, Camera, Troubles, Windows

ROOT = Path(__file__).parents[2]
INSTALL_SECONDS = 600

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Find the browser, or have it installed."""
    found = subprocess.run(
        ["bash", ROOT / ".ci" / "chromium"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if found.returncode != 0:
        pytest.skip(found.stderr.strip().rpartition("\n")[2])
    return Path(found.stdout.strip())


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """Start one for the tests of a file, with a profile of its own that is deleted afterwards.

    Not for the whole session: while it runs, Playwright has an event loop in this thread, and `asyncio.run` refuses.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET, chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture
def camera(request: pytest.FixtureRequest) -> Camera:
    """Give the test a camera; its pictures are in .screenshots, by file and test."""
    name = re.sub(r"[^\w-]+", "-", request.node.name).strip("-")
    folder = SCREENSHOTS / request.path.stem / name
    shutil.rmtree(folder, ignore_errors=True)
    return Camera(folder)


@pytest.fixture
def windows(browser: Browser, camera: Camera) -> Iterator[Windows]:
    """Let the test open windows; nothing may have gone wrong in any that it did not expect."""
    windows = Windows(browser, Troubles(), camera)
    yield windows
    windows.close()
    assert windows.troubles.seen == []


@pytest.fixture
def page(windows: Windows) -> Page:
    """Open one window."""
    return windows.open()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Run the site that the account's mails and payments lead to; gives its base URL."""
    with running_site() as url:
        yield url


@pytest.fixture(scope="module")
def account_settings(site: str) -> AccountSettings:
    """Have the account's mails and payments lead to that site."""
    return AccountSettings(parameters={"SessionBaseUrl": site})


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Get axe-core."""
    return axe(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def walks(account: Account, windows: Windows, script: str) -> Walks:
    """Start a walk as somebody of the roster, or as nobody."""

    def walk(name: str | None) -> Walk:
        page = windows.open()
        if name:
            signed_in(account, page, name)
        return Walk(page, account.cloud.api_url if name is None else f"{account.cloud.api_url}/console/", script)

    return walk
