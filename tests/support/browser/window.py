"""A test's view of a page: its window, the errors in it, and screenshots that are kept."""

import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request

SCREENSHOTS = Path(__file__).parents[3] / ".screenshots"
"""Ignored by git; a run replaces the pictures of the tests that it runs."""

# Nothing but what a test opens: no updates, no look-ups of Google's, no proxy, and no shared memory of a container's.
QUIET = [
    *("--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

UNSCANNED = re.compile(r"409 \(Conflict\) \S+/api/attachments/[0-9a-f-]{36}$")
"""A page asks for a picture until its scan is over: how often it is told to wait depends on the machine."""

PATIENCE_MS = 45_000
"""The longest that a test waits for a page, on a machine that does other things too.

A function's process may have to start first, and what was not published at once comes with the relay.
"""


@dataclass
class Camera:
    """Takes pictures of one test's windows, numbered in the order in which they were taken.

    Attributes:
        folder: where they are kept.
    """

    folder: Path
    taken: int = 0

    def take(self, page: Page, what: str) -> Path:
        """Keep a picture of the whole page under a name that says what it shows."""
        self.taken += 1
        picture = self.folder / f"{self.taken:02}-{re.sub(r'[^a-z0-9]+', '-', what.lower()).strip('-')}.png"
        page.screenshot(path=picture, full_page=True)
        return picture


@dataclass
class Troubles:
    """The errors in a test's windows, as the developer tools would list them.

    Attributes:
        seen: one sentence each: exceptions, errors on the console (a violated Content-Security-Policy is one), requests
            that failed, and answers of 500 and above.
    """

    seen: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Listen to everything of this page from now on."""
        page.on("pageerror", self._raised)
        page.on("console", self._said)
        page.on("requestfailed", self._failed)
        page.on("response", lambda answer: self._answered(answer.status, answer.url))

    def expect(self, pattern: str) -> None:
        """Strike out what the test brought about itself; at least one trouble must match the regular expression."""
        before = list(self.seen)
        self.overlook(pattern)
        assert len(self.seen) < len(before), f"nothing like {pattern!r} in {before}"

    def overlook(self, pattern: str) -> None:
        """Strike out what the test may have brought about itself, or not: a page asks for something at any time."""
        self.seen = [each for each in self.seen if not re.search(pattern, each)]

    def _raised(self, error: Error) -> None:
        self.seen.append(f"exception: {error}")

    def _said(self, message: ConsoleMessage) -> None:
        error = f"console: {message.text} {message.location.get('url', '')}".rstrip()
        if message.type == "error" and not UNSCANNED.search(error):
            self.seen.append(error)

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left while it still loaded
            self.seen.append(f"request: {request.method} {request.url} {request.failure}")

    def _answered(self, status: int, url: str) -> None:
        if status >= 500:
            self.seen.append(f"answer: {status} {url}")


@dataclass
class Windows:
    """Opens windows, each of a person of their own: no cookies or storage in common.

    Attributes:
        browser: where they open.
        troubles: of all of them.
        camera: for pictures of them.
        mark: an argument of the browser's that no other process has.
    """

    browser: Browser
    troubles: Troubles
    camera: Camera
    mark: str = ""

    def open(self, *, phone: bool = False, dark: bool = False, devices: bool = False) -> Page:
        """Open an empty one, as large as a laptop's or a phone's; with `devices` it may use camera and microphone."""
        context = self.browser.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 800},
            device_scale_factor=2 if phone else 1,
            is_mobile=phone,
            has_touch=phone,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            locale="en-US",
            timezone_id="UTC",
            permissions=["camera", "microphone"] if devices else [],
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        self.troubles.watch(page)
        return page

    def close(self) -> None:
        """Close all that are open; the last sight of each is kept."""
        for context in self.browser.contexts:
            for page in context.pages:
                if page.url != "about:blank":
                    self.camera.take(page, "at the end")
            context.close()

    def kill(self) -> None:
        """Kill the browser, which is marked, as when the power fails."""
        found = subprocess.run(["pgrep", "-f", "--", self.mark], capture_output=True, text=True, check=True)
        for process in found.stdout.split():
            os.kill(int(process), signal.SIGKILL)
