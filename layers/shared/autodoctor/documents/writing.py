"""Plain text as PDF: as many pages as it needs, in Courier, which every reader has and whose letters are one width."""

import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from autodoctor.printable import printable

if TYPE_CHECKING:
    import pydyf

_WIDTH, _HEIGHT = 595, 842  # A4, in points
_MARGIN: Final = 56
_SIZE: Final = 9
_LEADING: Final = 12
_COLUMNS: Final = int((_WIDTH - 2 * _MARGIN) / (_SIZE * 0.6))
_LINES: Final = (_HEIGHT - 2 * _MARGIN) // _LEADING


def has_letters_for(text: str) -> bool:
    """Whether these fonts have every letter of it (Windows-1252)."""
    return text.encode("cp1252", "ignore").decode("cp1252") == text


def written(lines: Iterable[str]) -> bytes:
    """A PDF of these lines, each wrapped where it is too long; an empty one leaves some room."""
    import pydyf  # noqa: PLC0415 (for those only who make a PDF)

    made = pydyf.PDF()
    font = pydyf.Dictionary(
        {"Type": "/Font", "Subtype": "/Type1", "BaseFont": "/Courier", "Encoding": "/WinAnsiEncoding"}
    )
    made.add_object(font)
    resources = pydyf.Dictionary({"Font": pydyf.Dictionary({"F1": font.reference})})
    for page in batched(_wrapped(lines), _LINES, strict=False):
        stream = pydyf.Stream()
        _write(stream, page)
        made.add_object(stream)
        facts: dict[str, Any] = {
            "Type": "/Page",
            "Parent": made.pages.reference,
            "MediaBox": pydyf.Array([0, 0, _WIDTH, _HEIGHT]),
            "Contents": stream.reference,
            "Resources": resources,
        }
        made.add_page(pydyf.Dictionary(facts))
    output = io.BytesIO()
    made.write(output, compress=True)
    return output.getvalue()


def _wrapped(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        for part in line.splitlines() or [""]:
            yield from textwrap.wrap(printable(part), _COLUMNS, subsequent_indent="    ") or [""]


def _write(stream: "pydyf.Stream", lines: Sequence[str]) -> None:
    for number, line in enumerate(lines):
        stream.begin_text()
        stream.set_font_size("F1", _SIZE)
        stream.set_text_matrix(1, 0, 0, 1, _MARGIN, _HEIGHT - _MARGIN - _LEADING * (number + 1))
        encoded = line.encode("cp1252", "replace").hex()
        stream.stream.append(f"<{encoded}> Tj".encode())
        stream.end_text()
