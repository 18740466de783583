"""Calls to Stripe end in one of three ways: done, refused, or with an unknown outcome (SPEC.md#stripe-calls)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import stripe

_UNKNOWN_CODES: Final = frozenset({"idempotency_key_in_use", "lock_timeout"})
_REASON_LENGTH: Final = 300


class StripeRefused(Exception):
    """Stripe refused: nothing moved, and the request may be made again under a new key.

    Attributes:
        code: Stripe's, such as `balance_insufficient`; empty where it gave none.
        reason: in Stripe's words.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code or 'refused'}: {reason}")
        self.code = code
        self.reason = f"{code}: {reason}"[:_REASON_LENGTH] if code else reason[:_REASON_LENGTH]


class OutcomeUnknown(Exception):
    """No answer, or one that does not say whether Stripe acted: look it up, or repeat it under the same key.

    Attributes:
        reason: the kind of failure.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason[:_REASON_LENGTH]


def call_stripe[T](call: Callable[[], T]) -> T:
    """Make a call, and return what Stripe answers.

    Raises:
        StripeRefused: Stripe refused.
        OutcomeUnknown: Stripe did not answer, or its answer does not say whether it acted.
    """
    import stripe  # noqa: PLC0415 (a second of a cold start; the caller has a client, so it is loaded)

    try:
        return call()
    except (
        stripe.InvalidRequestError,
        stripe.CardError,
        stripe.AuthenticationError,
        stripe.PermissionError,
    ) as refused:
        code = _code(refused)
        if code in _UNKNOWN_CODES:
            raise OutcomeUnknown(f"{type(refused).__name__}: {code}") from refused
        raise StripeRefused(code, refused.user_message or type(refused).__name__) from refused
    except stripe.StripeError as failure:
        status = failure.http_status or "no answer"
        raise OutcomeUnknown(f"{type(failure).__name__} ({status})") from failure


def _code(refused: "stripe.StripeError") -> str:
    """Stripe's code; the library forgets that of a 403."""
    body: object = refused.json_body
    error = body.get("error") if isinstance(body, dict) else None
    code = refused.code or (error.get("code") if isinstance(error, dict) else None)
    return code if isinstance(code, str) else ""
