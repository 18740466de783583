"""Every problem that the code can raise has a page with its meaning and its remedy."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest

import autodoctor
from autodoctor.describe.pages import Description
from autodoctor.describe.problem_schemas import Unexplained, problem_schemas, sample, schema_name
from autodoctor.describe.problems import GUIDES
from autodoctor.errors import Problem

type Document = Mapping[str, Any]


def below(kind: type[Problem]) -> Iterator[type[Problem]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("autodoctor."):
            yield each
            yield from below(each)


@pytest.fixture(scope="module")
def kinds() -> list[type[Problem]]:
    """Every error class of the layer, wherever it stands."""
    for module in pkgutil.walk_packages(autodoctor.__path__, "autodoctor."):
        importlib.import_module(module.name)
    return list(below(Problem))


def test_every_problem_has_a_page(kinds: list[type[Problem]], description: Description) -> None:
    for slug in {kind.slug for kind in kinds}:
        page = description.problem(slug)
        assert page.status is None, f"{slug} has no page: explain it in autodoctor/describe/problems.py"
        assert "What it means" in page.body
        assert "What to do" in page.body


def test_no_page_is_left_of_a_problem_that_is_gone(kinds: list[type[Problem]]) -> None:
    assert set(GUIDES) == {kind.slug for kind in kinds}


def test_every_problem_is_what_its_schema_says(kinds: list[type[Problem]], openapi: Document) -> None:
    schemas = openapi["components"]["schemas"]
    for kind in kinds:
        schema = {**schemas[schema_name(kind)], "additionalProperties": False}
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        wrong = [each.message for each in validator.iter_errors(sample(kind).body())]
        assert not wrong, (kind, wrong)


@pytest.mark.parametrize(
    ("slug", "name", "over"),
    [
        ("session-ended", "sessionStatus", {"completed", "cancelled", "expired"}),
        ("quote-decided", "quoteStatus", {"approved", "declined", "superseded"}),
        ("session-not-releasable", "sessionStatus", {"scheduled", "pending", "live"}),
        ("session-not-escalatable", "sessionStatus", {"scheduled", "pending", "waiting", "cancelled", "expired"}),
    ],
)
def test_an_example_is_of_a_state_in_which_the_problem_occurs(
    openapi: Document, kinds: list[type[Problem]], slug: str, name: str, over: set[str]
) -> None:
    (schema,) = (openapi["components"]["schemas"][schema_name(kind)] for kind in kinds if kind.slug == slug)
    assert set(schema["properties"][name]["x-extensible-enum"]) == over
    assert schema["examples"][0][name] in over


def test_the_example_of_too_few_credits_has_too_few(openapi: Document) -> None:
    (example,) = openapi["components"]["schemas"]["InsufficientCreditsProblem"]["examples"]
    assert example["balance"] < example["price"]


def test_a_page_names_status_type_and_extras(description: Description) -> None:
    page = description.problem("insufficient-credits").body
    for told in ("402", "/problems/insufficient-credits", "balance", "price", "/api/docs#startIntake"):
        assert told in page


def test_a_page_tells_when_to_try_again(description: Description) -> None:
    assert "Retry-After" in description.problem("session-busy").body


def test_an_unknown_problem_is_a_page_too(description: Description) -> None:
    page = description.problem("<script>")
    assert (page.status, page.content_type) == (404, "text/html; charset=utf-8")
    assert "<script>" not in page.body


def test_all_problems_are_listed(description: Description, kinds: list[type[Problem]]) -> None:
    listed = description.problems().body
    for kind in kinds:
        assert f'href="/problems/{kind.slug}"' in listed


def test_texts_are_whole_sentences() -> None:
    for slug, guide in GUIDES.items():
        for text in (guide.means, guide.do, *guide.extras.values()):
            assert text[0].isupper(), (slug, text)
            assert text.endswith("."), (slug, text)


def test_a_problem_without_a_text_is_refused() -> None:
    class Unheard(Problem):
        """Nothing says what this is."""

        status, slug, title = 418, "unheard", "Unheard"

    with pytest.raises(Unexplained, match=r"explain in autodoctor/describe/problems.py: unheard"):
        problem_schemas([Unheard])
