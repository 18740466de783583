"""The events on the bus: one pydantic model per kind, versioned, built only here.

An event carries ids and facts, never personal data: buses have archives and dead-letter queues, so a consumer
looks names and addresses up. Within version 1 fields are only added.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID, uuid5

from pydantic import Field, TypeAdapter

from autodoctor.db import Row
from autodoctor.web.schemas import ResponseModel, Utc

SOURCE: Final = "autodoctor"
"""The `source` of every event of ours."""

type SessionEventType = Literal[
    "session.created", "session.pending", "session.waiting", "session.live", "session.ended", "session.expired"
]
type AssignmentEventType = Literal[
    "assignment.pending_waiver",
    "assignment.queued",
    "assignment.offered",
    "assignment.accepted",
    "assignment.declined",
    "assignment.completed",
    "assignment.cancelled",
    "assignment.expired",
    "assignment.opened",
]


class _Event(ResponseModel):
    """The fields of every event.

    Attributes:
        event_id: the same at every delivery of this event; consumers must be idempotent on it.
        version: of the event's format.
        sequence: grows over all events; gaps are normal.
        occurred_at: by the database's clock.
    """

    event_id: UUID
    version: Literal[1] = 1
    sequence: int
    occurred_at: Utc


class _Transition(_Event):
    """A change of state.

    Attributes:
        session_id: the session that changed, or whose assignment did.
        session_seq: 1, 2, 3 and so on within the session: the order of its events, which the bus does not keep.
        actor: who made the change: customer, mechanic, admin, system, operator or db.
        status: the state after the change.
        previous_status: the state before it; null for a creation.
    """

    session_id: UUID
    session_seq: int
    actor: str
    status: str
    previous_status: str | None


class SessionEvent(_Transition):
    """A session changed its state.

    Attributes:
        customer_id: row of `customers`.
        mechanic_id: row of `mechanics`: the mechanic who has the session, or had it until now; null for none.
        reason: why it ended: billable, too_short, no_talk, no_show, withdrawn or expired.
        absent: the party that was not there while the other waited, if the reason is no_show.
        ended_by: who ended it: customer, mechanic, admin or system.
        pushed: whether the room has heard of it already, from the call that made it.
    """

    type: SessionEventType
    customer_id: UUID
    mechanic_id: UUID | None
    reason: str | None = None
    absent: str | None = None
    ended_by: str | None = None
    pushed: bool = False


class AssignmentEvent(_Transition):
    """An assignment changed its state, or (`assignment.opened`) became visible to every mechanic.

    Attributes:
        mechanic_id: row of `mechanics`: the mechanic to whom it was offered, or who accepted it; null for none.
        workshop_id: only the mechanics of this workshop see it; null: every mechanic does.
        urgent: whether it is listed before those that are not urgent.
    """

    type: AssignmentEventType
    assignment_id: UUID
    mechanic_id: UUID | None
    workshop_id: UUID | None
    urgent: bool


class PayoutEvent(_Event):
    """A mechanic's money was sent, or could not be.

    Attributes:
        amount_cents: in cents of the currency.
        reason: why it failed.
    """

    type: Literal["payout.sent", "payout.failed"]
    payout_id: UUID
    session_id: UUID
    mechanic_id: UUID
    amount_cents: int
    currency: str
    reason: str | None = None


class PaymentEvent(_Event):
    """A customer's payment bought nothing, or not yet.

    Unfulfillable: their purchase can no longer be fulfilled; a payment for an intake is refunded in full.
    Failed: the bank refused a payment that was still being processed.
    Late: the money came so late that the customer is asked first whether their session shall start.
    Refund failed: what is owed back was not taken by the customer's bank, or by Stripe: a person pays it back.

    Attributes:
        checkout_id: the payment.
        intake_id: the intake that it was for; null where it was for credits.
        customer_id: row of `customers`; null where it was for credits.
        amount_cents: the amount paid or to be paid, in cents of the currency.
        reason: active_session: they have another session by now; session_over: the talk that
            should be extended was over; mismatch: the amount paid does not match the price;
            given_back: they did not want it any more when it came late; unanswered: they did not say; late;
            refused: by the bank; bank_refused: the refund; given_up: no attempt at the refund succeeded.
    """

    type: Literal["payment.unfulfillable", "payment.failed", "payment.late", "payment.refund_failed"]
    checkout_id: UUID
    intake_id: UUID | None
    customer_id: UUID | None
    amount_cents: int
    currency: str
    reason: Literal[
        "active_session",
        "session_over",
        "mismatch",
        "given_back",
        "unanswered",
        "late",
        "refused",
        "bank_refused",
        "given_up",
    ]


class ReceiptEvent(_Event):
    """A document about a customer's money was written: a receipt, a credit note, or a correction of one.

    Attributes:
        number: as it is printed.
        cause: session or credits: what was paid for; refund or dispute: how it went back; refund_failed or
            dispute_won: why it did not in the end; correction: of what was booked before.
        checkout_id: the payment.
        intake_id: the intake that was paid for; null where it was credits.
        amount_cents: in cents of the currency, never negative.
    """

    type: Literal["receipt.issued"]
    receipt_id: UUID
    number: str
    kind: Literal["receipt", "credit_note", "correction"]
    cause: Literal["session", "credits", "refund", "dispute", "refund_failed", "dispute_won", "correction"]
    checkout_id: UUID
    intake_id: UUID | None
    amount_cents: int
    currency: str


class MechanicEvent(_Event):
    """A mechanic became available or unavailable; availability that lapses by itself sends no event."""

    type: Literal["mechanic.availability_changed"]
    mechanic_id: UUID
    available: bool


class AwayEvent(_Event):
    """A mechanic let offers lapse, and is not available any more.

    Attributes:
        session_id: the session whose offer was the last one.
        missed: how many, one after the other.
    """

    type: Literal["mechanic.set_away"]
    mechanic_id: UUID
    session_id: UUID
    missed: int


class SuspensionEvent(_Event):
    """A mechanic was suspended; the reason is theirs to read, and in no event."""

    type: Literal["mechanic.suspended"]
    mechanic_id: UUID


class QuoteEvent(_Event):
    """A quote was requested, given, changed or decided.

    Superseded: the customer approved another workshop's for the same session.

    Attributes:
        session_id: the session that was escalated.
        workshop_id: the workshop that gives the quote.
        mechanic_id: row of `mechanics`: the mechanic who escalated.
        customer_id: row of `customers`: the customer who decides.
        amount_cents: in cents of the currency; null before there is one.
    """

    type: Literal["quote.requested", "quote.given", "quote.approved", "quote.declined", "quote.superseded"]
    quote_id: UUID
    session_id: UUID
    workshop_id: UUID
    mechanic_id: UUID
    customer_id: UUID
    amount_cents: int | None
    currency: str


class MessageEvent(_Event):
    """A message was written in the room of a session; its words are only there.

    Attributes:
        seq: its number within the session: 1, 2, 3 and so on without gaps.
        role: who wrote it.
        kind: what it is.
        pushed: whether every open connection of the room has it already, so that no feed has to bring it.
        heard: whether the other party was in the room and was brought it, so that nobody has to call them.
    """

    type: Literal["message.posted"]
    session_id: UUID
    seq: int
    role: Literal["customer", "mechanic", "system"]
    kind: Literal["text", "file", "system"]
    pushed: bool = False
    heard: bool = False


class ReplyEvent(_Event):
    """A mechanic accepted, and has neither written nor come while the customer is in the room.

    Attributes:
        customer_id: row of `customers`.
        mechanic_id: row of `mechanics`: the mechanic who is waited for.
    """

    type: Literal["reply.late"]
    session_id: UUID
    assignment_id: UUID
    customer_id: UUID
    mechanic_id: UUID


class NotesEvent(_Event):
    """The customer is to be told of a session that is over.

    summary.ready: of the outcome, with the notes: the mechanic confirmed them, or they were waited for long enough.
    notes.added: of notes that were confirmed when the customer had been told of the outcome without them.

    Attributes:
        customer_id: row of `customers`.
        mechanic_id: row of `mechanics`: the mechanic who held the session.
    """

    type: Literal["summary.ready", "notes.added"]
    session_id: UUID
    customer_id: UUID
    mechanic_id: UUID


class ContestEvent(_Event):
    """A customer contested a session, its mechanic answered, or an admin decided.

    Attributes:
        customer_id: row of `customers`.
        mechanic_id: row of `mechanics`: the mechanic who held the session.
        reason: what was wrong, as the customer chose it.
        outcome: of the decision: keep, part or all of what was paid goes back.
        refund_cents: what goes back to a card, in cents of usd; `refund_credits` the same in credits.
    """

    type: Literal["contest.opened", "contest.answered", "contest.decided"]
    session_id: UUID
    customer_id: UUID
    mechanic_id: UUID
    reason: str
    outcome: Literal["keep", "part", "all"] | None = None
    refund_cents: int | None = None
    refund_credits: int | None = None


type Event = (
    SessionEvent
    | AssignmentEvent
    | PayoutEvent
    | PaymentEvent
    | ReceiptEvent
    | MechanicEvent
    | AwayEvent
    | SuspensionEvent
    | QuoteEvent
    | MessageEvent
    | ReplyEvent
    | NotesEvent
    | ContestEvent
)
MODELS: Final = (
    SessionEvent,
    AssignmentEvent,
    PayoutEvent,
    PaymentEvent,
    ReceiptEvent,
    MechanicEvent,
    AwayEvent,
    SuspensionEvent,
    QuoteEvent,
    MessageEvent,
    ReplyEvent,
    NotesEvent,
    ContestEvent,
)
_ANY: Final = TypeAdapter[Event](Annotated[Event, Field(discriminator="type")])


def parse_event(envelope: Mapping[str, Any]) -> Event:
    """The event in an EventBridge envelope.

    Raises:
        pydantic.ValidationError: not one of ours, or of a version we do not know.
    """
    return _ANY.validate_python({**envelope["detail"], "type": envelope["detail-type"]})


def event_of(row: Row) -> Event:
    """The event of a row that `outbox.pending` or `outbox.claim` selected.

    Raises:
        pydantic.ValidationError: the row is not a known event.
    """
    common = {"event_id": uuid5(row["subject_id"], str(row["id"])), "sequence": row["id"]}
    if row["type"] is not None:
        return _ANY.validate_python({**row["payload"], **common, "type": row["type"]})
    return _ANY.validate_python(
        {
            **(row["data"] or {}),
            **row,
            **common,
            "type": _transition_type(row),
            "session_id": row["subject_id"],
            "actor": row["actor"].partition(":")[0],
        }
    )


def detail(event: Event) -> str:
    """The event's JSON on the bus; its type is the envelope's."""
    return event.model_dump_json(by_alias=True, exclude={"type"})


def json_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """The JSON Schema of the `detail` of each detail-type."""
    for model in MODELS:
        schema = model.model_json_schema(by_alias=True, mode="serialization")
        schema["properties"].pop("type")
        schema["required"] = [name for name in schema["required"] if name != "type"]
        schema["description"] = schema["description"].partition("\n")[0]
        used = json.dumps(schema["properties"])
        schema["$defs"] = {name: each for name, each in schema["$defs"].items() if f'"#/$defs/{name}"' in used}
        annotation: Any = model.model_fields["type"].annotation
        for name in get_args(getattr(annotation, "__value__", annotation)):
            yield name, {**schema, "title": name}


def _transition_type(row: Row) -> str:
    previous, status = row["previous_status"], row["status"]
    if row["assignment_id"] is not None:
        return "assignment.opened" if status == previous else f"assignment.{status}"
    if previous is None:
        return "session.created"
    return "session.ended" if status in {"completed", "cancelled"} else f"session.{status}"
