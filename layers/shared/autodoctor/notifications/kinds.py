"""The kinds of notification, the event that causes each, and the facts that its text uses."""

from enum import StrEnum
from typing import Any, Final, Literal, TypeIs
from uuid import UUID

from autodoctor.events.model import Event, ReceiptEvent, SessionEvent
from autodoctor.web.schemas import ResponseModel, Utc


class Kind(StrEnum):
    """A kind of notification, sent by e-mail and shown in the application."""

    CONFIRM_ADDRESS = "confirm_address"
    REQUEST_RECEIVED = "request_received"
    MECHANIC_ASSIGNED = "mechanic_assigned"
    FIRST_REPLY_LATE = "first_reply_late"
    BACK_IN_QUEUE = "back_in_queue"
    SESSION_TAKEN_BACK = "session_taken_back"
    SET_AWAY = "set_away"
    SUSPENDED = "suspended"
    SESSION_COMPLETED = "session_completed"
    SESSION_CANCELLED = "session_cancelled"
    SESSION_CLOSED = "session_closed"
    NOTES_ADDED = "notes_added"
    PAYOUT_SENT = "payout_sent"
    PAYOUT_FAILED = "payout_failed"
    PAYMENT_RECEIVED = "payment_received"
    CREDITS_BOUGHT = "credits_bought"
    REFUND_SENT = "refund_sent"
    PAYMENT_UNFULFILLABLE = "payment_unfulfillable"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_LATE = "payment_late"
    REFUND_FAILED = "refund_failed"
    QUOTE_REQUESTED = "quote_requested"
    QUOTE_GIVEN = "quote_given"
    QUOTE_APPROVED = "quote_approved"
    CONTEST_OPENED = "contest_opened"
    CONTEST_DECIDED = "contest_decided"


class CallKind(StrEnum):
    """What calls a user at once and leaves nothing behind: sent by Web Push only."""

    REQUEST_WAITING = "request_waiting"
    REQUEST_OFFERED = "request_offered"
    MESSAGE_WAITING = "message_waiting"


PUSHED: Final = frozenset({*CallKind, Kind.MECHANIC_ASSIGNED, Kind.QUOTE_GIVEN})
"""The kinds that are sent by Web Push."""


class TranscriptLine(ResponseModel):
    """A message of a room, as a transcript has it.

    Attributes:
        mechanic: the name of the mechanic who wrote it; None: the customer did.
        text: the words; None: a file without words.
    """

    at: Utc
    mechanic: str | None
    text: str | None


type Bought = Literal["session", "credits", "extension"]


class Facts(ResponseModel):
    """What a text may mention; each kind uses some of it.

    Attributes:
        name: the reader's.
        mechanic: the mechanic's name.
        session_url: where the parties meet.
        needs_waiver: whether the waiver must be signed before mechanics see the request.
        concern: the problem in the customer's words.
        vehicle: the car in a few words.
        notes: what the mechanic wrote for the customer.
        transcript: what was said in the room, the newest of it where `transcript_cut`.
        by_operator: whether an operator ended the session, and `explanation` what they say of it.
        released_by: who had the request queued again after a mechanic had accepted: mechanic, system or an operator;
            `taken_by` is the same for the mechanic who lost it: customer, system or an operator.
        reason: why the session ended (billable, too_short, no_talk, no_show, withdrawn, expired) or the payment failed.
        absent: who was not there, when the reason is no_show: customer, mechanic or both.
        price_cents: the session's price in cents of the currency; `credits` is the same in credits.
        amount_cents: the amount of a payout, payment or quote, in cents of the currency.
        workshop: the name of the workshop that quotes.
        decided: how a contest was decided: keep, part or all; `reader` is who reads it, and `explanation` the admin's
            words.
        earned_for: what a payout is for: holding a session, more minutes of it, referring its customer, or escalating
            it.
        bought: what a payment was for: session, credits or extension.
        confirm_url: the link that confirms an address.
        missed: how many offers a mechanic let lapse, one after the other.
        suspended_at: since when a mechanic is suspended.
        urgent: whether the customer calls it urgent.
        pays_cents: what a completed session pays its mechanic, in cents of the currency.
        from_customer: whether it is the customer who wrote.
        receipt_id: the receipt or credit note, and `number` what is printed on it.
        bought_title: the name of what was bought; `tax_cents` the tax within its price, None without one.
        receipt_url: where the document is.
        intake_id: what was paid for, and `answer_url` the page where its customer says what shall become of it.
        refunded: whether a payment is refunded in full; if not, an operator looks at it.
    """

    name: str | None = None
    mechanic: str | None = None
    mechanic_id: UUID | None = None
    session_type: str | None = None
    session_url: str | None = None
    scheduled_for: Utc | None = None
    needs_waiver: bool | None = None
    concern: str | None = None
    vehicle: str | None = None
    started_at: Utc | None = None
    ended_at: Utc | None = None
    duration_seconds: int | None = None
    notes: str | None = None
    transcript: tuple[TranscriptLine, ...] = ()
    transcript_cut: bool = False
    by_operator: bool = False
    explanation: str | None = None
    released_by: str | None = None
    taken_by: str | None = None
    reason: str | None = None
    absent: str | None = None
    funding: str | None = None
    price_cents: int | None = None
    currency: str | None = None
    credits: int | None = None
    payout_id: UUID | None = None
    amount_cents: int | None = None
    earned_for: Literal["session", "extension", "referral", "escalation", "returned"] | None = None
    bought: Bought | None = None
    refunded: bool | None = None
    receipt_id: UUID | None = None
    number: str | None = None
    bought_title: str | None = None
    tax_cents: int | None = None
    receipt_url: str | None = None
    intake_id: UUID | None = None
    answer_url: str | None = None
    workshop: str | None = None
    quote_id: UUID | None = None
    confirm_url: str | None = None
    missed: int | None = None
    suspended_at: Utc | None = None
    urgent: bool | None = None
    pays_cents: int | None = None
    from_customer: bool | None = None
    decided: Literal["keep", "part", "all"] | None = None
    reader: Literal["customer", "mechanic"] | None = None


_KEPT: Final[dict[Kind, set[str]]] = {
    Kind.CONFIRM_ADDRESS: set(),
    Kind.REQUEST_RECEIVED: {"session_type", "scheduled_for"},
    Kind.MECHANIC_ASSIGNED: {"session_type", "mechanic_id"},
    Kind.FIRST_REPLY_LATE: {"mechanic_id"},
    Kind.BACK_IN_QUEUE: {"mechanic_id", "released_by"},
    Kind.SESSION_TAKEN_BACK: {"session_type", "taken_by"},
    Kind.SET_AWAY: {"missed"},
    Kind.SUSPENDED: set(),
    Kind.SESSION_COMPLETED: {"session_type", "mechanic_id", "duration_seconds"},
    Kind.SESSION_CANCELLED: {"reason", "absent", "funding", "price_cents", "currency", "credits", "mechanic_id"},
    Kind.SESSION_CLOSED: {"session_type"},
    Kind.NOTES_ADDED: {"session_type", "mechanic_id"},
    Kind.PAYOUT_SENT: {"payout_id", "amount_cents", "currency"},
    Kind.PAYOUT_FAILED: {"payout_id", "amount_cents", "currency"},
    Kind.PAYMENT_RECEIVED: {"receipt_id", "number", "bought", "session_type", "amount_cents", "currency"},
    Kind.CREDITS_BOUGHT: {"receipt_id", "number", "bought", "credits", "amount_cents", "currency"},
    Kind.REFUND_SENT: {"receipt_id", "number", "bought", "session_type", "amount_cents", "currency"},
    Kind.PAYMENT_UNFULFILLABLE: {"reason", "bought", "session_type", "amount_cents", "currency", "refunded"},
    Kind.PAYMENT_FAILED: {"bought", "session_type", "amount_cents", "currency"},
    Kind.PAYMENT_LATE: {"bought", "session_type", "amount_cents", "currency", "intake_id"},
    Kind.REFUND_FAILED: {"bought", "session_type", "amount_cents", "currency"},
    Kind.QUOTE_REQUESTED: {"quote_id", "session_type"},
    Kind.QUOTE_GIVEN: {"quote_id", "session_type", "amount_cents", "currency"},
    Kind.QUOTE_APPROVED: {"quote_id", "session_type", "amount_cents", "currency"},
    Kind.CONTEST_OPENED: {"session_type", "ended_at"},
    Kind.CONTEST_DECIDED: {"session_type", "decided", "reader", "amount_cents", "currency", "credits"},
}
_CAUSED_BY: Final = {
    "session.created": Kind.REQUEST_RECEIVED,
    "session.waiting": Kind.MECHANIC_ASSIGNED,
    "session.expired": Kind.SESSION_CANCELLED,
    "reply.late": Kind.FIRST_REPLY_LATE,
    "mechanic.set_away": Kind.SET_AWAY,
    "mechanic.suspended": Kind.SUSPENDED,
    "summary.ready": Kind.SESSION_COMPLETED,
    "notes.added": Kind.NOTES_ADDED,
    "payout.sent": Kind.PAYOUT_SENT,
    "payout.failed": Kind.PAYOUT_FAILED,
    "payment.unfulfillable": Kind.PAYMENT_UNFULFILLABLE,
    "payment.failed": Kind.PAYMENT_FAILED,
    "payment.late": Kind.PAYMENT_LATE,
    "payment.refund_failed": Kind.REFUND_FAILED,
    "quote.requested": Kind.QUOTE_REQUESTED,
    "quote.given": Kind.QUOTE_GIVEN,
    "quote.approved": Kind.QUOTE_APPROVED,
    "contest.opened": Kind.CONTEST_OPENED,
    "contest.decided": Kind.CONTEST_DECIDED,
}


_OF_RECEIPT: Final = {
    ("receipt", "session"): Kind.PAYMENT_RECEIVED,
    ("receipt", "credits"): Kind.CREDITS_BOUGHT,
    ("credit_note", "refund"): Kind.REFUND_SENT,  # what a bank took back, it says itself
}


def kind_of(event: Event) -> Kind | None:
    """The kind of notification that the event causes; None when it causes none."""
    if isinstance(event, ReceiptEvent):
        return _OF_RECEIPT.get((event.kind, event.cause))
    if isinstance(event, SessionEvent) and event.type == "session.ended":
        return None if event.status == "completed" else Kind.SESSION_CANCELLED  # its summary waits for the notes
    if _is_given_back(event) and event.actor != "customer":
        return Kind.BACK_IN_QUEUE
    return _CAUSED_BY.get(event.type)


def kind_for_mechanic(event: Event) -> Kind | None:
    """The kind that the mechanic who held the session gets beside the customer's; None for none."""
    if _is_given_back(event) and event.actor != "mechanic":
        return Kind.SESSION_TAKEN_BACK
    if isinstance(event, SessionEvent) and event.type == "session.ended" and event.mechanic_id is not None:
        return Kind.SESSION_CLOSED if event.actor in {"admin", "operator"} else None
    return None


def _is_given_back(event: Event) -> TypeIs[SessionEvent]:
    """Whether a mechanic who had accepted no longer has the session, and it is queued again."""
    return isinstance(event, SessionEvent) and event.type == "session.pending" and event.previous_status == "waiting"


def to_keep(kind: Kind, facts: Facts) -> dict[str, Any]:
    """The facts stored with an in-app notification, as JSON; they hold no names and nothing that a user wrote."""
    return facts.model_dump(mode="json", by_alias=True, exclude_none=True, include=_KEPT[kind])
