"""The pages are whole without scripts, load nothing, have no broken links, and are accessible."""

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from typing import Final

import pytest

from autodoctor.describe.pages import Description
from autodoctor.describe.problems import GUIDES
from autodoctor.describe.reading import prose
from localcloud.stack.template import Stack

VOID: Final = {"meta", "br", "link", "img", "input", "hr"}
HEADING: Final = re.compile(r"h([1-6])")


class Page(HTMLParser):
    """The contents of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.described_by: list[str] = []
        self.attributes: set[str] = set()
        self.levels: list[int] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags[tag] += 1
        self.attributes |= set(given)
        self.ids.update([given["id"]] if "id" in given else [])
        self.links += [given["href"]] if "href" in given else []
        self.described_by += [given["aria-labelledby"]] if "aria-labelledby" in given else []
        if level := HEADING.fullmatch(tag):
            self.levels.append(int(level[1]))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def pages(description: Description) -> dict[str, str]:
    """Every page, by its path."""
    problems = {f"/problems/{slug}": description.problem(slug).body for slug in GUIDES}
    unknown = {"/problems/-": description.problem("-").body}
    return {"/api/docs": description.docs().body, "/problems": description.problems().body, **problems, **unknown}


@pytest.fixture(scope="module")
def parsed(description: Description) -> dict[str, Page]:
    return {path: Page(text) for path, text in pages(description).items()}


def test_nothing_is_loaded_and_only_the_script_of_the_operations_runs(parsed: dict[str, Page]) -> None:
    assert {path: page.tags["script"] for path, page in parsed.items() if "script" in page.tags} == {"/api/docs": 1}
    for page in parsed.values():
        assert not page.tags.keys() & {"link", "img", "iframe", "form", "object", "embed", "base"}
        assert not [name for name in page.attributes if name.startswith("on") or name in ("style", "src")]


def test_the_policy_allows_this_stylesheet_and_this_script_alone(description: Description) -> None:
    page = description.docs()
    policy = page.headers["Content-Security-Policy"]
    for tag in ("style", "script"):
        text = page.body.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert "connect-src 'self'; require-trusted-types-for 'script'" in policy
    assert "script-src" not in description.problems().headers["Content-Security-Policy"]
    for strict in ("default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
        assert strict in policy
    assert "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_every_link_leads_to_a_route_and_a_place_on_its_page(parsed: dict[str, Page], stack: Stack) -> None:
    routes = {route.path for route in stack.routes if route.method == "GET"}
    for path, page in parsed.items():
        for link in page.links:
            target, _, place = link.partition("#")
            assert target in {"", *routes} or target in parsed, link
            assert not place or place in parsed[target or path].ids, link


def test_a_reader_of_the_screen_finds_their_way(parsed: dict[str, Page], description: Description) -> None:
    for path, page in parsed.items():
        assert page.ids["main"] == page.tags["main"] == page.tags["h1"] == 1, path
        assert max(page.ids.values()) == 1, path
        assert set(page.described_by) <= set(page.ids), path
        assert all(after - before <= 1 for before, after in zip(page.levels, page.levels[1:], strict=False)), path
    for text in pages(description).values():
        assert '<html lang="en">' in text
        assert '<th scope="' in text or "<th" not in text


def test_the_page_shows_every_operation_and_message(parsed: dict[str, Page]) -> None:
    shown = parsed["/api/docs"].ids
    assert {"search", "token"} <= set(shown)
    assert {"startIntake", "getOpenApi", "retiredRequestsGet", "schema-Ended", "message-session_updated"} <= set(shown)


def test_what_is_written_is_text_but_for_the_marks_we_know() -> None:
    assert prose("<b> `a<b` [x](/y)") == '<p>&lt;b&gt; <code>a&lt;b</code> <a href="/y">x</a></p>'
    assert "<a" not in prose("[x](javascript:alert)")
    assert 'href="/y"' not in prose('[x](/y" onclick="z)')
