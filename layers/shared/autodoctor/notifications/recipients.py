"""The people whom an event concerns, with address, preferences and the facts of their text, read when it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.events.model import (
    AwayEvent,
    ContestEvent,
    NotesEvent,
    PaymentEvent,
    PayoutEvent,
    QuoteEvent,
    ReceiptEvent,
    ReplyEvent,
    SessionEvent,
    SuspensionEvent,
)
from autodoctor.notifications.concerned import BUYER, CUSTOMER, HOLDER, MECHANIC, OF_CONTEST, OF_QUOTE, PAYER, SUSPENDED
from autodoctor.notifications.kinds import Bought, Facts, Kind
from autodoctor.notifications.mailable import why_no_mail
from autodoctor.notifications.transcript import transcript_of
from autodoctor.sessions.active import session_url
from autodoctor.sessions.queue import vehicle_summary
from autodoctor.settings import session_base_url


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person to notify, and the facts of the text.

    Attributes:
        user_id: the `sub` of their token.
        address: the address for a mail.
        locale: the language they chose.
        wants_in_app: whether they want it in the application.
        no_mail: why they get no mail, one of the reasons of `mail_deliveries.error`; None when they get one.
        erased: their data was erased on request, so they are not notified at all.
        facts: what the text may mention.
    """

    user_id: UUID
    address: str
    locale: str
    wants_in_app: bool
    no_mail: str | None
    erased: bool
    facts: Facts


_BOUGHT: Final[Mapping[str, Bought]] = {"pack": "credits", "intake": "session", "extension": "extension"}


class NobodyConcerned(Exception):
    """The event names a session, a mechanic or a payment that the database does not have."""


def customer_of(database: Database, kind: Kind, event: SessionEvent | ReplyEvent | NotesEvent) -> Recipient:
    """The customer of a session's event.

    Raises:
        NobodyConcerned: there is no such session.
    """
    row = database.one(CUSTOMER, {"kind": kind, "session_id": event.session_id, "mechanic_id": event.mechanic_id})
    if row is None:
        raise NobodyConcerned
    said, cut = transcript_of(database, event.session_id) if kind is Kind.SESSION_COMPLETED else ((), False)
    facts = Facts.model_validate(
        {
            **row,
            "transcript": said,
            "transcript_cut": cut,
            "released_by": event.actor if kind is Kind.BACK_IN_QUEUE and isinstance(event, SessionEvent) else None,
            "vehicle": vehicle_summary(row["vehicle"]),
            "session_url": session_url(row),
            "mechanic_id": event.mechanic_id,
            "reason": event.reason if isinstance(event, SessionEvent) else None,
            "absent": event.absent if isinstance(event, SessionEvent) else None,
        }
    )
    return _recipient(row, facts)


def holder_of(database: Database, kind: Kind, event: SessionEvent | AwayEvent) -> Recipient:
    """The mechanic who held a session until this event, or was asked for.

    Raises:
        NobodyConcerned: there is no such mechanic or session.
    """
    row = database.one(HOLDER, {"kind": kind, "session_id": event.session_id, "mechanic_id": event.mechanic_id})
    if row is None:
        raise NobodyConcerned
    facts = Facts(
        name=row["name"],
        session_type=row["session_type"],
        explanation=row["explanation"],
        taken_by=event.actor if kind is Kind.SESSION_TAKEN_BACK and isinstance(event, SessionEvent) else None,
        missed=event.missed if isinstance(event, AwayEvent) else None,
    )
    return _recipient(row, facts)


def suspended_of(database: Database, event: SuspensionEvent) -> Recipient:
    """The mechanic who was suspended, and the reason, as it stands now.

    Raises:
        NobodyConcerned: there is no such mechanic.
    """
    row = database.one(SUSPENDED, {"kind": Kind.SUSPENDED, "mechanic_id": event.mechanic_id})
    if row is None:
        raise NobodyConcerned
    since = row["suspended_at"] or event.occurred_at
    return _recipient(row, Facts(name=row["name"], explanation=row["suspension_reason"], suspended_at=since))


def mechanic_of(database: Database, kind: Kind, event: PayoutEvent) -> Recipient:
    """The mechanic of a payout's event.

    Raises:
        NobodyConcerned: there is no such mechanic or session.
    """
    row = database.one(
        MECHANIC,
        {
            "kind": kind,
            "session_id": event.session_id,
            "mechanic_id": event.mechanic_id,
            "payout_id": str(event.payout_id),
            "occurred_at": event.occurred_at,
        },
    )
    if row is None:
        raise NobodyConcerned
    facts = Facts(
        name=row["name"],
        session_type=row["session_type"],
        ended_at=row["ended_at"],
        earned_for=row["earned_for"],
        payout_id=event.payout_id,
        amount_cents=event.amount_cents,
        currency=event.currency,
    )
    return _recipient(row, facts)


def payer_of(database: Database, kind: Kind, event: PaymentEvent) -> Recipient:
    """The customer of a payment's event.

    Raises:
        NobodyConcerned: there is no such payment.
    """
    row = database.one(PAYER, {"kind": kind, "checkout_id": event.checkout_id})
    if row is None:
        raise NobodyConcerned
    facts = Facts(
        name=row["name"],
        session_type=row["session_type"],
        bought=_BOUGHT[row["checkout_kind"]],
        amount_cents=event.amount_cents,
        currency=event.currency,
        reason=event.reason,
        refunded=row["refunded"],
        intake_id=event.intake_id if kind is Kind.PAYMENT_LATE else None,
        answer_url=f"{session_base_url()}/intakes/{event.intake_id}" if kind is Kind.PAYMENT_LATE else None,
    )
    return _recipient(row, facts)


def buyer_of(database: Database, kind: Kind, event: ReceiptEvent) -> Recipient:
    """The customer of a receipt or credit note.

    Raises:
        NobodyConcerned: there is no such document.
    """
    row = database.one(BUYER, {"kind": kind, "receipt_id": event.receipt_id})
    if row is None:
        raise NobodyConcerned
    facts = Facts(
        name=row["name"],
        session_type=row["session_type"],
        bought=_BOUGHT[row["checkout_kind"]],
        bought_title=row["bought_title"],
        credits=row["credits"],
        tax_cents=row["tax_cents"],
        amount_cents=event.amount_cents,
        currency=event.currency,
        receipt_id=event.receipt_id,
        number=event.number,
        receipt_url=f"{session_base_url()}/receipts/{event.receipt_id}",
    )
    return _recipient(row, facts)


def parties_of(database: Database, kind: Kind, event: QuoteEvent) -> list[Recipient]:
    """The people whom a quote's event concerns: the workshop's active mechanics, the customer, or the mechanic."""
    rows = database.all(OF_QUOTE, {"kind": kind, "quote_id": event.quote_id, "amount_cents": event.amount_cents})
    return [_recipient(row, _quoted(row, event)) for row in rows]


def contestants_of(database: Database, kind: Kind, event: ContestEvent) -> list[Recipient]:
    """The people whom a contest's event concerns: its mechanic, and of the decision the customer too."""
    rows = database.all(OF_CONTEST, {"kind": kind, "session_id": event.session_id})
    return [_recipient(row, _contested(row, event)) for row in rows]


def _contested(row: Row, event: ContestEvent) -> Facts:
    return Facts(
        name=row["name"],
        session_type=row["session_type"],
        session_url=session_url(row),
        ended_at=row["ended_at"],
        decided=event.outcome,
        reader=row["reader"],
        explanation=row["explanation"],
        amount_cents=event.refund_cents,
        currency="usd" if event.refund_cents else None,
        credits=event.refund_credits,
    )


def _quoted(row: Row, event: QuoteEvent) -> Facts:
    return Facts(
        name=row["name"],
        mechanic=row["mechanic"],
        workshop=row["workshop"],
        session_type=row["session_type"],
        vehicle=vehicle_summary(row["vehicle"]) if row["vehicle"] else None,
        quote_id=event.quote_id,
        amount_cents=event.amount_cents,
        currency=event.currency,
    )


def _recipient(row: Row, facts: Facts) -> Recipient:
    return Recipient(
        user_id=row["user_id"],
        address=row["email"] or "",
        locale=row["locale"],
        wants_in_app=row["wants_in_app"] and not row["erased"],
        no_mail=why_no_mail(row),
        erased=row["erased"],
        facts=facts,
    )
