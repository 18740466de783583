"""A statement as CSV, for a spreadsheet or a tax adviser: one line of the ledger a line, between the two balances."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from autodoctor.documents.statements import Statement
from autodoctor.web.cells import to_csv
from autodoctor.web.http import Content

_COLUMNS: Final = (
    *("booked_at", "kind", "text", "payable_usd", "owed_usd"),
    *("payable_balance_usd", "owed_balance_usd", "session_id", "transfer_id"),
)


def statement_csv(made: Statement) -> Content:
    """A month or a year as a file to keep; amounts in dollars, instants in UTC."""
    headers = {"Content-Disposition": f'attachment; filename="statement-{made.period}.csv"'}
    return Content(to_csv(_COLUMNS, _lines(made)), "text/csv; charset=utf-8", headers=headers)


def _lines(made: Statement) -> Iterator[dict[str, object]]:
    payable, owed = made.opening.payable_cents, made.opening.owed_cents
    yield {
        "booked_at": _at(made.starts_at.isoformat()),
        "kind": "opening",
        "text": "Balance",
        **_balance(payable, owed),
    }
    for line in made.lines:
        payable, owed = payable + line.payable_cents, owed + line.owed_cents
        yield {
            "booked_at": _at(line.booked_at.isoformat()),
            "kind": line.kind,
            "text": line.text,
            "payable_usd": _dollars(line.payable_cents),
            "owed_usd": _dollars(line.owed_cents),
            **_balance(payable, owed),
            "session_id": line.session_id or "",
            "transfer_id": line.transfer_id or "",
        }
    until = min(made.ends_at, made.issued_at)
    yield {"booked_at": _at(until.isoformat()), "kind": "closing", "text": "Balance", **_balance(payable, owed)}


def _balance(payable: int, owed: int) -> dict[str, object]:
    return {"payable_balance_usd": _dollars(payable), "owed_balance_usd": _dollars(owed)}


def _dollars(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _at(instant: str) -> str:
    return instant.replace("+00:00", "Z")
