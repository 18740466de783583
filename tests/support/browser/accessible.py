"""Pages as axe-core judges them, by the rules of WCAG 2.1 A and AA, and how much they shift while they load."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.sync_api import Locator, Page, expect

AXE: Final = "axe-core@4.14.1"
WIDTHS: Final = (1440, 320)
PHONE: Final = 390
"""The width of most phones, in px: axe finds there what it finds in narrow pages, and things move in their own way."""
_CRITERIA: Final = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
_COLOURS: Final = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
_SCHEMES: Final[list[tuple[Literal["light", "dark"], object]]] = [("light", _CRITERIA), ("dark", _COLOURS)]
MOST_SHIFT: Final = 0.1
"""What the Core Web Vitals call good; https://web.dev/articles/cls."""

_VIOLATIONS: Final = """async (runOnly) => {
  const { violations } = await axe.run(document, { runOnly, resultTypes: ['violations'] });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')}: ${failureSummary.replace(/\\s+/g, ' ')}`));
}"""

# A sum over the whole of the loading: the metric itself counts the worst five seconds, which is never more.
_SHIFTS: Final = """() => new Promise((resolve) => {
  const shifts = [];
  const note = (list) => shifts.push(...list.filter(({ hadRecentInput }) => !hadRecentInput));
  const observer = new PerformanceObserver((list) => note(list.getEntries()));
  observer.observe({ type: 'layout-shift', buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => {
    note(observer.takeRecords());
    const moved = shifts.flatMap(({ value, sources }) => sources.map(({ node }) =>
      `${value.toFixed(3)} ${node?.nodeName ?? '-'} ${node?.className ?? ''} ${node?.textContent.slice(0, 30) ?? ''}`));
    resolve([shifts.reduce((sum, { value }) => sum + value, 0), moved]);
  })));
})"""


def axe(folder: Path) -> str:
    """Get axe-core by npm into an empty folder, and give its script; without npm the test is skipped."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not here, with which axe-core is got")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), AXE]
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@dataclass
class Walk:
    """Goes from page to page in one window, and notes what it finds, so that one run tells all of it.

    Attributes:
        page: the window.
        base: the URL that the addresses follow.
        script: axe-core.
        found: page, width, scheme, rule and element of each violation, and the shifts that are too large.
    """

    page: Page
    base: str
    script: str
    found: list[str] = field(default_factory=list)

    def see(self, address: str, ready: Locator | None = None, do: Callable[[Page], None] | None = None) -> None:
        """Load a page at each width, and judge it there in both schemes; as wide as a phone it may not shift either.

        Args:
            address: below `base`.
            ready: what is seen once it has loaded; by default its heading, in place of the skeleton.
            do: what the reader does before it is judged.
        """
        page = self.page
        for width in (*WIDTHS, PHONE):
            page.emulate_media(color_scheme="light", reduced_motion="reduce")
            page.set_viewport_size({"width": width, "height": 800})
            page.goto("about:blank")  # another part after the "#" alone would load nothing
            page.goto(f"{self.base}{address}")
            if ready is None:
                expect(page.locator("main#main > .skeleton")).to_have_count(0)
            expect(ready or page.locator("h1").first).to_be_visible()
            shift, moved = page.evaluate(_SHIFTS)
            if shift > MOST_SHIFT:
                self.found.append(f"{address} {width}: shifts by {shift:.3f}: {moved}")
            if do:
                do(page)
            if width in WIDTHS:
                page.evaluate(self.script)
                self.judge(address, width)

    def look(self, what: str) -> None:
        """Judge at each width, and without loading it anew, a page to which only acts lead.

        Args:
            what: what it shows, for the list of what is found.
        """
        self.page.evaluate(self.script)
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 800})
            self.judge(what, width)

    def judge(self, address: str, width: int) -> None:
        """Judge what stands there: all of it when it is light, and when it is dark what colours have a say in."""
        for scheme, rules in _SCHEMES:
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            self.found += [f"{address} {width} {scheme}: {each}" for each in self.page.evaluate(_VIOLATIONS, rules)]


type Walks = Callable[[str | None], Walk]
"""Starts a walk as somebody of the roster, or as nobody."""
