"""Words of other people: what counts as something to see, and what is written out instead of acting."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from autodoctor.admin.payouts import HoldRequest
from autodoctor.admin.settlements import DecideRequest
from autodoctor.contests.decide import DecideContestRequest
from autodoctor.intake.request import IntakeRequest, Signature
from autodoctor.intake.waiver import WaiverRequest
from autodoctor.notifications.kinds import Kind
from autodoctor.notifications.mail import render
from autodoctor.notifications.samples import sample
from autodoctor.payments.ledger.credits import GrantRequest
from autodoctor.printable import is_visible, printable
from autodoctor.quotes.quotes import AmountRequest, EscalationRequest
from autodoctor.sessions.end import EndRequest
from localcloud.commands.samples import INTAKE

UNSEEN = ["\u200b\u2060", "\u200b", "\u00ad", "\u3164", "\u2800", "\u202e\u202c", "\ufeff", "\u0301", "\u115f \u1160"]
NASTY = "before\x1b[2J\x07\u202egnp.exe\u2028after"


@pytest.mark.parametrize("text", UNSEEN)
def test_what_shows_nothing_is_no_signature_name_or_concern(text: str) -> None:
    assert not is_visible(text)
    for model, body, pointer in (
        (Signature, {"signedName": text}, ("signedName",)),
        (WaiverRequest, {"sessionId": "0199d3a5-7c00-7a10-8000-0000000000a1", "signedName": text}, ("signedName",)),
        (IntakeRequest, {**INTAKE, "name": text}, ("name",)),
        (IntakeRequest, {**INTAKE, "concern": text}, ("concern",)),
        (IntakeRequest, {**INTAKE, "vehicle": {**INTAKE["vehicle"], "make": text}}, ("vehicle", "make")),
    ):
        assert pointer in refused(model, body)


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (DecideContestRequest, "note"),
        (DecideRequest, "note"),
        (HoldRequest, "reason"),
        (GrantRequest, "reason"),
        (EndRequest, "explanation"),
        (EscalationRequest, "note"),
        (AmountRequest, "description"),
    ],
)
def test_what_shows_nothing_is_no_reason_that_others_read(model: type[BaseModel], field: str) -> None:
    assert (field,) in refused(model, {field: UNSEEN[0]})


def refused(model: type[BaseModel], body: dict[str, Any]) -> list[tuple[int | str, ...]]:
    with pytest.raises(ValidationError) as invalid:
        model.model_validate_json(json.dumps(body))
    return [error["loc"] for error in invalid.value.errors()]


@pytest.mark.parametrize("text", ["C", "李", "\u0627", "7", "!", "\U0001f697", "e\u0301", "\u200bx"])
def test_whatever_shows_something_is_taken(text: str) -> None:
    assert is_visible(text)
    assert WaiverRequest.model_validate_json(
        json.dumps({"sessionId": "0199d3a5-7c00-7a10-8000-0000000000a1", "signedName": text})
    ).signed_name


def test_what_acts_on_a_terminal_or_the_direction_is_written_out() -> None:
    assert printable(NASTY) == r"before\x1b[2J\x07\u202egnp.exe\u2028after"
    assert printable("two\nlines\tand 👩\u200d🔧 Zoë") == "two\nlines\tand 👩\u200d🔧 Zoë"


def test_a_mail_shows_what_a_customer_wrote_and_does_nothing_of_it() -> None:
    facts = sample(Kind.REQUEST_RECEIVED).model_copy(update={"concern": NASTY, "name": "Eve\u202e"})
    mail = render(Kind.REQUEST_RECEIVED, "en", facts, "https://sessions.example")
    for part in (mail.text, mail.html):
        assert printable(NASTY) in part
        assert not {"\x1b", "\x07", "\u202e", "\u2028"} & set(part)


@pytest.mark.parametrize(
    ("address", "stored"),
    [
        ("cora@example.com", "cora@example.com"),
        ("Cora+car@Example.COM", "Cora+car@Example.COM"),
        ("cora@exämple.de", "cora@xn--exmple-cua.de"),
        ("o'hara@a-b.co.uk", "o'hara@a-b.co.uk"),
    ],
)
def test_an_address_is_kept_as_mail_can_be_sent_to_it(address: str, stored: str) -> None:
    assert IntakeRequest.model_validate_json(json.dumps({**INTAKE, "email": address})).email == stored


@pytest.mark.parametrize(
    "address",
    [
        *("jörg@exämple.de", "jörg@example.de", "Bob<bob@b.co>", "a@b.co.", "a..b@c.co", ".a@b.co", "a.@b.co", "a@b"),
        *('"a b"@c.co', "a@-b.co", "a@b-.co", "a@b..co", "a@[127.0.0.1]", "a@b.co,c@d.co", f"{'a' * 65}@b.co"),
        *("a@b.c", "a@1.2.3.4", "a@b.co>", "a(b)@c.co"),
    ],
)
def test_an_address_that_no_mail_can_be_sent_to_is_refused(address: str) -> None:
    assert refused(IntakeRequest, {**INTAKE, "email": address}) == [("email",)]
