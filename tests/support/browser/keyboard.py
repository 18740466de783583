"""Somebody who has no mouse: every press goes to what has the focus, and what has it must show that."""

from dataclasses import dataclass
from typing import Any, Final

from playwright.sync_api import Locator, Page, expect

MOST_STEPS: Final = 80
"""The most presses of Tab from one end of a page to another."""

# The body has the focus of a page that has just loaded; `main` takes it by script, and shows it by a line at its top.
_FOCUSED: Final = """() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  if (!at || at === document.body) return null;
  const seen = (element) => {
    const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
    return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 && !/, 0\\)$|transparent/.test(outlineColor);
  };
  const line = at.tagName === 'MAIN' && getComputedStyle(at).boxShadow !== 'none';
  const box = at.getBoundingClientRect();
  const middle = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const covered = at.tagName !== 'MAIN' && middle && !at.contains(middle) && !middle.contains(at) && !middle.shadowRoot
    && !at.labels?.[0]?.contains(middle);
  return { what: `${at.tagName.toLowerCase()} ${at.id} ${at.ariaLabel ?? at.innerText?.slice(0, 30) ?? ''}`.trim(),
    isSeen: seen(at) || line, isCovered: Boolean(covered) };
}"""


@dataclass(frozen=True)
class Keyboard:
    """The keys of one window.

    Attributes:
        page: the window.
    """

    page: Page

    def go_to(self, wanted: Locator) -> None:
        """Press Tab until this has the focus; everything on the way shows that it has it."""
        expect(wanted).to_be_visible()
        for _ in range(MOST_STEPS):
            self.page.keyboard.press("Tab")
            if self._focused() is None:
                continue  # beyond the last thing of the page there is the browser's own
            self.check()
            if wanted.evaluate("each => each === each.getRootNode().activeElement"):
                return
        raise AssertionError(f"the keyboard does not reach {wanted}")

    def press(self, wanted: Locator, key: str = "Enter") -> None:
        """Go to it and press a key, by which this page may be left."""
        self.go_to(wanted)
        self.page.keyboard.press(key)

    def type(self, wanted: Locator, text: str) -> None:
        """Go to a field and type."""
        self.go_to(wanted)
        self.page.keyboard.type(text)

    def check(self) -> dict[str, Any]:
        """Something has the focus, one sees that it has, and nothing lies over it; gives what is known of it."""
        focused = self._focused()
        assert focused is not None, f"the focus is lost at {self.page.url}"
        assert focused["isSeen"], f"{focused['what']} does not show that it has the focus, at {self.page.url}"
        assert not focused["isCovered"], f"{focused['what']} is covered, at {self.page.url}"
        return focused

    def _focused(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.page.evaluate(_FOCUSED)
        return found
