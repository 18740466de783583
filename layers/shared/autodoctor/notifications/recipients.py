"""The people whom an event concerns, with address, preferences and the facts of their text, read when it is sent."""

from dataclasses import dataclass
from typing import Final, LiteralString
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
)
from autodoctor.notifications.kinds import Facts, Kind
from autodoctor.notifications.mailable import why_no_mail
from autodoctor.notifications.transcript import transcript_of
from autodoctor.sessions.active import session_url
from autodoctor.sessions.queue import vehicle_summary
from autodoctor.settings import session_base_url

_WISHES: Final[LiteralString] = """
       coalesce(l.locale, 'en') AS locale, coalesce(w.email, true) AS wants_mail,
       coalesce(w.in_app, true) AS wants_in_app,
       (SELECT b.reason FROM mail_suppressions b WHERE b.address_hash = address_hash(u.email)) AS blocked,
       EXISTS (SELECT FROM confirmed_addresses f WHERE f.user_id = u.user_id AND f.address_hash = address_hash(u.email))
         OR EXISTS (SELECT FROM mechanics x WHERE x.user_id = u.user_id AND x.email = u.email) -- an admin entered it
         AS confirmed
"""
_JOIN_WISHES: Final[LiteralString] = """
  LEFT JOIN notification_locales l ON l.user_id = u.user_id
  LEFT JOIN notification_preferences w ON w.user_id = u.user_id AND w.kind = %(kind)s
"""
_CUSTOMER: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, u.erased_at IS NOT NULL AS erased, m.name AS mechanic, s.id AS session_id,
       i.session_type, i.concern, i.vehicle, i.scheduled_for, i.funding, i.price_cents, i.currency, i.credits,
       s.started_at, s.ended_at, n.text AS notes,
       floor(s.together_seconds)::integer AS duration_seconds,
       a.status = 'pending_waiver' AS needs_waiver, ended_by_operator(s.id) AS by_operator,
       (SELECT x.text FROM end_explanations x WHERE x.session_id = s.id) AS explanation,
       CASE %(kind)s WHEN 'request_received' THEN s.ended_at IS NOT NULL
                     WHEN 'mechanic_assigned' THEN s.ended_at IS NOT NULL
                                                   OR s.mechanic_id IS DISTINCT FROM %(mechanic_id)s
                     WHEN 'first_reply_late' THEN s.mechanic_id IS DISTINCT FROM %(mechanic_id)s
                                                  OR reply_due_at(s) IS NULL
                     WHEN 'back_in_queue' THEN s.status <> 'pending'
                     ELSE false END AS superseded,
"""
    + _WISHES
    + """
  FROM sessions s
  JOIN intakes i ON i.id = s.id
  JOIN customers u ON u.id = s.customer_id
  JOIN session_assignments a ON a.id = s.current_assignment_id
  LEFT JOIN mechanics m ON m.id = %(mechanic_id)s
  LEFT JOIN session_notes n ON n.session_id = s.id AND n.mechanic_id = m.id
"""
    + _JOIN_WISHES
    + " WHERE s.id = %(session_id)s"
)
# The newest messages of the parties; what an erasure has emptied is left out.
_HOLDER: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, false AS erased, i.session_type, false AS superseded,
       (SELECT x.text FROM end_explanations x WHERE x.session_id = i.id) AS explanation,
"""
    + _WISHES
    + """
  FROM mechanics u
  JOIN intakes i ON i.id = %(session_id)s
"""
    + _JOIN_WISHES
    + " WHERE u.id = %(mechanic_id)s"
)
_MECHANIC: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, false AS erased, s.id AS session_id, i.session_type, s.ended_at,
       coalesce((SELECT p.kind FROM payouts p WHERE p.id = %(payout_id)s::text::uuid), 'session') AS earned_for,
       %(kind)s = 'payout_failed' AND EXISTS (
         SELECT FROM notifications n WHERE n.user_id = u.user_id AND n.session_id = s.id AND n.kind = 'payout_sent'
            AND n.data ->> 'payoutId' = %(payout_id)s AND n.created_at > %(occurred_at)s) AS superseded,
"""
    + _WISHES
    + """
  FROM mechanics u
  JOIN sessions s ON s.id = %(session_id)s
  JOIN intakes i ON i.id = s.id
"""
    + _JOIN_WISHES
    + " WHERE u.id = %(mechanic_id)s"
)

# A customer who buys credits before any intake has no stored address.
_PAYER: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, u.erased_at IS NOT NULL AS erased, c.kind AS checkout_kind, i.session_type,
       CASE %(kind)s WHEN 'payment_failed' THEN c.status <> 'failed'
                     WHEN 'refund_failed' THEN NOT EXISTS (SELECT FROM refunds r
                                                            WHERE r.intake_id = c.intake_id AND r.state = 'failed')
                     ELSE false END AS superseded,
       EXISTS (SELECT FROM refunds r WHERE r.intake_id = c.intake_id) AS refunded,
"""
    + _WISHES
    + """
  FROM checkouts c
  LEFT JOIN intakes i ON i.id = c.intake_id
  LEFT JOIN customers k ON k.user_id = c.user_id
 CROSS JOIN LATERAL (SELECT c.user_id, k.email, k.name, k.erased_at) AS u
"""
    + _JOIN_WISHES
    + " WHERE c.id = %(checkout_id)s"
)

_BUYER: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, u.erased_at IS NOT NULL AS erased, i.session_type, c.kind AS checkout_kind,
       r.title AS bought_title, nullif(r.tax, 0) AS tax_cents, c.credits,
       -- what could not be used says so itself, and the refund comes with a credit note
       %(kind)s = 'payment_received' AND c.status = 'unfulfillable' AS superseded,
"""
    + _WISHES
    + """
  FROM receipts r
  JOIN checkouts c ON c.id = r.checkout_id
  LEFT JOIN intakes i ON i.id = c.intake_id
  LEFT JOIN customers k ON k.user_id = c.user_id
 CROSS JOIN LATERAL (SELECT c.user_id, k.email, k.name, k.erased_at) AS u
"""
    + _JOIN_WISHES
    + " WHERE r.id = %(receipt_id)s"
)

# The people who have to act next, or who earned. A mail is not sent once the quote has moved on.
_OF_QUOTE: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, u.erased, m.name AS mechanic, shop.name AS workshop, i.session_type, i.vehicle,
       'quote_' || q.status <> %(kind)s OR q.amount_cents IS DISTINCT FROM %(amount_cents)s
         OR c.erased_at IS NOT NULL AS superseded,
"""
    + _WISHES
    + """
  FROM quotes q
  JOIN workshops shop ON shop.id = q.workshop_id
  JOIN mechanics m ON m.id = q.mechanic_id
  JOIN intakes i ON i.id = q.session_id
  JOIN customers c ON c.id = i.customer_id
 CROSS JOIN LATERAL (
   SELECT x.user_id, x.email, x.name, false AS erased FROM mechanics x
    WHERE %(kind)s = 'quote_requested' AND x.workshop_id = q.workshop_id AND x.status = 'active'
      AND x.user_id <> c.user_id
   UNION ALL
   SELECT c.user_id, c.email, c.name, c.erased_at IS NOT NULL WHERE %(kind)s = 'quote_given'
   UNION ALL
   SELECT m.user_id, m.email, m.name, false WHERE %(kind)s = 'quote_approved') AS u
"""
    + _JOIN_WISHES
    + " WHERE q.id = %(quote_id)s ORDER BY u.user_id"
)

# The mechanic, who may answer; and of the decision both.
_OF_CONTEST: Final[LiteralString] = (
    """
SELECT u.user_id, u.email, u.name, u.erased, u.reader, s.id AS session_id, i.session_type, s.ended_at,
       k.note AS explanation, %(kind)s = 'contest_opened' AND num_nonnulls(k.outcome, k.answer) > 0 AS superseded,
"""
    + _WISHES
    + """
  FROM contests k
  JOIN sessions s ON s.id = k.session_id
  JOIN intakes i ON i.id = s.id
  JOIN customers c ON c.id = s.customer_id
  JOIN mechanics m ON m.id = s.mechanic_id
 CROSS JOIN LATERAL (
   SELECT m.user_id, m.email, m.name, false AS erased, 'mechanic' AS reader
   UNION ALL
   SELECT c.user_id, c.email, c.name, c.erased_at IS NOT NULL, 'customer' WHERE %(kind)s = 'contest_decided') AS u
"""
    + _JOIN_WISHES
    + " WHERE k.session_id = %(session_id)s ORDER BY u.user_id"
)


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


class NobodyConcerned(Exception):
    """The event names a session, a mechanic or a payment that the database does not have."""


def customer_of(database: Database, kind: Kind, event: SessionEvent | ReplyEvent | NotesEvent) -> Recipient:
    """The customer of a session's event.

    Raises:
        NobodyConcerned: there is no such session.
    """
    row = database.one(_CUSTOMER, {"kind": kind, "session_id": event.session_id, "mechanic_id": event.mechanic_id})
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
    row = database.one(_HOLDER, {"kind": kind, "session_id": event.session_id, "mechanic_id": event.mechanic_id})
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


def mechanic_of(database: Database, kind: Kind, event: PayoutEvent) -> Recipient:
    """The mechanic of a payout's event.

    Raises:
        NobodyConcerned: there is no such mechanic or session.
    """
    row = database.one(
        _MECHANIC,
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
    row = database.one(_PAYER, {"kind": kind, "checkout_id": event.checkout_id})
    if row is None:
        raise NobodyConcerned
    facts = Facts(
        name=row["name"],
        session_type=row["session_type"],
        bought="credits" if row["checkout_kind"] == "pack" else "session",
        amount_cents=event.amount_cents,
        currency=event.currency,
        reason=event.reason,
        refunded=row["refunded"],
    )
    return _recipient(row, facts)


def buyer_of(database: Database, kind: Kind, event: ReceiptEvent) -> Recipient:
    """The customer of a receipt or credit note.

    Raises:
        NobodyConcerned: there is no such document.
    """
    row = database.one(_BUYER, {"kind": kind, "receipt_id": event.receipt_id})
    if row is None:
        raise NobodyConcerned
    facts = Facts(
        name=row["name"],
        session_type=row["session_type"],
        bought="credits" if row["checkout_kind"] == "pack" else "session",
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
    rows = database.all(_OF_QUOTE, {"kind": kind, "quote_id": event.quote_id, "amount_cents": event.amount_cents})
    return [_recipient(row, _quoted(row, event)) for row in rows]


def contestants_of(database: Database, kind: Kind, event: ContestEvent) -> list[Recipient]:
    """The people whom a contest's event concerns: its mechanic, and of the decision the customer too."""
    rows = database.all(_OF_CONTEST, {"kind": kind, "session_id": event.session_id})
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
