"""Stripe's error answers: one exception with its status and body."""

from typing import Any, Final

type Json = dict[str, Any]
"""A JSON object of Stripe's API."""

INVALID: Final = "invalid_request_error"
_DOCUMENTATION: Final = "https://stripe.com/docs/error-codes/"


class ApiError(Exception):
    """An error as the API answers it.

    `began` says that the operation had begun, so that an idempotency key keeps the answer. Stripe keeps no answer to
    a request that it refuses before that (authentication, validation, conflict, rate limit).
    """

    def __init__(  # noqa: PLR0913 (the fields of an error object)
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = INVALID,
        code: str | None = None,
        param: str | None = None,
        began: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.began = began

    def body(self, request_id: str) -> Json:
        """Return the JSON of the answer."""
        error: Json = {"message": str(self), "type": self.kind}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = _DOCUMENTATION + self.code.replace("_", "-")
        if self.param is not None:
            error["param"] = self.param
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": error}


def missing_object(kind: str, object_id: str, param: str = "id") -> ApiError:
    """No such object: 404 when the URL names it, 400 when another parameter does."""
    status = 404 if param == "id" else 400
    return ApiError(f"No such {kind}: '{object_id}'", status=status, code="resource_missing", param=param)


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """A parameter that was found invalid before the operation began."""
    return ApiError(message, param=param, code=code, began=False)
