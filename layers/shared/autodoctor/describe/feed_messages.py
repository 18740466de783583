"""The messages of the WebSocket, as models for the document; tests/describe holds them against what the feed sends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel

from autodoctor.web.schemas import ResponseModel


class NewAssignment(ResponseModel):
    """A request that the mechanic's queue shows from now on, or an offer to them."""

    assignment_id: UUID
    session_id: UUID
    customer_name: str
    vehicle_summary: str
    concern: str
    urgent: bool


class AssignmentGone(ResponseModel):
    """A request that the mechanic's queue showed, and shows no longer."""

    assignment_id: UUID
    session_id: UUID
    status: str


class SessionUpdated(ResponseModel):
    """A session of the user's is somewhere else now; fetch it.

    Attributes:
        reason: of an end: billable, too_short, no_show, withdrawn or expired; else null.
    """

    session_id: UUID
    status: str
    reason: str | None


class WaitingUpdated(ResponseModel):
    """The customer's place in the queue has changed.

    Attributes:
        position: 1 is next.
        mechanics_available: how many mechanics could take it now.
        estimated_wait_seconds: from now until somebody accepts; null while too few accepts are recent.
    """

    session_id: UUID
    position: int
    mechanics_available: int
    estimated_wait_seconds: int | None


class Connected(ResponseModel):
    """What this connection is called, which a join may name as its `connectionId`."""

    connection_id: str


class Identify(ResponseModel):
    """Asks for `connected`; anything else that is sent only keeps the connection open."""

    action: Literal["identify"]


@dataclass(frozen=True, slots=True)
class FeedMessage:
    """One type of message.

    Attributes:
        payload: its model; None where it has neither payload nor seq.
        groups: whose connections get it.
        text: when.
    """

    payload: type[BaseModel] | None
    groups: tuple[str, ...]
    text: str


_ALL: Final = ("admins", "customers", "mechanics")
_MECHANICS: Final = ("mechanics",)

MESSAGES: Final[Mapping[str, FeedMessage]] = {
    "new_assignment": FeedMessage(NewAssignment, _MECHANICS, "A request appears in the queue, or is offered to you."),
    "assignment_accepted": FeedMessage(AssignmentGone, _MECHANICS, "A mechanic took a request that you could see."),
    "assignment_cancelled": FeedMessage(AssignmentGone, _MECHANICS, "Its customer took it back."),
    "assignment_expired": FeedMessage(AssignmentGone, _MECHANICS, "Its time is up, or you declined it."),
    "session_updated": FeedMessage(SessionUpdated, ("customers", "mechanics"), "Your session changed its state."),
    "waiting_updated": FeedMessage(WaitingUpdated, ("customers",), "Your place in the queue changed."),
    "connected": FeedMessage(Connected, _ALL, "The answer to `identify`."),
    "resync": FeedMessage(None, _ALL, "Too much was missed to be sent again: fetch what you show anew."),
}
"""By `type`."""
