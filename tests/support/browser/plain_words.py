"""Whether a page speaks of states in people's words, never in the names that tables and events use."""

import re

from playwright.sync_api import Page

from autodoctor.domain.lifecycle import AssignmentStatus, EndReason, SessionStatus

_NAMES = {str(each).replace("_", " ") for kind in (SessionStatus, AssignmentStatus, EndReason) for each in kind}
_TECHNICAL = re.compile(r"\b[a-z]+_[a-z_]+\b|\b(?:assignment|session|payment|customer|mechanic)\.[a-z]+")
_TEXTS = """() => [...document.body.querySelectorAll('*')]
  .filter((each) => each.checkVisibility() && !['SCRIPT', 'STYLE', 'CODE'].includes(each.tagName))
  .flatMap((each) => [...each.childNodes].filter(({ nodeType }) => nodeType === Node.TEXT_NODE))
  .map(({ textContent }) => textContent.trim()).filter(Boolean)"""


def table_names(page: Page) -> list[str]:
    """The texts of a page that are a table's name of a state, or contain one of an event."""
    texts: list[str] = page.evaluate(_TEXTS)
    return [text for text in texts if text in _NAMES or _TECHNICAL.search(text)]
