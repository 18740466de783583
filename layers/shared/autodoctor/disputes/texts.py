"""The text fields of an evidence, and what the record does not have. English, as banks read it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from autodoctor.disputes.record import PaymentRecord, Recorded
from autodoctor.documents.words import day, money
from autodoctor.plural import counted

type Gap = Literal[
    "erased", "no_session", "not_provided", "no_signature", "no_transcript", "other_letters", "no_receipt"
]

MOST_CHARACTERS: Final = 20_000
"""In a field."""

GAPS: Final[Mapping[str, str]] = {
    "erased": "The customer's personal data was erased on their request: name, words and signature are gone.",
    "no_session": "There is no session of this payment.",
    "not_provided": "The record does not show that what was paid for was given.",
    "no_signature": "There is no signature: credits are bought without a waiver, or it was not signed.",
    "no_transcript": "Nothing was written in the session's room.",
    "other_letters": "The transcript has letters that a PDF of ours cannot show; it stands in the text instead.",
    "no_receipt": "There is no receipt of the payment.",
}
"""What the record does not have, in words for whoever reads the case."""

_WITNESSES: Final = {
    "room": "connected to the consultation's room (seen by the server)",
    "medium": "in the call (seen by the call's provider)",
    "mutual": "heard by the other party's device",
}
_STATES: Final = {
    "scheduled": "the consultation was booked for a later time",
    "pending": "the consultation was requested",
    "waiting": "a mechanic accepted the request",
    "live": "both parties were present: the consultation began",
    "completed": "the consultation ended: completed",
    "cancelled": "the consultation ended: cancelled",
    "expired": "the request expired",
}
_MORE: Final = {
    "asked": "the customer asked for",
    "agreed": "the mechanic agreed to",
    "extended": "the consultation was extended by",
}
_DECIDED: Final = {
    "keep": "an admin decided that the price stays",
    "part": "an admin decided that a part of it goes back",
    "all": "an admin decided that all of it goes back",
    None: "that is not decided",
}
_HELD: Final = {"chat": "in writing", "video": "by video call", "diagnostic": "by video call"}


def texts_of(record: PaymentRecord) -> dict[str, str]:
    """Stripe's text fields, those that the record has something for."""
    found = {
        "product_description": _product(record),
        "service_date": day(record["started_at"]) if record["started_at"] is not None else "",
        "access_activity_log": "\n".join(_log_line(line) for line in record.log),
        "customer_name": "" if record.is_erased else record["customer_name"] or "",
        "customer_email_address": "" if record.is_erased else record["email"] or "",
        "refund_policy_disclosure": _policy(record),
        "refund_refusal_explanation": _refusal(record),
        "uncategorized_text": _rest(record),
    }
    return {field: text[:MOST_CHARACTERS] for field, text in found.items() if text}


def gaps_of(record: PaymentRecord, documents: Mapping[str, object], *, other_letters: bool) -> list[Gap]:
    """What the record does not have.

    Args:
        documents: by Stripe's field, those that there are.
        other_letters: whether a transcript could not be written as one.
    """
    of_session = record["kind"] != "pack"
    found: dict[Gap, bool] = {
        "erased": record.is_erased,
        "no_session": of_session and record.session_id is None,
        "not_provided": not record.proves,
        "no_signature": "customer_signature" not in documents and not record.is_erased,
        "no_transcript": of_session and "customer_communication" not in documents and not other_letters,
        "other_letters": other_letters,
        "no_receipt": "receipt" not in documents,
    }
    return [gap for gap, is_so in found.items() if is_so]


def at(moment: datetime) -> str:
    """An instant: 2026-11-30 09:12:03 UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: int) -> str:
    """How long: 13 minutes 7 seconds."""
    minutes, rest = divmod(seconds, 60)
    return " ".join(
        [counted(minutes, "minute")] * (minutes > 0) + [counted(rest, "second")] * (rest > 0 or not minutes)
    )


def _product(record: PaymentRecord) -> str:
    price = money(record["amount_cents"])
    if record["kind"] == "pack":
        return f"{record['title']}: {counted(record['credits'], 'credit')} for online consultations, {price}, at once."
    if record["extension_id"] is not None:
        more = counted(record["more_minutes"], "more minute")
        return f"{more} of an online consultation under way, {price}, charged once."
    how = _HELD.get(record["session_type"] or "", "online")
    return f"{record['title']}: an online consultation with a car mechanic, {how}, {price}, charged once."


def _log_line(line: Recorded) -> str:
    if line.what.startswith("spent:"):
        spent = counted(int(line.what.removeprefix("spent:")), "credit")
        ended = "" if line.until is None else f", which ended at {at(line.until)}"
        return f"{at(line.at)}: the customer spent {spent} on a consultation{ended} ({line.role})"
    what, _, number = line.what.partition(":")
    if what in _MORE:
        return f"{at(line.at)}: {_MORE[what]} {counted(int(number), 'more minute')}"
    if line.role is None:
        return f"{at(line.at)}: {_STATES.get(line.what, line.what)}"
    if line.what == "signed":
        return f"{at(line.at)}: the customer signed the waiver"
    if line.what.startswith("wrote:"):
        wrote = counted(int(line.what.removeprefix("wrote:")), "message")
        return f"{at(line.at)} to {at(line.until or line.at)}: the {line.role} wrote {wrote}"
    until = "" if line.until is None else f" to {at(line.until)}"
    return f"{at(line.at)}{until}: the {line.role} was {_WITNESSES[line.what]}"


def _policy(record: PaymentRecord) -> str:
    if record["kind"] == "pack":
        return (
            "The customer was shown before payment what a credit buys. "
            "Credits of a consultation that does not take place come back."
        )
    least = duration(record["min_billable_seconds"])
    return (
        "The customer was shown before payment, and signed where a waiver is enclosed: the price is charged for a "
        f"consultation in which both parties were together for at least {least}; otherwise all of it is refunded. "
        f"For {counted(record['contest_hours'], 'hour')} after the settlement the customer may contest the "
        "consultation, and a person decides about a refund."
    )


def _refusal(record: PaymentRecord) -> str:
    if not record.proves or record["kind"] == "pack":
        return ""
    together, start, end = duration(record["together_seconds"]), at(record["started_at"]), at(record["ended_at"])
    said = f"The consultation took place: both parties were together for {together}, from {start} to {end}."
    if record["extension_id"] is not None:
        said = (
            f"{said} It went on into the {counted(record['more_minutes'], 'more minute')} that the customer asked for."
        )
    if record["contested_at"] is None:
        return f"{said} The customer did not contest it with us."
    decided = _DECIDED[record["contest_outcome"]]
    return f"{said} The customer contested it with us at {at(record['contested_at'])}; {decided}."


def _rest(record: PaymentRecord) -> str:
    said = [f"Bought on {day(record['bought_at'])}."]
    if record["kind"] == "pack":
        spent = sum(int(line.what.removeprefix("spent:")) for line in record.log if line.role == "completed")
        said.append(f"Since then the customer has had consultations for {counted(spent, 'credit')}.")
    elif record["status"] == "unfulfillable":
        said.append("The payment could not be fulfilled, and goes back.")
    elif record["extension_id"] is not None and not record.proves:
        said.append("The minutes were not used, or that is not decided; what was not used goes back.")
    elif record["session_status"] not in (None, "completed"):
        said.append(f"The consultation did not take place ({record['end_reason'] or record['session_status']}).")
    said += [
        f"On {day(each.issued_at)} {money(each.cents)} went back (credit note {each.number})." for each in record.back
    ]
    if record.is_erased:
        said.append(
            f"On {day(record['erased_at'])} the customer had their personal data erased, as the law lets them: "
            "name, signature and what was written are gone. Times, states and amounts are as they were recorded."
        )
    return " ".join(said)
