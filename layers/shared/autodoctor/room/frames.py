"""What a connection of a room gets, as JSON: at most 32 KB each, which is what API Gateway carries in one frame.

These messages have no `seq` of the feed: a client counts the `seq` of the room's messages instead, which has no gaps.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal
from uuid import UUID

from autodoctor.db import Row
from autodoctor.errors import Problem
from autodoctor.room.messages import Message, ReadMarks
from autodoctor.web.schemas import ResponseModel

MOST_BYTES: Final = 32 * 1024


class RoomPresence(ResponseModel):
    """Which party is there."""

    customer: bool
    mechanic: bool


class RoomEntered(ResponseModel):
    """The answer to the action `room`: what was missed, in one frame or in several.

    Attributes:
        messages: in order; those after `after`, or the last ones.
        latest: the `seq` of the last message of the room. Where the last frame's messages end before it, ask again.
        present: who is there, with the caller.
        complete: whether this is the last frame of the answer.
    """

    type: Literal["room"] = "room"
    session_id: UUID
    messages: list[Message]
    latest: int
    read: ReadMarks
    present: RoomPresence
    complete: bool


class MessagePushed(ResponseModel):
    """A message was written in the room. They may overtake each other: order them by `seq`, and ask for a gap."""

    type: Literal["message"] = "message"
    session_id: UUID
    message: Message


class ReadPushed(ResponseModel):
    """A party has read on."""

    type: Literal["read"] = "read"
    session_id: UUID
    read: ReadMarks


class TypingPushed(ResponseModel):
    """The other party is typing: at most once in three seconds while they do.

    Attributes:
        role: who is.
    """

    type: Literal["typing"] = "typing"
    session_id: UUID
    role: Literal["customer", "mechanic"]


class PresentPushed(ResponseModel):
    """Somebody has come or gone."""

    type: Literal["present"] = "present"
    session_id: UUID
    present: RoomPresence


class ActionRefused(ResponseModel):
    """An action could not be done.

    Attributes:
        action: the one that was asked for.
        session_id: as it was asked for; null where it was no id.
        problem: why, as a route of the API would answer.
    """

    type: Literal["refused"] = "refused"
    action: str
    session_id: UUID | None
    problem: dict[str, Any]


def frame(pushed: ResponseModel) -> bytes:
    """The JSON that a client gets."""
    return pushed.model_dump_json(by_alias=True).encode()


def refusal(action: str, session_id: UUID | None, problem: Problem) -> bytes:
    """The frame of an action that could not be done."""
    return frame(ActionRefused(action=action, session_id=session_id, problem=problem.body()))


def entered(session_id: UUID, row: Row) -> Iterator[bytes]:
    """The frames that answer the action `room`.

    Args:
        row: of bind_room().
    """
    common: dict[str, Any] = {
        "session_id": session_id,
        "latest": row["latest"],
        "read": ReadMarks(customer=row["customer_read"], mechanic=row["mechanic_read"]),
        "present": presence(row),
    }
    room = MOST_BYTES - len(frame(RoomEntered(**common, messages=[], complete=False)))
    parts = [*_parts([Message(**each) for each in row["messages"]], room)]
    for number, part in enumerate(parts, start=1):
        yield frame(RoomEntered(**common, messages=part, complete=number == len(parts)))


def presence(row: Row) -> RoomPresence:
    """Who is there, of a row with that."""
    return RoomPresence(customer=row["customer_present"], mechanic=row["mechanic_present"])


def _parts(messages: Sequence[Message], most_bytes: int) -> Iterator[list[Message]]:
    """Messages in order, as many at once as fit; at least one part, which may be empty."""
    part: list[Message] = []
    left = most_bytes
    for message in messages:
        size = len(frame(message)) + 1  # the comma
        if part and size > left:
            yield part
            part, left = [], most_bytes
        part.append(message)
        left -= size
    yield part
