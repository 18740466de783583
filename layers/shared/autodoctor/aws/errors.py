"""Failed calls of AWS's services, with the service and its answer for the log and the caller."""


class AwsError(Exception):
    """A service refused a call, or did not answer.

    Attributes:
        service: the name its requests are signed for, such as `sqs`.
    """

    def __init__(self, service: str, message: str) -> None:
        super().__init__(message)
        self.service = service


class ServiceRefused(AwsError):
    """The service answered with an error, or with something unreadable.

    Attributes:
        action: the action called, such as `SendMessage`.
        status: HTTP status of its answer.
        code: its error code; None if the answer has none.
    """

    def __init__(self, service: str, action: str, status: int, code: str | None = None) -> None:
        super().__init__(service, f"{service} answered {status} to {action}" + (f": {code}" if code else ""))
        self.action = action
        self.status = status
        self.code = code


class ServiceUnreachable(AwsError):
    """The service could not be reached or did not answer in time; it may have acted on the call."""

    def __init__(self, service: str) -> None:
        super().__init__(service, f"{service} did not answer")
