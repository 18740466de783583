"""What becomes of a payment that came late: its customer says so, or it goes back after a day.

"A mechanic now" is of no use to somebody who paid by bank debit four days ago. The money waits with its checkout, which
stays `processing`; the answer takes the same way as every payment (fulfilment.py).
"""

from collections.abc import Callable
from typing import Final, Literal, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.errors import PaymentNotLate, PaymentsUnavailable
from autodoctor.intake.card import IntakeStatus, intake_status
from autodoctor.observability import log_failure
from autodoctor.payments.checkout.sweep import look_up
from autodoctor.web.schemas import RequestBody

_ANSWER: Final[LiteralString] = """
UPDATE checkouts SET late_answer = %(answer)s
 WHERE intake_id = %(intake_id)s AND user_id = %(user_id)s AND kind = 'intake' AND status = 'processing'
   AND late_since + late_answer_time() > clock_timestamp() AND coalesce(late_answer, %(answer)s) = %(answer)s
RETURNING stripe_session_id
"""
_ANSWERED: Final[LiteralString] = """
SELECT FROM checkouts WHERE intake_id = %(intake_id)s AND kind = 'intake' AND late_answer = %(answer)s
"""


class LatePaymentAnswer(RequestBody):
    """Whether the session that was paid for shall start now, or the payment go back."""

    answer: Literal["start", "give_back"]


def answer_late_payment(
    database: Database, user_id: UUID, intake_id: UUID, answer: LatePaymentAnswer, publish: Callable[[UUID], None]
) -> IntakeStatus:
    """Start the session of a payment that came late, or have the payment go back; the same answer again is no error.

    Args:
        user_id: the customer's `sub`.
        intake_id: what was paid for.
        answer: what they want.
        publish: called, after the commit, with each row that has events.

    Raises:
        IntakeNotFound: there is no such intake, or it is another customer's.
        PaymentNotLate: nothing was asked, it was answered otherwise, or the time for it is over.
        PaymentsUnavailable: Stripe does not answer. The answer is kept, and takes effect within minutes.
    """
    intake_status(database, user_id, intake_id)
    parameters = {"user_id": user_id, "intake_id": intake_id, "answer": answer.answer}
    answered = database.one(_ANSWER, parameters)
    if answered is None:
        if database.one(_ANSWERED, parameters) is None:
            raise PaymentNotLate
        return intake_status(database, user_id, intake_id)
    from stripe import StripeError  # noqa: PLC0415 (a second of CPU, for those only who pay by card)

    try:
        look_up(database, answered["stripe_session_id"], publish)
    except StripeError as failure:
        log_failure("a late payment was not looked up", failure)
        raise PaymentsUnavailable from failure
    return intake_status(database, user_id, intake_id)
