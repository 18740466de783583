"""Intake paid by card: it is stored, and the customer sent to a page of Stripe's to pay.

The session is created when Stripe says that the money is there (payments/checkout/fulfilment.py).
"""

from typing import Final, Literal, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.errors import IntakeNotFound, PaymentProcessing, SessionBusy, TooManyRequests, WithdrawnTooOften
from autodoctor.ids import new_id
from autodoctor.intake.create import ATTEMPTS, Funding, attempt_intake, intake_parameters
from autodoctor.intake.request import IntakeRequest
from autodoctor.payments.checkout.checkout import given_up, page_of, withdraw
from autodoctor.web.schemas import ResponseModel, Utc

_STORE: Final[LiteralString] = """
, checkout AS (
  INSERT INTO checkouts (id, kind, user_id, intake_id, title, amount_cents, currency, request_hash,
                         signed_name, waiver_version, idempotency_key)
  SELECT %(checkout_id)s, 'intake', %(user_id)s, intake.id, allowed.name, intake.price_cents, intake.currency,
         %(request_hash)s, %(signed_name)s,
         CASE WHEN %(signed_name)s::text IS NOT NULL THEN coalesce(%(waiver_version)s, current_waiver_version()) END,
         'checkout:' || %(checkout_id)s::uuid
    FROM intake, allowed
   WHERE (SELECT count(*) FROM confirmed) >= 0 -- first, so that checkouts_know_the_address() finds it
  RETURNING *
)
"""
_STORED: Final[LiteralString] = "SELECT * FROM checkout"
_STORED_BEFORE: Final[LiteralString] = """
SELECT c.* FROM checkouts c
 WHERE c.intake_id = %(intake_id)s
    OR c.intake_id = (SELECT k.intake_id FROM idempotency_keys k WHERE k.user_id = %(user_id)s AND k.key = %(key)s
                         AND k.created_at >= now() - make_interval(hours => %(idempotency_hours)s))
"""
_UNFINISHED: Final[LiteralString] = """
SELECT * FROM checkouts WHERE user_id = %(user_id)s AND kind = 'intake' AND status IN ('open', 'processing')
"""
NOTHING_PROCESSING: Final[LiteralString] = """
NOT EXISTS (SELECT FROM checkouts b WHERE b.user_id = %(user_id)s AND b.kind = 'intake' AND b.status = 'processing')
"""
_INTAKE: Final[LiteralString] = """
SELECT i.id AS intake_id, coalesce(c.status, 'paid') AS status, s.id AS session_id,
       CASE WHEN c.status = 'processing' AND c.late_answer IS NULL THEN c.late_since + late_answer_time()
       END AS answer_until
  FROM intakes i
  JOIN customers u ON u.id = i.customer_id
  LEFT JOIN checkouts c ON c.intake_id = i.id
  LEFT JOIN sessions s ON s.id = i.id
 WHERE i.id = %(intake_id)s AND u.user_id = %(user_id)s
"""

# Each costs Stripe's fee, which it keeps when the payment is refunded.
_WITHDRAWN: Final[LiteralString] = """
SELECT withdrawn_payments(%(user_id)s) AS times, number_setting('withdrawn_payments_per_day', 3) AS most
"""

CARD: Final = Funding(
    "p.price_cents > 0",
    "this plan is free",
    only_if="""NOT EXISTS (SELECT FROM sessions a JOIN customers c ON c.id = a.customer_id
                            WHERE c.user_id = %(user_id)s AND a.ended_at IS NULL)""",
    makes=_STORE,
    answer=_STORED,
    first_answer=_STORED_BEFORE,
)


class CheckoutOpened(ResponseModel):
    """The page where the intake is paid."""

    intake_id: UUID
    checkout_url: str
    next: Literal["pay"] = "pay"


class IntakeStatus(ResponseModel):
    """The state of an intake that is paid by card.

    Attributes:
        status: open: not paid yet; processing: the bank has not confirmed the payment yet; paid; failed; expired;
            unfulfillable: paid, but it could not become a session and is refunded.
        session_id: the session it has become.
        answer_until: the payment came so late that its customer is asked, until then, whether the session shall start
            now (`POST .../answer`); null: nothing is asked.
    """

    intake_id: UUID
    status: Literal["open", "processing", "paid", "failed", "expired", "unfulfillable"]
    session_id: UUID | None
    answer_until: Utc | None


def start_card_intake(
    database: Database,
    user_id: UUID,
    intake: IntakeRequest,
    idempotency_key: str | None = None,
    verified_email: str | None = None,
) -> CheckoutOpened:
    """Store the intake, and have Stripe make the page where it is paid.

    Args:
        user_id: the customer's `sub`.
        intake: the customer's request. The same request gives the same page while that is open; another one closes it.
        idempotency_key: the same key and request within 24 hours give the first page again.
        verified_email: the address that the customer's sign-in has verified.

    Raises:
        WithdrawnTooOften: the customer paid and gave up as often as one may in 24 hours.
        PaymentProcessing: an intake is paid but not confirmed yet.
        PaymentsUnavailable: Stripe gave no page; asking again is safe.
        Problem: whatever `start_intake` raises.
    """
    _refuse_after_many_withdrawals(database, user_id)
    parameters = {
        **intake_parameters(user_id, intake, idempotency_key, verified_email),
        "checkout_id": new_id(),
    }
    for _ in range(ATTEMPTS):
        checkout = _stored(database, parameters) or _unfinished(database, parameters)
        if checkout is not None and not given_up(database, checkout):
            return CheckoutOpened(intake_id=checkout["intake_id"], checkout_url=page_of(database, checkout))
    raise SessionBusy


def intake_status(database: Database, user_id: UUID, intake_id: UUID) -> IntakeStatus:
    """The state of an intake of this customer (the `sub`).

    Raises:
        IntakeNotFound: there is no such intake, or it is another customer's.
    """
    found = database.one(_INTAKE, {"user_id": user_id, "intake_id": intake_id})
    if found is None:
        raise IntakeNotFound
    return IntakeStatus(**found)


def _refuse_after_many_withdrawals(database: Database, user_id: UUID) -> None:
    found = database.one(_WITHDRAWN, {"user_id": user_id})
    if found is not None and found["times"] >= found["most"]:
        raise WithdrawnTooOften(found["times"])


def refuse_while_processing(database: Database, parameters: Row) -> None:
    """Refuse where NOTHING_PROCESSING does not hold: after paying, a customer waits for that session and gets no other.

    Raises:
        PaymentProcessing: the payment is being processed.
    """
    _checkout_in_the_way(database, parameters)


def _stored(database: Database, parameters: Row) -> Row | None:
    """The checkout of this call; None while another one is unfinished.

    Raises:
        Problem: whatever `start_intake` raises. The page of the same request can be had at any time.
    """
    try:
        return attempt_intake(database, parameters, CARD)
    except TooManyRequests:
        unfinished = _checkout_in_the_way(database, parameters)
        if unfinished is None or unfinished["request_hash"] != parameters["request_hash"]:
            raise
        return unfinished


def _unfinished(database: Database, parameters: Row) -> Row | None:
    """The unfinished checkout, if it is of the same request; one of another request is withdrawn.

    Raises:
        PaymentProcessing: the payment is being processed.
    """
    unfinished = _checkout_in_the_way(database, parameters)
    if unfinished is None or unfinished["request_hash"] == parameters["request_hash"]:
        return unfinished
    withdraw(database, unfinished)
    return None


def _checkout_in_the_way(database: Database, parameters: Row) -> Row | None:
    unfinished = database.one(_UNFINISHED, parameters)
    if unfinished is not None and unfinished["status"] == "processing":
        raise PaymentProcessing(unfinished["intake_id"])
    return unfinished
