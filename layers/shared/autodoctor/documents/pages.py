"""Documents as printable HTML: one response each, nothing else to load. Jinja2 is imported when the first is made."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from autodoctor.documents import words
from autodoctor.documents.receipts import Receipt
from autodoctor.documents.statements import Statement
from autodoctor.printable import printable
from autodoctor.web.http import Content

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES: Final = Path(__file__).parent / "templates"
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
TITLES: Final = {"receipt": "Receipt", "credit_note": "Credit note", "correction": "Correction"}


def receipt_page(receipt: Receipt) -> Content:
    """A receipt or credit note to print."""
    return page("receipt.html", receipt=receipt, title=f"{TITLES[receipt.kind]} {receipt.number}")


def statement_page(made: Statement) -> Content:
    """A statement of a month or a year to print."""
    return page("statement.html", made=made, title=f"Statement {made.period}")


def page(template: str, **values: object) -> Content:
    """A page of one of the templates."""
    html = _environment().get_template(template).render(words=words, titles=TITLES, **values)
    return Content(html, "text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})


def _shown(value: object) -> object:
    return printable(value) if type(value) is str else value


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 (not for those who read JSON)

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
