"""Typed errors, each with its HTTP status, slug and sentence (RFC 9457); one place turns them into answers."""

from collections.abc import Mapping
from typing import ClassVar
from uuid import UUID


class Problem(Exception):
    """An error that the caller can understand.

    Attributes:
        status: HTTP status.
        slug: last part of the problem's `type`.
        title: the same for every occurrence.
        headers: extra response headers.
    """

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]
    headers: Mapping[str, str]

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None, **extras: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extras = extras
        self.headers = headers or {}

    def body(self) -> dict[str, object]:
        """The members of the problem document."""
        return {
            "type": f"/problems/{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extras,
        }


class MalformedBody(Problem):
    """The body is not JSON."""

    status, slug, title = 400, "malformed-json", "Malformed JSON"


class BadSignature(Problem):
    """A webhook without a signature of Stripe's by one of our secrets, or with one of another time."""

    status, slug, title = 400, "bad-signature", "Bad signature"

    def __init__(self) -> None:
        super().__init__("The signature does not match the body, or its time is more than five minutes from now.")


class Unauthenticated(Problem):
    """The token is not an access token of a user."""

    status, slug, title = 401, "unauthenticated", "Unauthenticated"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class InsufficientCredits(Problem):
    """The customer has fewer credits than the plan costs."""

    status, slug, title = 402, "insufficient-credits", "Insufficient credits"

    def __init__(self, balance: int, price: int) -> None:
        credits_ = "credit" if price == 1 else "credits"
        super().__init__(f"This plan costs {price} {credits_}; you have {balance}.", balance=balance, price=price)


class Forbidden(Problem):
    """The caller is not in a group that may use this route."""

    status, slug, title = 403, "forbidden", "Forbidden"


class MechanicNotActive(Forbidden):
    """The caller is in the group mechanics, but is not registered as a mechanic, or is suspended."""

    slug, title = "mechanic-not-active", "Mechanic not active"

    def __init__(self) -> None:
        super().__init__("This account is not an active mechanic.")


class OwnSession(Forbidden):
    """Nobody can be both mechanic and customer of a session."""

    slug, title = "own-session", "Own session"

    def __init__(self, detail: str = "You cannot be the mechanic of your own session.") -> None:
        super().__init__(detail)


class OwnReferral(OwnSession):
    """Nobody can refer themselves."""

    def __init__(self) -> None:
        super().__init__("You cannot refer yourself.")


class CustomerErased(Forbidden):
    """The customer's data was erased on request."""

    slug, title = "customer-erased", "Customer erased"

    def __init__(self) -> None:
        super().__init__("This account was erased on request and cannot start sessions.")


class NotFound(Problem):
    """There is no such thing, or it is not the caller's."""

    status, slug, title = 404, "not-found", "Not found"


class SessionNotFound(NotFound):
    """No such session, or not the caller's: both look the same."""

    def __init__(self) -> None:
        super().__init__("There is no such session.")


class IntakeNotFound(NotFound):
    """No such intake, or not the caller's: both look the same."""

    def __init__(self) -> None:
        super().__init__("There is no such intake.")


class ReceiptNotFound(NotFound):
    """No such receipt, or another customer's: both look the same."""

    def __init__(self) -> None:
        super().__init__("There is no such receipt.")


class StatementNotFound(NotFound):
    """The caller is no mechanic, or there is no such month or year yet."""

    def __init__(self) -> None:
        super().__init__("There is no such statement.")


class AssignmentNotFound(NotFound):
    """No such assignment, or never visible to the caller: both look the same."""

    def __init__(self) -> None:
        super().__init__("There is no such assignment.")


class Conflict(Problem):
    """The request does not fit the present state."""

    status, slug, title = 409, "conflict", "Conflict"


class ActiveSessionExists(Conflict):
    """The customer has an active session already."""

    slug, title = "active-session-exists", "Active session exists"

    def __init__(self, session_id: UUID, status: str) -> None:
        super().__init__(
            f"You already have a session that is {status}.",
            activeSession={"sessionId": str(session_id), "status": status},
        )


class WithdrawnTooOften(Conflict):
    """The customer paid by card and gave up as often as one may in 24 hours."""

    slug, title = "withdrawn-too-often", "Withdrawn too often"

    def __init__(self, times: int) -> None:
        super().__init__(
            f"You paid by card and gave up {times} times in 24 hours. Pay with credits, or try again tomorrow.",
            withdrawn=times,
        )


class PaymentProcessing(Conflict):
    """The customer has paid for an intake, and the payment is not confirmed yet."""

    slug, title = "payment-processing", "Payment processing"

    def __init__(self, intake_id: UUID) -> None:
        super().__init__("Your payment is being processed; wait for its result.", intakeId=str(intake_id))


class PaymentNotLate(Conflict):
    """An answer to a question that was not asked, was answered otherwise, or is over."""

    slug, title = "payment-not-late", "Payment not late"

    def __init__(self) -> None:
        super().__init__("This payment does not wait for your answer, or it was given already.")


class AssignmentUnavailable(Conflict):
    """The assignment was visible to the caller once, but is taken, over or past its deadline."""

    slug, title = "assignment-unavailable", "Assignment unavailable"

    def __init__(self, assignment_id: UUID) -> None:
        super().__init__("This request is no longer available.", assignmentId=str(assignment_id))


class MechanicBusy(Conflict):
    """The mechanic has a waiting or live session."""

    slug, title = "mechanic-busy", "Mechanic busy"

    def __init__(self) -> None:
        super().__init__("You already have a session; end or release it first.")


class SessionEnded(Conflict):
    """The session is over."""

    slug, title = "session-ended", "Session ended"

    def __init__(self, status: str) -> None:
        super().__init__(f"This session is over: it was {status}.", sessionStatus=status)


class NotesChanged(Conflict):
    """Other words with the same version, or newer ones, are stored."""

    slug, title = "notes-changed", "Notes changed"

    def __init__(self, version: int) -> None:
        super().__init__("Newer notes are stored; these were not saved.", version=version)


class NotesClosed(Conflict):
    """The notes can no longer be written."""

    slug, title = "notes-closed", "Notes closed"

    def __init__(self) -> None:
        super().__init__("The time in which these notes could be completed is over.")


class SessionNotOpen(Conflict):
    """A scheduled session has not come due."""

    slug, title = "session-not-open", "Session not open"

    def __init__(self, status: str) -> None:
        super().__init__("This session is not open yet.", sessionStatus=status)


class ReplyNotDue(Conflict):
    """The mechanic still has time to write or come."""

    slug, title = "reply-not-due", "Reply not due"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"Your mechanic still has {seconds} s to answer.",
            headers={"Retry-After": str(seconds)},
            retryAfterSeconds=seconds,
        )


class SessionNotReplaceable(Conflict):
    """No mechanic keeps the customer waiting for a first word."""

    slug, title = "session-not-replaceable", "Session not replaceable"

    def __init__(self, status: str) -> None:
        super().__init__("No mechanic is keeping you waiting for a first reply.", sessionStatus=status)


class SessionNotReleasable(Conflict):
    """Only a session that waits for both parties can be given back."""

    slug, title = "session-not-releasable", "Session not releasable"

    def __init__(self, status: str) -> None:
        super().__init__(f"Only a waiting session can be released; this one is {status}.", sessionStatus=status)


class SessionBusy(Conflict):
    """Another request holds the session for longer than we wait."""

    slug, title = "session-busy", "Session busy"

    def __init__(self) -> None:
        super().__init__("Another request is changing this session; try again.", headers={"Retry-After": "1"})


class Unprocessable(Problem):
    """The request is JSON, but has invalid values.

    Args:
        errors: pairs of a JSON pointer and what is wrong there.
    """

    status, slug, title = 422, "validation", "Invalid request"

    def __init__(self, *errors: tuple[str, str], detail: str = "The request has invalid values.") -> None:
        super().__init__(detail, errors=[{"pointer": pointer, "detail": what} for pointer, what in errors])


class IdempotencyKeyReused(Unprocessable):
    """The same Idempotency-Key came with another body."""

    slug, title = "idempotency-key-reused", "Idempotency key reused"

    def __init__(self) -> None:
        super().__init__(
            ("/headers/Idempotency-Key", "was used for another request"),
            detail="This Idempotency-Key was used for another request.",
        )


class TooManyRequests(Problem):
    """The caller has used up a limit (autodoctor.limits); nothing was done.

    Args:
        limit: its name.
        seconds: until the same request can succeed.
    """

    status, slug, title = 429, "too-many-requests", "Too many requests"

    def __init__(self, limit: str, seconds: int) -> None:
        super().__init__(
            f"You have done this too often; try again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
            limit=limit,
            retryAfterSeconds=seconds,
        )


class Retired(Problem):
    """The route is gone; its successor is linked."""

    status, slug, title = 410, "retired", "Retired"

    def __init__(self, successor: str) -> None:
        super().__init__(
            f"This route is retired; use {successor}.",
            headers={"Link": f'<{successor}>; rel="successor-version"'},
            successor=successor,
        )


class ServiceUnavailable(Problem):
    """The database, or a service of AWS that the request needs, cannot be reached or did not do its part."""

    status, slug, title = 503, "service-unavailable", "Service unavailable"

    def __init__(self) -> None:
        super().__init__("The service is briefly unavailable; try again.", headers={"Retry-After": "2"})


class PaymentsUnavailable(Problem):
    """Stripe cannot be reached, did not answer in time or refused; nothing was charged."""

    status, slug, title = 503, "payments-unavailable", "Payments unavailable"

    def __init__(self) -> None:
        super().__init__("Payments are briefly unavailable; try again.", headers={"Retry-After": "5"})
