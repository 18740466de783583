"""Failed calls of AWS's services: which service, and what it answered, so that the log and the caller can tell."""


class AwsError(Exception):
    """A service did not do what it was asked.

    Attributes:
        service: the name its requests are signed for, such as `sqs`.
    """

    def __init__(self, service: str, message: str) -> None:
        super().__init__(message)
        self.service = service


class ServiceRefused(AwsError):
    """The service answered with an error, or with something unreadable.

    Attributes:
        action: what it was asked, such as `SendMessage`.
        status: HTTP status of its answer.
        code: its error code; None where the answer names none.
    """

    def __init__(self, service: str, action: str, status: int, code: str | None = None) -> None:
        super().__init__(service, f"{service} answered {status} to {action}" + (f": {code}" if code else ""))
        self.action = action
        self.status = status
        self.code = code


class ServiceUnreachable(AwsError):
    """The service could not be reached or did not answer in time; it may have done what it was asked."""

    def __init__(self, service: str) -> None:
        super().__init__(service, f"{service} did not answer")
