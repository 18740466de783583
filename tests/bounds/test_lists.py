"""No list, however long, makes an answer long or a page slow: both are bounded, at ten and a hundred thousand rows."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from autodoctor.documents.statements import page_of_statement, statement
from autodoctor.errors import Unprocessable
from autodoctor.room.messages import listed
from autodoctor.web.schemas import ResponseModel, now
from support.database.crowd import CUSTOMER, MECHANIC, Crowd, made
from support.database.explained import ExplainingDatabase
from support.database.long_lists import CROWDED, OF_A_DAY, WALKS, Query, long_lists

MOST_BYTES: Final = 1_000_000
PAGES_OF_ONE: Final = 600
"""For a page of one entry: searches of indexes, and what its totals are made of."""

PAGES_OF_AN_ENTRY: Final = 40
"""For each further entry: a search, at most, in each of a dozen indexes."""

PAGES_OF_A_WALK: Final = 5_000
PAGES_OF_A_DAY: Final = 30_000
"""Of 1,400 sessions, each judged again."""

PAGES_OF_A_CROWD: Final = 250_000

NAMES: Final = list(long_lists(1))


@pytest.fixture(autouse=True)
def _setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_BASE_URL", "https://sessions.example")


@pytest.fixture(scope="module")
def explained(crowd: Crowd) -> Iterator[ExplainingDatabase]:
    database = ExplainingDatabase(crowd.urls.app_url)
    yield database
    database.close()


def most_pages(name: str, size: int) -> int:
    """What a statement of a list may touch for a page of this size."""
    if name in CROWDED:
        return PAGES_OF_A_CROWD
    if name.startswith(OF_A_DAY):
        return PAGES_OF_A_DAY
    return (PAGES_OF_A_WALK if name in WALKS else PAGES_OF_ONE) + PAGES_OF_AN_ENTRY * size


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_bounded_in_bytes_and_in_what_it_reads(
    crowd: Crowd, explained: ExplainingDatabase, name: str
) -> None:
    of = long_lists(crowd.rows)[name]
    query: Query = {}
    for size in (100, 1):
        explained.explanations.clear()
        answer = of(explained, query | {"limit": str(size)})
        assert len(answer.model_dump_json(by_alias=True).encode()) < MOST_BYTES
        for each in explained.explanations:
            assert each.pages <= most_pages(name, size), str(each)
        cursor: str | None = getattr(answer, "next_cursor", None)
        query = {} if cursor is None else {"cursor": cursor}


def entries(answer: ResponseModel) -> list[Any]:
    """The one list of an answer."""
    (found,) = [value for value in dict(answer).values() if isinstance(value, list)]
    return found


@pytest.mark.parametrize("name", ["customer: sessions", "mechanic: sessions", "mechanic: queue", "mechanic: quotes"])
def test_a_page_that_would_be_too_long_ends_earlier_and_the_next_one_goes_on(
    crowd: Crowd, explained: ExplainingDatabase, name: str
) -> None:
    of = long_lists(crowd.rows)[name]
    first: Any = of(explained, {"limit": "100"})
    shown = entries(first)
    assert 3 < len(shown) < 100
    two: Any = of(explained, {"limit": str(len(shown) - 1)})
    assert entries(two) == shown[:-1]
    (last,) = entries(of(explained, {"limit": "1", "cursor": two.next_cursor}))
    assert last == shown[-1]
    (beyond,) = entries(of(explained, {"limit": "1", "cursor": first.next_cursor}))
    assert beyond not in shown


def test_the_pages_of_a_statement_are_the_statement(explained: ExplainingDatabase) -> None:
    whole = statement(explained, MECHANIC, str(now().year))
    page = page_of_statement(whole, None)
    lines, waiting = list(page.lines), page.waiting
    assert 0 < len(waiting) < page.waiting_count == len(whole.waiting)
    while page.next_cursor:
        page = page_of_statement(whole, page.next_cursor)
        assert len(page.model_dump_json(by_alias=True).encode()) < MOST_BYTES
        assert (page.waiting, page.totals, page.closing) == ([], whole.totals, whole.closing)
        lines += page.lines
    assert lines == whole.lines
    for nobody_s in (str(made(0, 1)), "none"):
        with pytest.raises(Unprocessable):
            page_of_statement(whole, nobody_s)


@pytest.mark.parametrize("after", ["0", None])
def test_a_part_of_a_room_that_would_be_too_long_keeps_the_end_that_was_asked_for(
    crowd: Crowd, explained: ExplainingDatabase, after: str | None
) -> None:
    query = {"limit": "100"} | ({} if after is None else {"after": after})
    numbers = [each.seq for each in listed(explained, CUSTOMER, made(0, crowd.rows), query).messages]
    assert 3 < len(numbers) < 100
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert (numbers[-1] if after is None else numbers[0]) == (crowd.rows if after is None else 1)
