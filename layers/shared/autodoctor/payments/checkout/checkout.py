"""Checkouts: what is bought by card, stored before Stripe is asked for the Checkout page where it is paid."""

from typing import TYPE_CHECKING, Final, Literal, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.errors import CustomerErased, PaymentProcessing, PaymentsUnavailable, SessionBusy, Unprocessable
from autodoctor.ids import new_id
from autodoctor.observability import log_failure
from autodoctor.payments.stripe.client import stripe_client
from autodoctor.settings import session_base_url
from autodoctor.web.schemas import RequestBody, ResponseModel, now

if TYPE_CHECKING:
    from stripe.params.checkout import (
        SessionCreateParams,
        SessionCreateParamsLineItem,
        SessionCreateParamsLineItemPriceData,
    )

# Stripe requires a page to be open for 30 minutes at least, and expires_at is fixed when the row is made.
ASK_WITHIN: Final[LiteralString] = "interval '25 minutes'"
UNASKED_TOO_LONG: Final[LiteralString] = (
    "status = 'open' AND stripe_session_id IS NULL AND created_at < clock_timestamp() - " + ASK_WITHIN
)

# An Idempotency-Key stores successes only: it is deleted with an intake whose page nobody ever saw.
_UNSEEN: Final[LiteralString] = """
)
DELETE FROM idempotency_keys k USING closed
 WHERE k.user_id = closed.user_id AND k.intake_id = closed.intake_id AND closed.stripe_session_id IS NULL
"""
_GIVE_UP: Final[LiteralString] = (
    "WITH closed AS (UPDATE checkouts SET status = 'failed' WHERE id = %(id)s AND "
    + UNASKED_TOO_LONG
    + " RETURNING *"
    + _UNSEEN
)
_EXPIRED: Final[LiteralString] = (
    "WITH closed AS (UPDATE checkouts SET status = 'expired' WHERE id = %(id)s AND status = 'open' RETURNING *"
    + _UNSEEN
)
_STATUS: Final[LiteralString] = "SELECT status FROM checkouts WHERE id = %(id)s"
_PAGE_MADE: Final[LiteralString] = """
UPDATE checkouts SET stripe_session_id = %(stripe_session_id)s, url = %(url)s
 WHERE id = %(id)s AND status = 'open' AND coalesce(stripe_session_id, %(stripe_session_id)s) = %(stripe_session_id)s
"""
_NEXT_KEY: Final[LiteralString] = """
UPDATE checkouts SET idempotency_key = 'checkout:' || id || ':' || %(fresh)s
 WHERE id = %(id)s AND idempotency_key = %(idempotency_key)s
"""
_OFFER_PACK: Final[LiteralString] = """
INSERT INTO checkouts (id, kind, user_id, pack_code, credits, title, amount_cents, currency, idempotency_key)
SELECT %(id)s, 'pack', %(user_id)s, p.code, p.credits, p.name, p.price_cents, p.currency, 'checkout:' || %(id)s::uuid
  FROM credit_packs p
 WHERE p.code = %(pack)s AND p.active
   AND NOT EXISTS (SELECT FROM customers c WHERE c.user_id = %(user_id)s AND c.erased_at IS NOT NULL)
   AND NOT EXISTS (SELECT FROM checkouts o
                    WHERE o.user_id = %(user_id)s AND o.pack_code = p.code AND o.kind = 'pack' AND o.status = 'open')
   AND count_against('pack_checkouts', %(user_id)s)
ON CONFLICT DO NOTHING
RETURNING *
"""
_WHY_NO_OFFER: Final[LiteralString] = """
SELECT c.*, EXISTS (SELECT FROM customers e WHERE e.user_id = %(user_id)s AND e.erased_at IS NOT NULL) AS erased,
       EXISTS (SELECT FROM credit_packs p WHERE p.code = %(pack)s AND p.active) AS sold
  FROM (SELECT) AS one
  LEFT JOIN checkouts c
         ON c.user_id = %(user_id)s AND c.pack_code = %(pack)s AND c.kind = 'pack' AND c.status = 'open'
"""


class PackRequest(RequestBody):
    """Which pack of credits to buy."""

    pack: str


class PackCheckout(ResponseModel):
    """Where to pay for the pack."""

    checkout_id: UUID
    checkout_url: str
    next: Literal["pay"] = "pay"


def buy_pack(database: Database, user_id: UUID, request: PackRequest) -> PackCheckout:
    """Open a Checkout page for a pack of credits; the same page again while it is open.

    Args:
        user_id: the customer's `sub`.
        request: which pack.

    Raises:
        Unprocessable: no such pack is sold.
        CustomerErased: the customer's data was erased.
        PaymentsUnavailable: Stripe made no page; trying again is safe.
        TooManyRequests: the customer has opened too many of late.
    """
    for _ in range(3):
        parameters = {"id": new_id(), "user_id": user_id, "pack": request.pack}
        checkout = database.one(_OFFER_PACK, parameters) or _open_offer(database, parameters)
        if checkout is not None and not given_up(database, checkout):
            return PackCheckout(checkout_id=checkout["id"], checkout_url=page_of(database, checkout))
    raise SessionBusy


def _open_offer(database: Database, parameters: Row) -> Row | None:
    why = database.one(_WHY_NO_OFFER, parameters)
    if why is None or why["erased"]:
        raise CustomerErased
    if not why["sold"]:
        raise Unprocessable(("/pack", "is not a pack that is sold"))
    return why if why["id"] is not None else None


def given_up(database: Database, checkout: Row) -> bool:
    """Whether nobody can pay this checkout any more, so that another one is needed.

    Either Stripe never made its page and it is too late to ask again, or the page has expired and no event has said so.

    Raises:
        PaymentProcessing: it was paid at the last moment.
        PaymentsUnavailable: Stripe does not answer.
    """
    if checkout["stripe_session_id"] is not None:
        over: bool = checkout["status"] == "open" and checkout["expires_at"] <= now()
        if over:
            withdraw(database, checkout)
        return over
    database.execute(_GIVE_UP, checkout)  # the number of deleted keys does not matter
    present = database.one(_STATUS, checkout)
    return present is None or present["status"] != "open"


def page_of(database: Database, checkout: Row) -> str:
    """The URL where a checkout is paid; Stripe is asked for it unless it has answered before.

    Args:
        checkout: its row.

    Raises:
        PaymentsUnavailable: Stripe cannot be reached, is slow or fails; the row stays, and the next call tries again.
    """
    if checkout["url"] is not None:
        url: str = checkout["url"]
        return url
    import stripe  # noqa: PLC0415 (a second of CPU, for those only who pay by card)

    try:
        page = stripe_client().v1.checkout.sessions.create(
            _params(checkout), {"idempotency_key": checkout["idempotency_key"]}
        )
    except stripe.APIConnectionError as failure:  # the page may exist: the same key finds it
        log_failure("no page from Stripe", failure)
        raise PaymentsUnavailable from failure
    except stripe.StripeError as failure:
        log_failure("no page from Stripe", failure)
        # Stripe answers the same key with the same error for a day. If it did make a page, nobody knows its URL, so the
        # customer cannot pay both that one and the next.
        database.execute(_NEXT_KEY, {**checkout, "fresh": str(new_id())})
        raise PaymentsUnavailable from failure
    if page.url is None:  # a late retry: the page was paid or has expired since
        raise PaymentProcessing(checkout["intake_id"] or checkout["id"])
    if database.execute(_PAGE_MADE, {**checkout, "stripe_session_id": page.id, "url": page.url}) != 1:
        raise PaymentsUnavailable  # another call stored a page under a newer key: trying again returns that one
    return page.url


def withdraw(database: Database, checkout: Row) -> None:
    """Close an open checkout, so that it can no longer be paid.

    Args:
        checkout: its row.

    Raises:
        PaymentProcessing: it was paid in the meantime, and Stripe's event is on its way.
        PaymentsUnavailable: Stripe does not answer.
    """
    if checkout["stripe_session_id"] is not None:
        import stripe  # noqa: PLC0415 (see above)

        try:
            stripe_client().v1.checkout.sessions.expire(checkout["stripe_session_id"])
        except stripe.InvalidRequestError as refused:
            if _status_at_stripe(checkout["stripe_session_id"]) != "expired":
                raise PaymentProcessing(checkout["intake_id"] or checkout["id"]) from refused
        except stripe.StripeError as failure:
            log_failure("page not withdrawn", failure)
            raise PaymentsUnavailable from failure
    database.execute(_EXPIRED, checkout)  # no row if Stripe's event came first


def _status_at_stripe(stripe_session_id: str) -> str | None:
    import stripe  # noqa: PLC0415 (see above)

    try:
        return stripe_client().v1.checkout.sessions.retrieve(stripe_session_id).status
    except stripe.StripeError as failure:
        log_failure("page not found", failure)
        raise PaymentsUnavailable from failure


def _params(checkout: Row) -> "SessionCreateParams":
    """The parameters of the page: always the same for the same row, or Stripe would refuse the key."""
    metadata = {"checkoutId": str(checkout["id"]), "kind": checkout["kind"]}
    if checkout["intake_id"] is not None:
        metadata["intakeId"] = str(checkout["intake_id"])
    back = f"{session_base_url()}/{_place(checkout)}"
    return {
        "mode": "payment",
        # With another currency on the page, refunds and disputes would be in amounts that are not the price.
        "adaptive_pricing": {"enabled": False},
        # Said in any case: what is left out may be switched on in Stripe's dashboard.
        "automatic_tax": {"enabled": checkout["reckons_tax"]},
        "tax_id_collection": {"enabled": checkout["asks_tax_id"]},
        "invoice_creation": {"enabled": checkout["makes_invoice"]},
        "client_reference_id": str(checkout["id"]),
        "metadata": metadata,
        "expires_at": int(checkout["expires_at"].timestamp()),
        "success_url": back,
        "cancel_url": f"{back}?cancelled",
        "line_items": [_line(checkout)],
        **_addressed(checkout, metadata),
    }


def _place(checkout: Row) -> str:
    """The page of ours that the customer comes back to."""
    match checkout["kind"]:
        case "pack":
            return "credits"
        case "extension":
            return f"chat/{checkout['session_id']}"
        case _:
            return f"intakes/{checkout['intake_id']}"


def _line(checkout: Row) -> "SessionCreateParamsLineItem":
    """What is bought. Tax is within the price: what the customer pays, and the ledger has, never depends on it."""
    price: SessionCreateParamsLineItemPriceData = {
        "currency": checkout["currency"],
        "unit_amount": checkout["amount_cents"],
        "product_data": {"name": checkout["title"]},
    }
    if checkout["reckons_tax"]:
        price["tax_behavior"] = "inclusive"
    return {"quantity": 1, "price_data": price}


def _addressed(checkout: Row, metadata: dict[str, str]) -> "SessionCreateParams":
    """Where Stripe writes to: to an address that is shown to be the customer's, or to one they type there."""
    if checkout["email"] is None:
        return {"payment_intent_data": {"metadata": metadata}}
    return {
        "customer_email": checkout["email"],
        "payment_intent_data": {"metadata": metadata, "receipt_email": checkout["email"]},
    }
