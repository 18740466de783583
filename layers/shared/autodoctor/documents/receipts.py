"""GET /api/customer/receipts and /api/receipts/{receiptId}: what a customer paid, and what went back.

The documents are the schema's (sql/money/0026_receipts.sql). They name nobody: the name is looked up when one is shown.
"""

from typing import Final, Literal, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.errors import ReceiptNotFound
from autodoctor.ids import LAST
from autodoctor.web.paging import id_of, page_size
from autodoctor.web.schemas import ResponseModel, Utc

type ReceiptKind = Literal["receipt", "credit_note", "correction"]
type ReceiptCause = Literal[
    "session", "credits", "refund", "dispute", "credits_returned", "refund_failed", "dispute_won", "correction"
]

_FIELDS: Final[LiteralString] = """
SELECT r.id AS receipt_id, r.number, r.kind, r.cause, r.issued_at, r.title, r.currency, r.checkout_id,
       CASE WHEN r.currency = 'usd' THEN r.amount END AS amount_cents,
       CASE WHEN r.currency = 'usd' THEN r.tax END AS tax_cents,
       CASE WHEN r.currency = 'credit' THEN r.amount END AS credits,
       (SELECT s.id FROM sessions s WHERE s.id = r.intake_id) AS session_id,
       (SELECT o.number FROM receipts o WHERE o.id = r.corrects_id) AS corrects
  FROM receipts r
"""
_PAGE: Final[LiteralString] = (
    _FIELDS + " WHERE r.user_id = %(user_id)s AND r.id < %(before)s ORDER BY r.id DESC LIMIT %(limit)s + 1"
)
_ONE: Final[LiteralString] = _FIELDS + " WHERE r.id = %(receipt_id)s AND (r.user_id = %(user_id)s OR %(any_customer)s)"
_AROUND: Final[LiteralString] = """
SELECT (SELECT s.value FROM settings s WHERE s.key = 'receipt_issuer') AS issuer,
       (SELECT c.name FROM customers c WHERE c.user_id = r.user_id AND c.erased_at IS NULL) AS customer_name,
       (SELECT c.credits FROM checkouts c WHERE c.id = r.checkout_id) AS pack_credits
  FROM receipts r WHERE r.id = %(receipt_id)s
"""
_RELATED: Final[LiteralString] = """
SELECT o.id AS receipt_id, o.number, o.kind, o.issued_at,
       CASE WHEN o.currency = 'usd' THEN o.amount END AS amount_cents,
       CASE WHEN o.currency = 'credit' THEN o.amount END AS credits
  FROM (SELECT coalesce(r.corrects_id, r.id) AS id FROM receipts r WHERE r.id = %(receipt_id)s) AS whole
 CROSS JOIN LATERAL ((SELECT f.* FROM receipts f WHERE f.id = whole.id)
                     UNION ALL
                     (SELECT f.* FROM receipts f WHERE f.corrects_id = whole.id ORDER BY f.id LIMIT %(most)s)) AS o
 WHERE o.id <> %(receipt_id)s ORDER BY o.id LIMIT %(most)s
"""

MOST_RELATED: Final = 100
"""Other documents of the same purchase in one answer; there are a few."""

DEFAULT_ISSUER: Final = "AutoDoctor"
_SAYS: Final = {
    "session": "{title}",
    "credits": "{title}",
    "refund": "Refund: {title}",
    "dispute": "Returned by the customer's bank: {title}",
    "credits_returned": "Credits returned: {title}",
    "refund_failed": "Refund that did not arrive: {title}",
    "dispute_won": "Paid again after a dispute: {title}",
    "correction": "Correction: {title}",
}


class ReceiptEntry(ResponseModel):
    """One document: what was paid, or what went back.

    Attributes:
        number: without gaps within a year, over all kinds.
        kind: correction: of a credit note, whose money did not reach the customer in the end.
        title: what was bought.
        amount_cents: in cents of the currency; null for credits. Never negative: `kind` says which way it went.
        tax_cents: the tax within the amount.
        credits: the same in credits; null for money.
        session_id: the session that was paid for, if there is one.
        corrects: the number of the receipt that a credit note or a correction is of.
    """

    receipt_id: UUID
    number: str
    kind: ReceiptKind
    cause: ReceiptCause
    issued_at: Utc
    title: str
    currency: Literal["usd", "credit"]
    amount_cents: int | None
    tax_cents: int | None
    credits: int | None
    session_id: UUID | None
    corrects: str | None


class Receipts(ResponseModel):
    """One page, newest first."""

    receipts: list[ReceiptEntry]
    next_cursor: str | None


class ReceiptLine(ResponseModel):
    """What a line is for, and its amount in cents or in credits."""

    text: str
    amount_cents: int | None
    credits: int | None


class RelatedReceipt(ResponseModel):
    """Another document of the same purchase."""

    receipt_id: UUID
    number: str
    kind: ReceiptKind
    issued_at: Utc
    amount_cents: int | None
    credits: int | None


class Receipt(ReceiptEntry):
    """One document as it is printed.

    Attributes:
        issuer: who sells: name and address, in lines.
        customer_name: null once the customer's data is erased, and before their first request.
        related: the receipt, credit notes and corrections of the same purchase.
    """

    issuer: str
    customer_name: str | None
    lines: list[ReceiptLine]
    related: list[RelatedReceipt]


def receipts_of(database: Database, user_id: UUID, limit: str | None = None, cursor: str | None = None) -> Receipts:
    """A customer's receipts and credit notes.

    Args:
        user_id: the customer's `sub`.
        limit: documents per page, 1 to 100; 20 where absent.
        cursor: `nextCursor` of the page before.

    Raises:
        Unprocessable: limit or cursor is not one of ours.
    """
    size = page_size(limit)
    rows = database.all(_PAGE, {"user_id": user_id, "limit": size, "before": id_of(cursor, LAST)})
    return Receipts(
        receipts=[ReceiptEntry(**row) for row in rows[:size]],
        next_cursor=str(rows[size - 1]["receipt_id"]) if len(rows) > size else None,
    )


def receipt(database: Database, user_id: UUID, receipt_id: UUID, *, any_customer: bool = False) -> Receipt:
    """One document, for its customer.

    Args:
        user_id: the caller's `sub`.
        receipt_id: which.
        any_customer: whether the caller may see everybody's.

    Raises:
        ReceiptNotFound: there is none, or it is another customer's.
    """
    named = {"user_id": user_id, "receipt_id": receipt_id, "any_customer": any_customer, "most": MOST_RELATED}
    found = database.one(_ONE, named)
    around = database.one(_AROUND, named)
    if found is None or around is None:
        raise ReceiptNotFound
    related = database.all(_RELATED, named)
    return Receipt.model_validate(
        {
            **found,
            "issuer": around["issuer"] or DEFAULT_ISSUER,
            "customer_name": around["customer_name"],
            "lines": [_line(found, around["pack_credits"])],
            "related": [RelatedReceipt(**row) for row in related],
        }
    )


def _line(found: Row, pack_credits: int | None) -> ReceiptLine:
    text = _SAYS[found["cause"]].format(title=found["title"])
    if found["cause"] == "credits" and str(pack_credits) not in text:
        text = f"{text} ({pack_credits} credits)"
    return ReceiptLine(text=text, amount_cents=found["amount_cents"], credits=found["credits"])
