"""What a direct invocation of a function gives, and the error for a name that no function has."""

from dataclasses import dataclass


@dataclass(frozen=True)
class InvokeResult:
    """The result of a direct invocation: `status` is 200, or 429 when throttled, as with Lambda's Invoke.

    `error` is None, `Unhandled` (the function raised), `Sandbox.Timedout` or `Runtime.ExitError`; `payload`
    is the answer or describes the error; `log` holds the last printed lines.
    """

    status: int
    payload: object
    log: tuple[str, ...]
    error: str | None = None


class UnknownFunction(Exception):
    """The template has no such function."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"the template has no function {name}; it has {', '.join(known)}")
