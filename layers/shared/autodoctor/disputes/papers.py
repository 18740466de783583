"""The documents of an evidence: receipt, signature, transcript and the mechanic's notes."""

from collections.abc import Sequence
from typing import Final

from autodoctor.db import Database
from autodoctor.disputes.discretion import discreet
from autodoctor.disputes.record import PaymentRecord
from autodoctor.disputes.texts import at
from autodoctor.documents.receipts import receipt
from autodoctor.documents.writing import has_letters_for, written
from autodoctor.notifications.kinds import TranscriptLine
from autodoctor.notifications.transcript import transcript_of

FIELDS: Final = {
    "receipt": "Receipt",
    "customer_communication": "Transcript",
    "customer_signature": "Signature of the waiver",
    "service_documentation": "The mechanic's notes for the customer",
}
"""Stripe's fields that take a file, and what we put there."""


def papers_of(database: Database, record: PaymentRecord) -> dict[str, bytes]:
    """The documents that the record has something for, by Stripe's field; the transcript is `transcript_paper()`'s."""
    found: dict[str, bytes] = {}
    if record["receipt_id"] is not None:
        from autodoctor.documents.pdf import receipt_pdf  # noqa: PLC0415 (for those only who make a PDF)

        made = receipt(database, record["user_id"], record["receipt_id"], any_customer=True)
        found["receipt"] = receipt_pdf(made).body
    if not record.is_erased and record["signed_name"] is not None:
        found["customer_signature"] = written(_signature(record))
    notes = discreet(record["notes"] or "", record["mechanic_name"])
    if notes and not record.is_erased:
        found["service_documentation"] = written([FIELDS["service_documentation"], "", *notes.splitlines()])
    return found


def transcript(database: Database, record: PaymentRecord) -> list[str]:
    """What was written in the session's room, in lines without anybody's name; empty where nothing is left of it."""
    if record.session_id is None or record.is_erased:
        return []
    lines, was_cut = transcript_of(database, record.session_id)
    said = [_said(each, record["mechanic_name"]) for each in lines]
    return [*(["(Earlier messages are left out.)"] if was_cut else []), *said] if said else []


def transcript_paper(said: Sequence[str]) -> bytes | None:
    """The transcript as a document; None where it has letters that our documents cannot show."""
    if not all(has_letters_for(each) for each in said):
        return None
    return written(["Transcript of the consultation. Addresses and numbers are left out.", "", *said])


def _signature(record: PaymentRecord) -> list[str]:
    return [
        f"Waiver, version {record['waiver_version']}",
        "",
        f"Signed by:  {record['signed_name']}",
        f"Signed at:  {at(record['signed_at'])}",
        f"For:        consultation {record.session_id}",
        "",
        "The customer signed in their own account, by typing their name under the text,",
        "before any mechanic saw the request.",
    ]


def _said(line: TranscriptLine, mechanic_name: str | None) -> str:
    who = "customer" if line.mechanic is None else "mechanic"
    return f"{at(line.at)}  {who}: {'(a file)' if line.text is None else discreet(line.text, mechanic_name)}"
