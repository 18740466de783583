"""Names, instants and text in JSON, and that every answer has exactly its fields of SPEC.md#http."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated
from autodoctor.intake.waiver import WaiverSigned
from autodoctor.media.call import EnteredCall
from autodoctor.media.report import Heard
from autodoctor.payments.checkout.price_list import CreditPack, Plan, Plans
from autodoctor.payments.ledger.credits import CreditMovement, Credits, CreditsGranted
from autodoctor.payments.ledger.earnings import Earning, Earnings, EarningTotals
from autodoctor.payments.ledger.referrals import Referral
from autodoctor.quotes.views import MechanicQuote, Quote, Quotes, QuoteStep, SessionQuotes
from autodoctor.quotes.workshops import AskableWorkshop, AskableWorkshops
from autodoctor.room.messages import Marked, Message, Messages, Posted, ReadMarks
from autodoctor.sessions.accept import Accepted, Declined
from autodoctor.sessions.active import (
    ActiveSession,
    History,
    PastSession,
    SessionDetail,
    SessionOutcome,
    SessionSummary,
)
from autodoctor.sessions.availability import Availability
from autodoctor.sessions.end import Ended
from autodoctor.sessions.presence import PresenceRecorded, Released
from autodoctor.sessions.queue import Queue, QueuedAssignment
from autodoctor.sessions.queue_position import QueuePosition
from autodoctor.web.schemas import Name, RequestBody, ResponseModel, Utc, unstorable

CONTRACT = {
    SessionCreated: "sessionId assignmentId sessionStatus assignmentStatus next preferredMechanic",
    WaiverSigned: "sessionId assignmentId assignmentStatus preferredMechanic",
    Queue: "assignments nextCursor",
    QueuedAssignment: "assignmentId sessionId status sessionType plan customerName vehicleSummary concern pictureId"
    " urgent workshopId queuedAt scheduledFor offerExpiresAt paysCents currency includedMinutes",
    Accepted: "assignmentId sessionId sessionStatus",
    Declined: "assignmentId sessionId assignmentStatus",
    PresenceRecorded: "sessionId sessionStatus startedAt",
    Released: "sessionId sessionStatus",
    Availability: "mechanicId available availableUntil keptAliveByFeed",
    QueuePosition: "position mechanicsAvailable estimatedWaitSeconds",
    Ended: "sessionId status reason startedAt endedAt durationSeconds endedBy alreadyEnded",
    ActiveSession: "session",
    SessionSummary: "sessionId status sessionType plan createdAt startedAt scheduledFor counterpartName sessionUrl",
    History: "sessions nextCursor",
    Plans: "plans creditPacks",
    Plan: "code name sessionTypes priceCents currency credits includedMinutes maxMinutes usesPerCustomer minutePacks",
    CreditPack: "code name credits priceCents currency",
    Credits: "balance frozen history nextCursor",
    CreditMovement: "movement credits sessionId createdAt",
    CreditsGranted: "customerId credits balance",
    Earnings: "earnings totals netting suspension nextCursor",
    Earning: "payoutId sessionId kind amountCents nettedCents currency status createdAt",
    EarningTotals: "pendingCents paidCents failedCents reversedCents sessionCents referralCents escalationCents"
    " returnedCents",
    Referral: "referralCode referredCustomers earnedCents",
    SessionQuotes: "quotes",
    Quotes: "quotes nextCursor",
    AskableWorkshops: "workshops nextCursor",
    AskableWorkshop: "workshopId name",
    MechanicQuote: "quoteId sessionId status workshopId workshopName mechanicId mechanicName note vehicle"
    " vehicleSummary concern amountCents currency description requestedAt givenAt decidedAt timeline askedOfCaller",
    Quote: "quoteId sessionId status workshopId workshopName mechanicId mechanicName note vehicle vehicleSummary"
    " concern amountCents currency description requestedAt givenAt decidedAt timeline",
    EnteredCall: "provider meeting attendee",
    Heard: "sessionId recorded",
    Posted: "seq at",
    Messages: "messages read latest",
    Message: "seq role kind text note attachment at clientId",
    ReadMarks: "customer mechanic",
    Marked: "read",
    QuoteStep: "at status actor amountCents",
}


@pytest.mark.parametrize("model", CONTRACT, ids=lambda model: model.__name__)
def test_an_answer_has_exactly_the_fields_of_the_contract(model: type[ResponseModel]) -> None:
    assert [field.alias for field in model.model_fields.values() if not field.exclude] == CONTRACT[model].split()


def test_a_session_in_detail_has_its_outcome_its_participants_and_timeline() -> None:
    fields = {field.alias for field in SessionDetail.model_fields.values()}
    outcome = {field.alias for field in SessionOutcome.model_fields.values()}
    assert {"participants", "timeline", "terms"} <= fields
    assert set(CONTRACT[SessionSummary].split()) < outcome < fields
    assert {field.alias for field in PastSession.model_fields.values()} == {
        *outcome,
        *("mechanicId", "concern", "vehicleSummary", "priceCents", "currency", "credits", "funding"),
    }


class Stamp(ResponseModel):
    """An answer with an instant."""

    some_time: Utc | None


class Entry(RequestBody):
    """A request with every kind of strictness."""

    given_name: Name = "x"
    count: int = 0


@pytest.mark.parametrize("hours", [-11, 0, 2, 14])
def test_instants_are_written_in_utc_with_z(hours: int) -> None:
    at = datetime(2026, 11, 21, 12, 30, 0, 250_000, tzinfo=timezone(timedelta(hours=hours)))
    written = json.loads(Stamp(some_time=at).model_dump_json(by_alias=True))["someTime"]
    assert written.endswith("Z")
    assert datetime.fromisoformat(written) == at
    assert datetime.fromisoformat(written).tzinfo == UTC


def test_an_instant_without_an_offset_is_refused() -> None:
    with pytest.raises(ValidationError):
        Stamp.model_validate_json('{"someTime": "2026-11-21T12:30:00"}')


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-10:00"])
def test_an_instant_outside_the_calendar_of_utc_is_refused(at: str) -> None:
    with pytest.raises(ValidationError):
        Stamp.model_validate_json(json.dumps({"someTime": at}))


def test_requests_are_read_in_camel_case_only() -> None:
    assert Entry.model_validate_json('{"givenName": "Cora"}').given_name == "Cora"
    assert Entry.model_validate_json('{"given_name": "Cora"}').given_name == "x"


@pytest.mark.parametrize("name", ["", "   ", "\n\t", "x" * 201])
def test_a_name_has_1_to_200_characters_besides_the_space_around_it(name: str) -> None:
    with pytest.raises(ValidationError):
        Entry.model_validate_json(json.dumps({"givenName": name}))


@pytest.mark.parametrize("name", ["x", "x" * 200, "  " + "x" * 200 + "  ", "😀" * 200])
def test_a_names_length_counts_characters(name: str) -> None:
    assert Entry.model_validate_json(json.dumps({"givenName": name})).given_name == name.strip()


texts = st.text(st.characters(exclude_categories=()), max_size=6)
documents: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


def is_storable(text: str) -> bool:
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False


def all_texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in all_texts(part)]
    return [text for part in value for text in all_texts(part)] if isinstance(value, list) else []


@given(documents)
def test_a_document_is_refused_if_and_only_if_some_text_of_it_cannot_be_stored(document: object) -> None:
    assert (unstorable(document) is None) is all(map(is_storable, all_texts(document)))


@given(documents)
def test_the_pointer_to_unstorable_text_leads_into_the_document(document: object) -> None:
    pointer = unstorable(document)
    if pointer is None:
        return
    found: Any = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        found = found[int(key)] if isinstance(found, list) else found[key]
    assert not all(map(is_storable, all_texts(found)))


def test_ids_sort_by_the_time_they_were_made() -> None:
    made = [new_id() for _ in range(200)]
    assert len(set(made)) == len(made)
    assert [made_id.int >> 80 for made_id in made] == sorted(made_id.int >> 80 for made_id in made)
    assert {(made_id.version, made_id.variant) for made_id in made} == {(7, "specified in RFC 4122")}


def test_a_uuid_is_written_in_lower_case_with_hyphens() -> None:
    written = TypeAdapter(Released).dump_python(Released(session_id=new_id()), mode="json")["session_id"]
    assert written == written.lower()
    assert written.count("-") == 4
