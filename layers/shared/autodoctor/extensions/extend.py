"""POST /api/sessions/{sessionId}/extend: a customer asks for more minutes; its mechanic agrees or declines."""

from typing import Final, Literal, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.domain.lifecycle import TERMINAL
from autodoctor.errors import (
    MechanicNotActive,
    PaymentProcessing,
    SessionBusy,
    SessionEnded,
    SessionNotFound,
    Unprocessable,
    WithdrawnTooOften,
)
from autodoctor.extensions.errors import (
    ExtensionAnswered,
    ExtensionNotFound,
    ExtensionNotPaid,
    ExtensionNotPossible,
)
from autodoctor.ids import new_id
from autodoctor.payments.checkout.checkout import given_up, page_of
from autodoctor.prefetched import WithEvents
from autodoctor.sessions.minutes import ExtensionTerms
from autodoctor.web.schemas import RequestBody


class ExtendRequest(RequestBody):
    """Which pack of the plan's, and how it is paid."""

    pack: str
    pay_with: Literal["credit", "card"]


class ExtensionAnswer(RequestBody):
    """Whether the mechanic agrees."""

    agrees: bool


class ExtensionState(WithEvents, ExtensionTerms):
    """How far an extension is.

    Attributes:
        checkout_url: for its customer, where it is paid by card, once the mechanic has agreed.
    """

    session_id: UUID
    checkout_url: str | None = None


_ASK: Final[LiteralString] = """
SELECT * FROM ask_extension(%(session_id)s, %(user_id)s, %(pack)s, %(pay_with)s)
"""
_ANSWER: Final[LiteralString] = """
SELECT * FROM answer_extension(%(session_id)s, %(extension_id)s, %(user_id)s, %(agrees)s)
"""
_CHECKOUT: Final[LiteralString] = """
SELECT * FROM extension_checkout(%(session_id)s, %(extension_id)s, %(user_id)s, %(checkout_id)s)
"""
_STATE: Final[LiteralString] = """
SELECT x.session_id, x.id AS extension_id, x.pack, x.minutes, x.price_cents, x.currency, x.credits, x.pay_with, x.status
  FROM session_extensions x WHERE x.id = %(extension_id)s AND x.session_id = %(session_id)s
"""


def extend(database: Database, user_id: UUID, session_id: UUID, request: ExtendRequest) -> ExtensionState:
    """Ask the mechanic for more minutes; once the mechanic has agreed, the same again answers where they are paid.

    Another pack, or another way to pay, takes the place of what was asked for and is not paid.

    Args:
        user_id: the customer's `sub`.
        session_id: a session that is live.
        request: which pack, and how it is paid.

    Raises:
        SessionNotFound: not this customer's session.
        SessionEnded: it is over.
        ExtensionNotPossible: it is not live, or would be too long.
        ExtensionNotPaid: there are too few credits.
        PaymentProcessing: an extension that was agreed is paid, but not confirmed yet.
        PaymentsUnavailable: Stripe made no page; trying again is safe.
        TooManyRequests: the customer has asked too often of late.
        Unprocessable: the plan has no such pack, or does not sell it for credits.
        WithdrawnTooOften: it is by card, and the customer paid and gave up as often as one may in 24 hours.
    """
    values = {**request.model_dump(), "session_id": session_id, "user_id": user_id}
    row = database.one(_ASK, values)
    if row is None:
        raise SessionNotFound
    match row["outcome"]:
        case "asked":
            return _payable(database, {**values, **row})
        case "unknown_pack":
            raise Unprocessable(("/pack", "is not a pack of this session's plan"))
        case "by_card_only":
            raise Unprocessable(("/payWith", "this pack is not sold for credits"))
        case "too_few_credits":
            raise ExtensionNotPaid
        case "processing":
            raise PaymentProcessing(session_id)
        case "withdrawn":
            raise WithdrawnTooOften(row["withdrawn"])
        case why:
            raise _refusal(why, row)


def answer_extension(
    database: Database, user_id: UUID, session_id: UUID, extension_id: UUID, answer: ExtensionAnswer
) -> ExtensionState:
    """Agree to more minutes, or decline; credits are taken with the agreement. The same again changes nothing.

    Args:
        user_id: the mechanic's `sub`.
        session_id: a session of theirs.
        extension_id: what its customer asked for.
        answer: whether the mechanic agrees.

    Raises:
        MechanicNotActive: they are suspended, and may only decline.
        SessionNotFound: not this mechanic's session.
        ExtensionNotFound: nobody asked for it.
        ExtensionAnswered: it was answered otherwise, or has lapsed.
        ExtensionNotPaid: the customer has spent the credits since.
        SessionEnded: it is over.
    """
    values = {"session_id": session_id, "extension_id": extension_id, "user_id": user_id, "agrees": answer.agrees}
    row = database.one(_ANSWER, values)
    if row is None:
        raise SessionNotFound
    match row["outcome"]:
        case "answered" | "repeated":
            return _state(database, {**values, **row})
        case "suspended":
            raise MechanicNotActive
        case "unknown":
            raise ExtensionNotFound
        case "otherwise":
            raise ExtensionAnswered(_state(database, {**values, **row}).status)
        case "too_few_credits":
            raise ExtensionNotPaid
        case why:
            raise _refusal(why, row)


def _payable(database: Database, values: Row) -> ExtensionState:
    """The extension, with the page where it is paid if that is what comes next."""
    state = _state(database, values)
    if state.status != "agreed":
        return state
    checkout = database.one(_CHECKOUT, {**values, "checkout_id": new_id()})
    if checkout is None or checkout["status"] not in ("open", "processing") or given_up(database, checkout):
        raise SessionBusy  # it was paid, or it lapsed, a moment ago
    if checkout["status"] == "processing":
        raise PaymentProcessing(values["session_id"])
    page = page_of(database, {**checkout, "session_id": values["session_id"]})
    return state.model_copy(update={"checkout_url": page})


def _refusal(why: str, row: Row) -> Exception:
    if row["session_status"] in TERMINAL:
        return SessionEnded(row["session_status"])
    return ExtensionNotPossible(why)


def _state(database: Database, values: Row) -> ExtensionState:
    row = database.one(_STATE, values)
    if row is None:
        raise ExtensionNotFound
    return ExtensionState(**row, unpublished=values["unpublished"])
