"""The documents as the pages show them: chapters of operations, problems, and readable types."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup, escape

from autodoctor.describe.choices import KEY

type Document = Mapping[str, Any]

_RESPONSES: Final = "#/components/responses/"
_SCHEMAS: Final = "#/components/schemas/"
_CODE: Final = re.compile(r"`([^`]+)`")
_LINK: Final = re.compile(r"\[([^\]]+)\]\((/[^)\s]*)\)")
_BOUNDS: Final = (
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("minLength", "{} characters or more"),
    ("maxLength", "up to {} characters"),
)
_ANY: Final = "ANY"


@dataclass(frozen=True, slots=True)
class ShownResponse:
    """One answer of an operation: the model of a success, or the problems of a refusal."""

    status: str
    text: str
    problems: list[str]
    schema: Document | None
    example: Any


@dataclass(frozen=True, slots=True)
class Shown:
    """An operation."""

    id: str
    method: str
    path: str
    operation: Document
    answers: list[ShownResponse]
    groups: list[str]


@dataclass(frozen=True, slots=True)
class Chapter:
    """The operations under one tag."""

    name: str
    text: str
    operations: list[Shown]


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """A type of problem, and the operations that may answer with it."""

    slug: str
    title: str
    status: int
    schema: Document
    extras: Document
    example: Document
    headers: list[str]
    operations: list[Shown]


def chapters(openapi: Document) -> list[Chapter]:
    """The operations by chapter; a retired path appears once for all its methods."""
    by_tag = defaultdict(list)
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            retired = operation.get("deprecated", False)
            by_tag[operation["tags"][0]].append(_shown(openapi, _ANY if retired else method.upper(), path, operation))
            if retired:
                break
    return [Chapter(tag["name"], tag["description"], by_tag[tag["name"]]) for tag in openapi["tags"]]


def problems(openapi: Document) -> dict[str, ProblemPage]:
    """Every type of problem by its slug, in the order of their statuses."""
    raised = defaultdict(list)
    for chapter in chapters(openapi):
        for shown in chapter.operations:
            for slug in {slug for answer in shown.answers for slug in answer.problems}:
                raised[slug].append(shown)
    pages = {}
    for schema in openapi["components"]["schemas"].values():
        if "x-what-to-do" in schema:
            example = schema["examples"][0]
            slug = example["type"].rpartition("/")[2]
            extras = {name: each for name, each in schema["properties"].items() if "const" not in each}
            del extras["detail"]
            title, status = example["title"], example["status"]
            pages[slug] = ProblemPage(slug, title, status, schema, extras, example, schema["x-headers"], raised[slug])
    return dict(sorted(pages.items(), key=lambda item: (item[1].status, item[0])))


def prose(text: str) -> Markup:
    """Renders the part of CommonMark that the documents use: paragraphs, `code`, and links within this site."""
    return Markup("").join(Markup("<p>{}</p>").format(_inline(each)) for each in text.split("\n\n"))


def type_of(schema: Document) -> Markup:
    """A schema in a few words; a named one is a link."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_SCHEMAS)
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    words = schema.get(KEY, schema.get("enum", [schema["const"]] if "const" in schema else []))
    if words:
        return Markup(", ").join(Markup("<code>{}</code>").format(each) for each in words)
    choices = schema.get("anyOf", schema.get("oneOf"))
    if choices:
        return Markup(" or ").join(type_of(each) for each in choices)
    if schema.get("type") == "array":
        return Markup("list of {}").format(type_of(schema["items"])) if "items" in schema else Markup("list")
    kind = " or ".join(schema["type"]) if isinstance(schema.get("type"), list) else schema.get("type", "anything")
    facts = [str(schema["format"])] if "format" in schema else []
    facts += [words.format(schema[name]) for name, words in _BOUNDS if name in schema]
    return escape(f"{kind} ({', '.join(facts)})" if facts else kind)


def _inline(text: str) -> Markup:
    """One paragraph, escaped first: only the marks of the text become elements."""
    escaped = str(escape(" ".join(text.split())))
    linked = _LINK.sub(r'<a href="\2">\1</a>', _CODE.sub(r"<code>\1</code>", escaped))
    return Markup(linked)  # noqa: S704 (escaped above; the marks let nothing through but words and local paths)


def _shown(openapi: Document, method: str, path: str, operation: Document) -> Shown:
    groups = sorted(group for choice in operation["security"] for group in choice["bearerAuth"])
    answers = [_answer(openapi, status, each) for status, each in operation["responses"].items()]
    return Shown(operation["operationId"], method, path, operation, answers, groups)


def _answer(openapi: Document, status: str, response: Document) -> ShownResponse:
    if "$ref" in response:
        name = response["$ref"].removeprefix(_RESPONSES)
        slugs = [slug for slug in name.split(".")[1:] if slug != "gateway"]
        text = openapi["components"]["responses"][name]["description"]
        return ShownResponse(
            status, text.partition(".")[2] if slugs else text, slugs, None, None
        )  # the links say the rest
    kind, medium = next(iter(response["content"].items()))
    text = response["description"] if kind == "application/json" else f"{response['description']} ({kind})"
    return ShownResponse(status, text, [], medium["schema"], medium.get("example"))
