"""The pages for people, drawn from the two documents: one response each, nothing else to load.

Only the page of all operations has a script, named by its hash: it searches, and makes calls with the reader's token.

The documents are made before a deployment (`autodoctor openapi --write`) and lie beside the handler: making them
loads every function, which takes a second; a page needs none of them.
"""

import base64
import hashlib
import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from autodoctor.describe.reading import Chapter, ProblemPage, chapters, prose, type_of
from autodoctor.describe.reading import problems as problem_pages
from autodoctor.web.http import Content

_TEMPLATES: Final = Path(__file__).parent / "templates"
_POLICY: Final = "Content-Security-Policy"
_HTML: Final = "text/html; charset=utf-8"

type DocumentName = Literal["openapi", "asyncapi"]


class Description:
    """The API's description of itself, as files and pages.

    Args:
        folder: where openapi.json and asyncapi.json are.
    """

    def __init__(self, folder: Path) -> None:
        self._texts: dict[DocumentName, str] = {
            "openapi": (folder / "openapi.json").read_text(encoding="utf-8"),
            "asyncapi": (folder / "asyncapi.json").read_text(encoding="utf-8"),
        }
        self._style = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
        self._script = (_TEMPLATES / "docs.js").read_text(encoding="utf-8")

    def document(self, name: DocumentName) -> Content:
        """One of the documents, as it was written."""
        return Content(self._texts[name], "application/json", headers={"X-Content-Type-Options": "nosniff"})

    def docs(self) -> Content:
        """The page of both documents."""
        page = self._page(
            "docs.html",
            script=self._script,
            chapters=self._chapters,
            openapi=self._openapi,
            asyncapi=self._asyncapi,
        )
        calls = f"script-src {_hash(self._script)}; connect-src 'self'; require-trusted-types-for 'script'"
        return replace(page, headers={**self._headers, _POLICY: f"{self._headers[_POLICY]}; {calls}"})

    def problems(self) -> Content:
        """The page of every type of problem, with its meaning."""
        return self._page("problems.html", problems=self._problems.values())

    def problem(self, slug: str) -> Content:
        """One type of problem; a page with status 404 where no type has that name."""
        found = self._problems.get(slug)
        if found is None:
            return self._page("unknown.html", status=404)
        return self._page("problem.html", problem=found)

    @cached_property
    def _openapi(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._texts["openapi"])
        return document

    @cached_property
    def _asyncapi(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._texts["asyncapi"])
        return document

    @cached_property
    def _chapters(self) -> list[Chapter]:
        return chapters(self._openapi)

    @cached_property
    def _problems(self) -> dict[str, ProblemPage]:
        return problem_pages(self._openapi)

    @cached_property
    def _templates(self) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"prose": prose, "type_of": type_of, "json": _indented}
        return environment

    @cached_property
    def _headers(self) -> dict[str, str]:
        """Headers that allow a page its own stylesheet, and nothing else."""
        policy = f"default-src 'none'; style-src {_hash(self._style)}; base-uri 'none'; form-action 'none'"
        return {
            _POLICY: f"{policy}; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    def _page(self, template: str, status: int | None = None, **facts: object) -> Content:
        page = self._templates.get_template(template).render(style=self._style, **facts)
        return Content(page, _HTML, status, self._headers)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _indented(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
