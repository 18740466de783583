"""The messages of the WebSocket, as models for the document; tests/describe compares them with the feed's messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel

from autodoctor.room import frames
from autodoctor.room.sockets import EnterRoom, Typing
from autodoctor.web.schemas import ResponseModel, Utc


class NewAssignment(ResponseModel):
    """A request that has entered the mechanic's queue, or an offer to them.

    Attributes:
        scheduled_for: when the consultation is wanted; null for now.
        picture_id: the first picture that the customer sent with it, an attachment that may not be checked yet.
    """

    assignment_id: UUID
    session_id: UUID
    customer_name: str
    vehicle_summary: str
    concern: str
    picture_id: UUID | None
    urgent: bool
    scheduled_for: Utc | None


class AssignmentGone(ResponseModel):
    """A request that has left the mechanic's queue."""

    assignment_id: UUID
    session_id: UUID
    status: str


class SessionUpdated(ResponseModel):
    """A session of the user has changed; fetch it.

    Attributes:
        reason: why it ended: billable, too_short, no_talk, no_show, withdrawn or expired; null before.
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
    """The id of this connection, which a join may give as its `connectionId`.

    Attributes:
        feed: the history that every `seq` is of; to be given back with `since`.
    """

    connection_id: str
    feed: UUID


class Resync(ResponseModel):
    """Fetch everything again; messages after this `seq` come by themselves.

    Attributes:
        feed: the history that every `seq` is of from now on.
    """

    feed: UUID


class Identify(ResponseModel):
    """Asks for `connected`; any other message only keeps the connection open."""

    action: Literal["identify"]


@dataclass(frozen=True, slots=True)
class FeedMessage:
    """One type of message.

    Attributes:
        payload: its model; None when it has neither payload nor seq.
        groups: the groups whose connections get it.
        text: when it is sent.
    """

    payload: type[BaseModel] | None
    groups: tuple[str, ...]
    text: str


_ALL: Final = ("admins", "customers", "mechanics")
_MECHANICS: Final = ("mechanics",)

MESSAGES: Final[Mapping[str, FeedMessage]] = {
    "new_assignment": FeedMessage(NewAssignment, _MECHANICS, "A request appears in the queue, or is offered to you."),
    "assignment_accepted": FeedMessage(AssignmentGone, _MECHANICS, "A mechanic accepted a request that you could see."),
    "assignment_cancelled": FeedMessage(AssignmentGone, _MECHANICS, "The customer withdrew it."),
    "assignment_expired": FeedMessage(AssignmentGone, _MECHANICS, "Its time is up, or you declined it."),
    "session_updated": FeedMessage(SessionUpdated, ("customers", "mechanics"), "Your session changed its state."),
    "waiting_updated": FeedMessage(WaitingUpdated, ("customers",), "Your place in the queue changed."),
    "connected": FeedMessage(Connected, _ALL, "The answer to `identify`."),
    "resync": FeedMessage(
        Resync, _ALL, "Messages were missed that cannot be sent any more: fetch everything you show again."
    ),
    "superseded": FeedMessage(
        None, _ALL, "The last one: you opened more connections than a user may have. Open no new one by yourself."
    ),
}
"""By `type`."""

ROOM_MESSAGES: Final[Mapping[str, tuple[type[BaseModel], str]]] = {
    "room": (frames.RoomEntered, "The answer to the action `room`: what was missed, in one frame or in several."),
    "message": (frames.MessagePushed, "Somebody wrote in the room that this connection has entered."),
    "read": (frames.ReadPushed, "A party has read on."),
    "typing": (frames.TypingPushed, "The other party is typing."),
    "present": (frames.PresentPushed, "A party has come or gone."),
    "refused": (frames.ActionRefused, "The answer to an action that could not be done."),
}
"""Of rooms, by `type`: the model of the whole message, which has no `seq` of the feed, and when it is sent."""

ACTIONS: Final[Mapping[str, tuple[type[BaseModel], str]]] = {
    "identify": (Identify, "Asks for `connected`."),
    "enterRoom": (EnterRoom, "Enters the room of a session; answered by `room` or `refused`."),
    "sayTyping": (Typing, "Tells the other party, at most once in three seconds, that the user is typing."),
}
"""What a client may send, by the name of the message."""
