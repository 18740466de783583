"""Documents as PDF: pages of text in Helvetica, which every reader of PDF has, so no font is carried along.

Helvetica's encoding is Windows-1252. A name with other letters is left out: the printable HTML has it.
"""

import io
import textwrap
from typing import TYPE_CHECKING, Final

from autodoctor.documents import words
from autodoctor.documents.pages import TITLES
from autodoctor.documents.receipts import Receipt
from autodoctor.documents.statements import Statement, StatementBalance, StatementLine, StatementTotal
from autodoctor.printable import printable
from autodoctor.web.http import Content

if TYPE_CHECKING:
    import pydyf

_WIDTH, _HEIGHT = 595, 842  # A4, in points
_MARGIN: Final = 56
_SMALL, _NORMAL, _LARGE = 9, 11, 20
_LONGEST: Final = 78  # characters of a line beside an amount
_WRAPPED: Final = 66  # small characters beside two amounts
_COLUMN: Final = 80  # between their right edges
# Thousandths of the size (Adobe's metrics of Helvetica): of what amounts are written with.
_WIDE: Final = {" ": 278, ".": 278, ",": 278, "-": 333, "$": 556, **dict.fromkeys("0123456789", 556)}
_LETTER: Final = 500


def receipt_pdf(receipt: Receipt) -> Content[bytes]:
    """A receipt or credit note as a file."""
    made = _Paper()
    made.left(_LARGE, f"{TITLES[receipt.kind]} {receipt.number}", bold=True)
    made.left(_NORMAL, words.day(receipt.issued_at) + (f", for receipt {receipt.corrects}" if receipt.corrects else ""))
    made.down(10)
    for line in receipt.issuer.splitlines():
        made.left(_SMALL, line)
    if receipt.customer_name is not None and _has_letters_for(receipt.customer_name):
        made.down(10)
        made.left(_NORMAL, f"For {receipt.customer_name}")
    made.down(14)
    for each in receipt.lines:
        made.beside(each.text, words.amount(each.amount_cents, each.credits))
    made.rule()
    made.beside("Total", words.amount(receipt.amount_cents, receipt.credits), bold=True)
    if receipt.tax_cents:
        made.beside("of which tax", words.money(receipt.tax_cents))
    if receipt.related:
        made.down(20)
        made.left(_NORMAL, "Of the same purchase", bold=True)
    for other in receipt.related:
        named = f"{TITLES[other.kind]} {other.number}, {words.day(other.issued_at)}"
        made.beside(named, words.amount(other.amount_cents, other.credits))
    headers = {"Content-Disposition": f'attachment; filename="{receipt.kind}-{receipt.number}.pdf"'}
    return Content(made.file(), "application/pdf", headers=headers)


def statement_pdf(made: Statement) -> Content[bytes]:
    """A statement of a month or a year as a file."""
    paper = _Paper()
    paper.left(_LARGE, f"Statement {made.period}", bold=True)
    open_ = "" if made.is_final else "; the period is not over"
    paper.left(_SMALL, f"As of {words.instant(made.issued_at)}{open_}. Days and months are of UTC.")
    paper.down(10)
    for line in made.issuer.splitlines():
        paper.left(_SMALL, line)
    if _has_letters_for(made.mechanic_name):
        paper.down(10)
        paper.left(_NORMAL, f"For {made.mechanic_name}")
    paper.down(14)
    paper.columns("In all", "Owed to you", "You owe", bold=True)
    paper.columns(f"Balance on {words.day(made.starts_at)}", *_both(made.opening))
    for total in made.totals:
        paper.columns(f"{total.text} ({total.lines})", *_both(total))
    paper.rule()
    paper.columns("Balance at the end", *_both(made.closing), bold=True)
    if made.waiting:
        paper.down(20)
        paper.columns("Not sent yet, and why", "", "Amount", bold=True)
    for each in made.waiting:
        until = [(why.text, f" Until {words.instant(why.until)}." if why.until else "") for why in each.reasons]
        said = f"{words.day(each.earned_at)}: {' '.join(text + end for text, end in until)}"
        paper.columns(said, "", "not decided" if each.amount_cents is None else words.money(each.amount_cents))
    if made.lines:
        paper.down(20)
        paper.columns("Line by line", "Owed to you", "You owe", bold=True)
    for row in made.lines:
        named = f" ({row.transfer_id})" if row.transfer_id else ""
        paper.columns(f"{words.day(row.booked_at)}: {row.text}{named}", *_both(row))
    headers = {"Content-Disposition": f'attachment; filename="statement-{made.period}.pdf"'}
    return Content(paper.file(), "application/pdf", headers=headers)


def _both(entry: StatementBalance | StatementLine | StatementTotal) -> tuple[str, str]:
    return words.money(entry.payable_cents), words.money(entry.owed_cents)


def _has_letters_for(name: str) -> bool:
    return name.encode("cp1252", "ignore").decode("cp1252") == name


class _Paper:
    """Pages that are written from the top down; a line without room begins the next."""

    def __init__(self) -> None:
        import pydyf  # noqa: PLC0415 (for those only who ask for a PDF)

        self._pdf = pydyf
        self._pages: list[pydyf.Stream] = []
        self._turn()

    def left(self, size: int, text: str, *, bold: bool = False) -> None:
        """A line of its own."""
        self.down(size * 1.5)
        if self._y < _MARGIN:
            self._turn()
            self.down(size * 1.5)
        self._write(_MARGIN, size, text, bold=bold)

    def beside(self, text: str, amount: str, *, bold: bool = False) -> None:
        """A line with its amount at the right."""
        self.left(_NORMAL, text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…", bold=bold)
        self._right(_WIDTH - _MARGIN, _NORMAL, amount, bold=bold)

    def columns(self, text: str, first: str, second: str, *, bold: bool = False) -> None:
        """Small lines, with two amounts at the right of the first of them."""
        for number, line in enumerate(textwrap.wrap(text, _WRAPPED)):
            self.left(_SMALL, line, bold=bold)
            for place, amount in enumerate((second, first) if number == 0 else ()):
                self._right(_WIDTH - _MARGIN - place * _COLUMN, _SMALL, amount, bold=bold)

    def rule(self) -> None:
        """A line across the page."""
        self.down(8)
        self._stream.move_to(_MARGIN, self._y)
        self._stream.line_to(_WIDTH - _MARGIN, self._y)
        self._stream.stroke()

    def down(self, points: float) -> None:
        """Leave some room."""
        self._y -= points

    def file(self) -> bytes:
        """The whole file."""
        pydyf = self._pdf
        made = pydyf.PDF()
        fonts = {
            name: pydyf.Dictionary(
                {"Type": "/Font", "Subtype": "/Type1", "BaseFont": f"/{base}", "Encoding": "/WinAnsiEncoding"}
            )
            for name, base in (("F1", "Helvetica"), ("F2", "Helvetica-Bold"))
        }
        for each in (*fonts.values(), *self._pages):
            made.add_object(each)
        resources = pydyf.Dictionary({"Font": pydyf.Dictionary({name: each.reference for name, each in fonts.items()})})
        for page in self._pages:
            made.add_page(
                pydyf.Dictionary(
                    {
                        "Type": "/Page",
                        "Parent": made.pages.reference,
                        "MediaBox": pydyf.Array([0, 0, _WIDTH, _HEIGHT]),
                        "Contents": page.reference,
                        "Resources": resources,
                    }
                )
            )
        output = io.BytesIO()
        made.write(output, compress=True)
        return output.getvalue()

    @property
    def _stream(self) -> "pydyf.Stream":
        return self._pages[-1]

    def _turn(self) -> None:
        self._pages.append(self._pdf.Stream())
        self._y: float = _HEIGHT - _MARGIN

    def _right(self, edge: int, size: int, text: str, *, bold: bool) -> None:
        wide = sum(_WIDE.get(letter, _LETTER) for letter in text) * size / 1000
        self._write(edge - wide, size, text, bold=bold)

    def _write(self, x: float, size: int, text: str, *, bold: bool) -> None:
        self._stream.begin_text()
        self._stream.set_font_size("F2" if bold else "F1", size)
        self._stream.set_text_matrix(1, 0, 0, 1, x, self._y)
        encoded = printable(text).encode("cp1252", "replace").hex()
        self._stream.stream.append(f"<{encoded}> Tj".encode())
        self._stream.end_text()
