"""Brings a checkout up to Stripe's Checkout Session: the same code serves Stripe's events and the sweep that polls.

Stripe reports late, repeatedly and in any order, so each step is a guarded move of the checkout's row, which is locked
first; whoever comes second finds the step done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from autodoctor.db import Row
from autodoctor.ids import new_id
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.accounts import TransferKind
from autodoctor.payments.ledger.transfers import Transfer, book
from autodoctor.payments.stripe.fields import Cents, StripeId
from autodoctor.sessions.factory import FACTORY_CTES

type CheckoutOutcome = Literal[
    "fulfilled", "unfulfillable", "mismatch", "processing", "late", "failed", "expired", "unchanged", "not_ours"
]
ONE_ACTIVE_SESSION: Final = "uq_active_session_per_customer"

_LOCK: Final[LiteralString] = """
SELECT c.*, i.customer_id, c.late_since + late_answer_time() <= clock_timestamp() AS unanswered
  FROM checkouts c LEFT JOIN intakes i ON i.id = c.intake_id
 WHERE c.id = %(checkout_id)s FOR NO KEY UPDATE OF c
"""
_PAID_ANOTHER: Final[LiteralString] = """
SELECT id FROM checkouts WHERE stripe_payment_intent_id = %(payment_intent)s AND id <> %(checkout_id)s
"""
_MOVE: Final[LiteralString] = """
UPDATE checkouts SET status = %(status)s, stripe_session_id = %(stripe_session_id)s,
       stripe_payment_intent_id = coalesce(%(payment_intent)s, stripe_payment_intent_id),
       processing_since = coalesce(processing_since, CASE WHEN %(status)s = 'processing' THEN clock_timestamp() END),
       tax_cents = CASE WHEN reckons_tax AND %(status)s IN ('paid', 'unfulfillable')
                        THEN least(%(tax)s, amount_cents) END
 WHERE id = %(checkout_id)s AND checkout_may_move(status, %(status)s)
"""
_COMES_LATE: Final[LiteralString] = "SELECT comes_late(c) AS late FROM checkouts c WHERE c.id = %(id)s"
_ASK: Final[LiteralString] = """
UPDATE checkouts SET late_since = clock_timestamp() WHERE id = %(id)s AND status = 'processing' AND late_since IS NULL
"""
_SESSION: Final[LiteralString] = (
    "WITH intake AS MATERIALIZED (SELECT * FROM intakes WHERE id = %(intake_id)s)"
    + FACTORY_CTES
    + "SELECT id FROM session"
)
_EXTEND: Final[LiteralString] = "SELECT extension_paid(%(intake_id)s) AS session_id"
_OWE_CUSTOMER: Final[LiteralString] = """
INSERT INTO refunds (intake_id, kind, amount_cents, currency)
VALUES (%(intake_id)s, 'unfulfillable', %(amount_cents)s, %(currency)s)
"""
_EMIT: Final[LiteralString] = "SELECT emit_event(%(type)s, %(facts)s, %(subject)s)"


class _Totals(BaseModel):
    """What a page's amount is made of: the tax in cents."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    amount_tax: Cents = 0


class CheckoutPage(BaseModel):
    """The part of Stripe's Checkout Session that we use: no personal data.

    Attributes:
        payment_failed: the bank has refused a delayed payment; Stripe says so by the type of the event.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: StripeId
    amount_total: Cents | None
    currency: str | None
    livemode: bool
    metadata: dict[str, str] | None = None
    payment_intent: StripeId | None = None
    payment_status: str
    status: str | None
    payment_failed: bool = False
    total_details: _Totals | None = None

    @property
    def checkout_id(self) -> UUID | None:
        """The id of our row; None if the page is not ours."""
        try:
            return UUID((self.metadata or {}).get("checkoutId", ""))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Effect:
    """The outcome of an event, and the row whose events are to be published now."""

    outcome: CheckoutOutcome
    subject_id: UUID | None = None


def apply(connection: psycopg.Connection[Row], page: CheckoutPage, *, livemode: bool) -> Effect:
    """Bring our checkout up to Stripe's Checkout Session: fulfil it once if it is paid, close it if it is over.

    Args:
        connection: in the transaction that records the event.
        page: the Checkout Session, as Stripe reports it.
        livemode: whether our key moves real money.
    """
    checkout = connection.execute(_LOCK, {"checkout_id": page.checkout_id}).fetchone()
    if checkout is None:
        return Effect("not_ours")
    if page.payment_status == "unpaid" and checkout["stripe_session_id"] not in (None, page.id):
        return Effect("unchanged")  # made by a call that Stripe answered with an error: nobody knows its URL
    is_its_page = checkout["stripe_session_id"] in (None, page.id)
    if page.livemode is not livemode or not is_its_page or _paid_another(connection, checkout, page):
        return Effect("mismatch")
    match page.payment_status:
        case "paid":
            return _fulfil(connection, checkout, page)
        case "unpaid":
            return _close(connection, checkout, page)
        case _:  # sold for nothing, by a coupon that is not ours
            if checkout["status"] in _BEFORE["failed"]:
                _move(connection, checkout, page, "failed")  # an open page would keep its customer from every other
            return Effect("mismatch")


def _paid_another(connection: psycopg.Connection[Row], checkout: Row, page: CheckoutPage) -> bool:
    """Whether its payment is that of another checkout: one payment buys one thing."""
    parameters = {"payment_intent": page.payment_intent, "checkout_id": checkout["id"]}
    return connection.execute(_PAID_ANOTHER, parameters).fetchone() is not None


def _close(connection: psycopg.Connection[Row], checkout: Row, page: CheckoutPage) -> Effect:
    status = _unpaid_status(page)
    if checkout["status"] not in _BEFORE[status]:
        return Effect("unchanged")
    _move(connection, checkout, page, status)
    refused = status == "failed"
    return Effect(status, _emit(connection, checkout, "payment.failed", "refused", page) if refused else None)


type _Unpaid = Literal["processing", "failed", "expired", "unchanged"]
_BEFORE: Final[Mapping[_Unpaid, tuple[str, ...]]] = {
    "processing": ("open", "expired"),  # an event that comes late must not revive what has failed since
    "failed": ("open", "processing", "expired"),
    "expired": ("open",),
    "unchanged": (),
}


def _unpaid_status(page: CheckoutPage) -> _Unpaid:
    if page.status == "expired":
        return "expired"
    if page.payment_failed:
        return "failed"
    return "processing" if page.status == "complete" else "unchanged"


def _move(connection: psycopg.Connection[Row], checkout: Row, page: CheckoutPage, status: str) -> None:
    parameters = {
        "checkout_id": checkout["id"],
        "status": status,
        "stripe_session_id": page.id,
        "payment_intent": page.payment_intent,
        "tax": page.total_details.amount_tax if page.total_details is not None else 0,
    }
    if connection.execute(_MOVE, parameters).rowcount != 1:
        raise RuntimeError(f"checkout {checkout['id']} did not move from {checkout['status']} to {status}")


def _fulfil(connection: psycopg.Connection[Row], checkout: Row, page: CheckoutPage) -> Effect:
    if checkout["status"] in ("paid", "unfulfillable"):
        return Effect("unchanged")
    if (page.amount_total, page.currency) != (checkout["amount_cents"], checkout["currency"]):
        return _unfulfillable(connection, checkout, page, "mismatch")
    if checkout["kind"] == "pack":
        _move(connection, checkout, page, "paid")
        book(connection, _pack_sold(checkout))
        return Effect("fulfilled")
    if checkout["kind"] == "extension":
        return _extend(connection, checkout, page)
    return _customer_decides(connection, checkout, page) or _begin(connection, checkout, page)


def _begin(connection: psycopg.Connection[Row], checkout: Row, page: CheckoutPage) -> Effect:
    if not _session_created(connection, checkout):
        return _unfulfillable(connection, checkout, page, "active_session")
    _move(connection, checkout, page, "paid")
    book(connection, [_charge(checkout, checkout["amount_cents"])])
    return Effect("fulfilled", checkout["intake_id"])


def _customer_decides(connection: psycopg.Connection[Row], checkout: Row, page: CheckoutPage) -> Effect | None:
    """Of money that came late: ask the customer, wait, or owe it back; None where the session may begin."""
    if checkout["late_since"] is None:
        row = connection.execute(_COMES_LATE, checkout).fetchone()
        return _ask(connection, checkout, page) if row is not None and row["late"] else None
    if checkout["late_answer"] is not None:
        return _unfulfillable(connection, checkout, page, "given_back") if checkout["late_answer"] != "start" else None
    return _unfulfillable(connection, checkout, page, "unanswered") if checkout["unanswered"] else Effect("unchanged")


def _ask(connection: psycopg.Connection[Row], checkout: Row, page: CheckoutPage) -> Effect:
    if checkout["status"] != "processing":
        _move(connection, checkout, page, "processing")
    if connection.execute(_ASK, checkout).rowcount != 1:
        raise RuntimeError(f"the customer of checkout {checkout['id']} was not asked")
    return Effect("late", _emit(connection, checkout, "payment.late", "late", page))


class _TooLate(Exception):
    """The talk is over, or its customer asked for something else."""


def _extend(connection: psycopg.Connection[Row], checkout: Row, page: CheckoutPage) -> Effect:
    """Add the minutes that were paid for to their talk; the payment goes back where that is over."""
    try:
        with connection.transaction():  # a savepoint: a checkout that is paid stays paid
            session_id = _minutes_added(connection, checkout, page)
    except _TooLate:
        return _unfulfillable(connection, checkout, page, "session_over")
    book(connection, [_charge(checkout, checkout["amount_cents"])])
    return Effect("fulfilled", session_id)


def _minutes_added(connection: psycopg.Connection[Row], checkout: Row, page: CheckoutPage) -> UUID:
    """Note the payment, and add its minutes; the session to which they were added.

    Raises:
        _TooLate: nobody wants them any more.
    """
    _move(connection, checkout, page, "paid")
    row = connection.execute(_EXTEND, checkout).fetchone()
    if row is None or row["session_id"] is None:
        raise _TooLate
    session_id: UUID = row["session_id"]
    return session_id


def _session_created(connection: psycopg.Connection[Row], checkout: Row) -> bool:
    """Create the session; False, with nothing done, if the customer has an active one by now."""
    parameters = {
        "intake_id": checkout["intake_id"],
        "assignment_id": new_id(),
        "signed_name": checkout["signed_name"],
        "waiver_version": checkout["waiver_version"],
        "signed_at": checkout["created_at"],
        "actor": "customer",
        "actor_id": checkout["user_id"],
    }
    try:
        with connection.transaction():  # a savepoint: the rest of the event survives the conflict
            if connection.execute(_SESSION, parameters).fetchone() is None:
                raise RuntimeError(f"intake {checkout['intake_id']} made no session")
    except psycopg.errors.UniqueViolation as conflict:
        if conflict.diag.constraint_name != ONE_ACTIVE_SESSION:
            raise
        return False
    return True


def _unfulfillable(
    connection: psycopg.Connection[Row],
    checkout: Row,
    page: CheckoutPage,
    reason: Literal["active_session", "session_over", "mismatch", "given_back", "unanswered"],
) -> Effect:
    """Book the payment apart and owe it back in full: the amount that came, not the one that was asked for.

    A payment for a pack, or in another currency, is neither booked nor owed by a row: the alarm asks for a person.
    """
    _move(connection, checkout, page, "unfulfillable")
    came = page.amount_total or 0
    if checkout["intake_id"] is not None and page.currency == checkout["currency"] and came > 0:
        book(connection, [_charge(checkout, came)])
        connection.execute(
            _OWE_CUSTOMER, {"intake_id": checkout["intake_id"], "amount_cents": came, "currency": page.currency}
        )
    subject = _emit(connection, checkout, "payment.unfulfillable", reason, page)
    return Effect("mismatch" if reason == "mismatch" else "unfulfillable", subject)


def _emit(connection: psycopg.Connection[Row], checkout: Row, event_type: str, reason: str, page: CheckoutPage) -> UUID:
    """Write an event to the outbox, and return the row that it is about."""
    subject: UUID = checkout["intake_id"] or checkout["id"]
    facts = {
        "checkoutId": str(checkout["id"]),
        "intakeId": checkout["intake_id"] and str(checkout["intake_id"]),
        "customerId": checkout["customer_id"] and str(checkout["customer_id"]),
        "amountCents": page.amount_total or 0,
        "currency": page.currency or checkout["currency"],
        "reason": reason,
    }
    connection.execute(_EMIT, {"type": event_type, "facts": Jsonb(facts), "subject": subject})
    return subject


def _charge(checkout: Row, amount: int) -> Transfer:
    intake_id = checkout["intake_id"]
    held = accounts.session_held(intake_id)
    return Transfer(TransferKind.CHARGE, f"session:{intake_id}:charge", accounts.STRIPE, held, amount, intake_id)


def _pack_sold(checkout: Row) -> tuple[Transfer, Transfer]:
    key = f"pack:{checkout['id']}"
    spendable = accounts.customer_credits(checkout["user_id"])
    sale = Transfer(
        TransferKind.PACK_SALE, f"{key}:sale", accounts.STRIPE, accounts.CREDIT_SALES, checkout["amount_cents"]
    )
    issue = Transfer(
        TransferKind.CREDIT_ISSUE,
        f"{key}:credits",
        accounts.CREDITS_ISSUED,
        spendable,
        checkout["credits"],
        currency="credit",
    )
    return sale, issue
