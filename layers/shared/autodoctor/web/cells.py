"""Cells of CSV that spreadsheets open.

A spreadsheet takes a cell that begins with =, +, -, @, a tab or a line's end for a formula. Names are typed by people,
so such a one gets an apostrophe in front (OWASP, CSV Injection).
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def to_csv(columns: Sequence[str], lines: Iterable[Mapping[str, object]]) -> str:
    """Lines as CSV (RFC 4180), with a heading. Text that would be a formula is quoted; numbers are not text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({name: _safe(value) for name, value in line.items()})
    return text.getvalue()


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
